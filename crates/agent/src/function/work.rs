//! Lets the driver of a function work, by whatever it serves.
//!
//! A disk is read past the kernel's cache, a SCSI device is asked for its INQUIRY data, a network interface sends frames:
//! each is a transfer by the device's own memory access, and ends with an interrupt.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use slotwise_testbench::wire::{Command, Direction, HexBytes, Nexus};

use super::{Brought, Done, Function};
use crate::{scsi, sys};

const ROUND_LIMIT: u16 = 256;
/// How long after its driver was bound a device may take to appear.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long it may take until its kind shows.
const KIND_PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(20);
/// What is read of a disk in a round: a page, which is a whole number of blocks of every common size.
const READ_BYTES: usize = 4096;
const INQUIRY_BYTES: u8 = 36;
const TIMEOUT_MS: u32 = 10_000;
/// Loopback of the Ethernet Configuration Testing Protocol: a type that nobody answers to unasked.
const TEST_PROTOCOL: u16 = 0x9000;

/// What a driver serves.
enum Served {
    Disk(PathBuf),
    Scsi(PathBuf),
    Network,
}

impl Function {
    pub(super) fn work(&self, rounds: u16, nexus: Nexus) -> Done {
        if rounds > ROUND_LIMIT {
            return Err(format!("{rounds} rounds are more than {ROUND_LIMIT}"));
        }
        if rounds == 0 {
            return Ok(Brought::data(self.kind().into()));
        }
        let served = self.served(nexus)?;
        let mut data = Vec::new();
        let mut done = 0;
        match &served {
            None => {}
            Some(Served::Disk(node)) => {
                let disk = opened(node, OFlags::RDONLY | OFlags::DIRECT, PATIENCE)?;
                for _ in 0..rounds {
                    data = read(&disk).map_err(|error| format!("cannot read the disk: {error}"))?;
                    done += 1;
                }
            }
            Some(Served::Scsi(node)) => {
                let device = opened(node, OFlags::RDWR, PATIENCE)?;
                for _ in 0..rounds {
                    data = inquire(&device)?;
                    done += 1;
                }
            }
            Some(Served::Network) => {
                let socket = self.socket(TEST_PROTOCOL)?;
                let frame = test_frame();
                for _ in 0..rounds {
                    socket.send(&frame).map_err(|error| format!("cannot send: {error}"))?;
                    done += 1;
                }
                // The interrupt comes when the card has sent them, which is later than the call.
                thread::sleep(Duration::from_millis(200));
                data = frame;
            }
        }
        Ok(Brought { data, result: done, frames: Vec::new() })
    }

    /// What the driver serves by its kind, once it is there: `disk`, `scsi`, `network`, or nothing that is known.
    fn kind(&self) -> &'static str {
        let begin = Instant::now();
        while self.directory.join("driver").exists() && begin.elapsed() < KIND_PATIENCE {
            let known = [("net", "network"), ("scsi_host", "scsi"), ("nvme", "disk"), ("block", "disk")];
            let kind = known.into_iter().find(|(class, _)| !self.children(class).is_empty());
            if let Some((_, name)) = kind {
                return name;
            }
            thread::sleep(POLL);
        }
        ""
    }

    /// What the driver serves, once it is there; `None` where there is nothing that could be let work.
    fn served(&self, nexus: Nexus) -> Result<Option<Served>, String> {
        let begin = Instant::now();
        if !self.directory.join("driver").exists() {
            return Ok(None);
        }
        let mut scanned = false;
        loop {
            if let Some(served) = self.served_now() {
                return Ok(Some(served));
            }
            if !scanned && !self.children("scsi_host").is_empty() {
                // Hosts of a guest of ours look for devices when they are told to, and not before.
                scsi::scan(nexus)?;
                scanned = true;
            } else if begin.elapsed() > PATIENCE {
                return Ok(None);
            } else {
                thread::sleep(POLL);
            }
        }
    }

    fn served_now(&self) -> Option<Served> {
        let node = |name: String| Some(Path::new("/dev").join(name)).filter(|node| node.exists());
        let name = |directory: PathBuf| Some(directory.file_name()?.to_str()?.to_owned());
        let whole = |directory: &PathBuf| !directory.join("partition").exists();
        let disks = self.children("block").into_iter().filter(whole).filter_map(name);
        let disk = disks.map(|name| without_path(&name)).find_map(node);
        let scsi = || self.children("scsi_generic").into_iter().filter_map(name).find_map(node);
        disk.map(Served::Disk).or_else(|| scsi().map(Served::Scsi)).or_else(|| {
            let interface = self.interface()?;
            // 1 is Ethernet (`ARPHRD_ETHER`, include/uapi/linux/if_arp.h).
            let kind = fs::read_to_string(interface.join("type")).ok()?;
            (kind.trim() == "1").then_some(Served::Network)
        })
    }
}

/// The disk that an NVMe path belongs to: `nvme0n1` of `nvme0c1n1`, which is hidden where a namespace has several
/// (`nvme_mpath_set_disk_name`, `drivers/nvme/host/multipath.c`).
fn without_path(name: &str) -> String {
    let path = || {
        let (controller, rest) = name.strip_prefix("nvme")?.split_once('c')?;
        let (_, namespace) = rest.split_once('n')?;
        Some(format!("nvme{controller}n{namespace}"))
    };
    path().unwrap_or_else(|| name.to_owned())
}

/// Opens a node that has just appeared. The kernel makes it before there is something to open behind it (`block/genhd.c:
/// device_add_disk` adds the device, with its node, before the inode that opening looks for): until then it answers `ENXIO`.
fn opened(node: &Path, flags: OFlags, within: Duration) -> Result<File, String> {
    let begin = Instant::now();
    loop {
        match open(node, flags | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => return Ok(File::from(file)),
            Err(Errno::NXIO | Errno::NOENT | Errno::INTR) if begin.elapsed() < within => thread::sleep(POLL),
            Err(error) => return Err(format!("cannot open {}: {error}", node.display())),
        }
    }
}

/// Reads a page at the start of a disk. Reading past the cache takes a buffer at the start of a block
/// (`open(2)`, `O_DIRECT`).
fn read(disk: &File) -> io::Result<Vec<u8>> {
    let mut room = vec![0_u8; 2 * READ_BYTES];
    let start = room.as_ptr().align_offset(READ_BYTES);
    let page = room.get_mut(start..start.saturating_add(READ_BYTES)).ok_or(io::ErrorKind::OutOfMemory)?;
    disk.read_exact_at(page, 0)?;
    Ok(page.to_vec())
}

fn inquire(device: &File) -> Result<Vec<u8>, String> {
    let command = Command {
        cdb: HexBytes(vec![0x12, 0, 0, 0, INQUIRY_BYTES, 0]),
        direction: Direction::In { length: INQUIRY_BYTES.into() },
        timeout_ms: TIMEOUT_MS,
    };
    let completion = sys::send(device, &command).map_err(|error| format!("cannot send INQUIRY: {error}"))?;
    if completion.reached_device() && completion.status == 0 {
        return Ok(completion.data.0);
    }
    Err("the device does not answer INQUIRY".to_owned())
}

/// A broadcast of the shortest length.
fn test_frame() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    // A locally administered address that nobody has.
    frame.extend([0x02, 0, 0, 0, 0, 0x01]);
    frame.extend(TEST_PROTOCOL.to_be_bytes());
    frame.resize(60, 0);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_namespace_leads_to_its_disk() {
        assert_eq!(without_path("nvme0c1n2"), "nvme0n2");
        for whole in ["nvme0n1", "sda", "nvmec"] {
            assert_eq!(without_path(whole), whole);
        }
    }

    #[test]
    fn a_node_that_is_not_there_yet_is_waited_for_and_one_that_never_comes_is_told() {
        let node = std::env::temp_dir().join(format!("slotwise-agent-late-node-{}", std::process::id()));
        let later = node.clone();
        let maker = thread::spawn(move || {
            thread::sleep(3 * POLL);
            fs::write(later, "there")
        });
        assert!(opened(&node, OFlags::RDONLY, PATIENCE).is_ok());
        maker.join().unwrap().unwrap();
        fs::remove_file(&node).unwrap();
        let error = opened(&node, OFlags::RDONLY, POLL).unwrap_err();
        assert!(error.starts_with("cannot open /"), "{error}");
    }

    #[test]
    fn the_test_frame_is_a_broadcast_of_the_shortest_length() {
        let frame = test_frame();
        assert_eq!((frame.len(), &frame[..6], &frame[12..14]), (60, &[0xff; 6][..], &[0x90, 0][..]));
    }
}
