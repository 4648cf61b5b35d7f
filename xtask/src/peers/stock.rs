//! Targets of others: `tgt` in user space, and the kernel's `scsi_debug` in a guest.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slotwise_rigs::behind::BehindRig;
use slotwise_testbench::guest::{GuestDefinition, PrepareConfig};
use slotwise_testbench::matrix::{Matrix, Run, run_matrix};
use slotwise_testbench::rig::{
    DeviceUnderTest, FunctionUnderTest, Identity, IscsiRig, Rig, RigError, RunningGuest,
};
use slotwise_testbench::suite::{Harm, Suite};
use slotwise_testbench::wire::Nexus;

use crate::Result;

const DISK_BYTES: u64 = 16 << 20;
/// Away from tgt's own, so that a daemon that runs already is left alone.
const PORT: u16 = 32_260;
const CONTROL_PORT: &str = "1762";
const TARGET: &str = "iqn.2026-01.org.slotwise:tgt";
const CD_TARGET: &str = "iqn.2026-01.org.slotwise:tgt-cd";
const START_LIMIT: Duration = Duration::from_secs(10);

/// tgt's daemon with a disk and a CD-ROM device, each logical unit 1 of its target; ended when dropped.
pub(super) struct Tgt {
    daemon: Child,
    /// The disk goes with it.
    _folder: tempfile::TempDir,
}

impl Tgt {
    pub(super) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let disk = folder.path().join("disk");
        std::fs::File::create(&disk)?.set_len(DISK_BYTES)?;
        let daemon = Command::new("tgtd")
            .args(["-f", "-C", CONTROL_PORT, "--iscsi", &format!("portal=127.0.0.1:{PORT}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot run tgtd: {error}"))?;
        let own = Self { daemon, _folder: folder };
        let begun = Instant::now();
        let target = ["--op", "new", "--mode", "target", "--tid", "1", "-T", TARGET];
        while !admin(&target) {
            if begun.elapsed() > START_LIMIT {
                return Err("tgtd does not take a target".into());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let backing = disk.display().to_string();
        let unit = ["--op", "new", "--mode", "logicalunit", "--lun", "1", "-b", &backing];
        let cd_target = ["--op", "new", "--mode", "target", "--tid", "2", "-T", CD_TARGET];
        let ready = admin(&[&unit[..], &["--tid", "1"]].concat())
            && admin(&cd_target)
            && admin(&[&unit[..], &["--tid", "2", "--device-type", "cd"]].concat())
            && ["1", "2"]
                .iter()
                .all(|tid| admin(&["--op", "bind", "--mode", "target", "--tid", tid, "-I", "ALL"]));
        if ready { Ok(own) } else { Err("tgtd does not take its devices".into()) }
    }

    fn cd_url() -> String {
        format!("iscsi://127.0.0.1:{PORT}/{CD_TARGET}/1")
    }

    pub(super) fn url() -> String {
        format!("iscsi://127.0.0.1:{PORT}/{TARGET}/1")
    }
}

impl Drop for Tgt {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing of it must stay.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn admin(arguments: &[&str]) -> bool {
    let mut command = Command::new("tgtadm");
    command.args(["-C", CONTROL_PORT, "--lld", "iscsi"]).args(arguments).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Starts the daemon anew where a case has ended it.
struct TgtRig {
    tgt: Option<Tgt>,
    by: IscsiRig,
}

impl Rig for TgtRig {
    fn start(
        &mut self,
        guest: &GuestDefinition,
        device: &DeviceUnderTest,
    ) -> std::result::Result<Box<dyn RunningGuest>, RigError> {
        let failed = |source: Box<dyn std::error::Error>| RigError {
            guest: guest.id().to_owned(),
            device: device.name.clone(),
            source: source.to_string().into(),
            console: String::new(),
            hint: None,
        };
        // The old one has to be gone before the new one can listen.
        self.tgt = None;
        self.tgt = Some(Tgt::start().map_err(failed)?);
        self.by.start(guest, device)
    }
}

/// Runs the suite on tgt's disk.
pub(super) fn tgt(suite: &Suite) -> Result<Run> {
    let device = DeviceUnderTest {
        name: "tgt".to_owned(),
        nexus: Nexus { channel: None, id: None, lun: None },
        identity: Some(Identity {
            vendor: "IET".to_owned(),
            product: "VIRTUAL-DISK".to_owned(),
            serial: None,
        }),
        harm_limit: Harm::Settings,
        function: FunctionUnderTest::default(),
    };
    let by = IscsiRig { url: Tgt::url().parse()? };
    let guest = by.no_guest();
    Ok(run(suite, &mut TgtRig { tgt: None, by }, device, guest))
}

/// Runs the CD-ROM suite on tgt's CD-ROM device.
pub(super) fn tgt_cd(suite: &Suite) -> Result<Run> {
    let device = DeviceUnderTest {
        name: "tgt-cd".to_owned(),
        nexus: Nexus { channel: None, id: None, lun: None },
        identity: None,
        harm_limit: Harm::None,
        function: FunctionUnderTest::default(),
    };
    let by = IscsiRig { url: Tgt::cd_url().parse()? };
    let guest = by.no_guest();
    Ok(run(suite, &mut TgtRig { tgt: None, by }, device, guest))
}

/// A Debian guest whose only SCSI device is the kernel's `scsi_debug`.
const SCSI_DEBUG_GUEST: &str = include_str!("scsi-debug.toml");

pub(super) fn scsi_debug(suite: &Suite, agent: PathBuf) -> Result<Run> {
    let guest = GuestDefinition::parse("scsi-debug", "xtask/src/peers/scsi-debug.toml", SCSI_DEBUG_GUEST)?;
    let prepare = PrepareConfig {
        cache_dir: crate::build::cache()?.join("peers"),
        agent,
        boot_dir: Path::new("/boot").into(),
        modules_dir: Path::new("/lib/modules").into(),
        // Images of the user's own are no peers.
        settings_dir: PathBuf::new(),
    };
    let device = DeviceUnderTest {
        name: "scsi_debug".to_owned(),
        nexus: Nexus { channel: Some(0), id: Some(0), lun: Some(0) },
        identity: Some(Identity {
            vendor: "Linux".to_owned(),
            product: "scsi_debug".to_owned(),
            serial: None,
        }),
        harm_limit: Harm::Settings,
        function: FunctionUnderTest::default(),
    };
    Ok(run(suite, &mut BehindRig { devices: Vec::new(), prepare }, device, guest))
}

fn run(suite: &Suite, rig: &mut dyn Rig, device: DeviceUnderTest, guest: GuestDefinition) -> Run {
    let (suites, devices, guests) = (std::slice::from_ref(suite), [device], [guest]);
    run_matrix(&Matrix { suites, devices: &devices, guests: &guests }, rig, &mut |_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_of_scsi_debug_is_read() {
        GuestDefinition::parse("scsi-debug", "scsi-debug.toml", SCSI_DEBUG_GUEST).unwrap();
    }
}
