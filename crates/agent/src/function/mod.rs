//! One PCI function of the guest: its registers, the kernel's files about it, its driver at work.
//!
//! What is asked for is checked here against the vocabulary's limits, whoever asks. Files are under
//! `/sys/bus/pci/devices` and `/proc/interrupts` (Linux 6.1, `Documentation/ABI/testing/sysfs-bus-pci`).

mod interrupts;
mod network;
mod registers;
mod work;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use slotwise_testbench::wire::{
    Attribute, AttributePlace, HexBytes, OPERATION_DATA_LIMIT_BYTES, OPERATION_WAIT_LIMIT_MS, Operation,
    OperationOutcome,
};

use crate::pci::{is_address, link_name};

/// The longest text that is written to a file of the kernel's, in bytes.
const TEXT_LIMIT_BYTES: usize = 64;
/// A small file of the kernel's is no longer than a page (`Documentation/filesystems/sysfs.rst`).
const FILE_LIMIT_BYTES: usize = 4096;

/// What an operation brings.
#[derive(Default)]
struct Brought {
    data: Vec<u8>,
    result: u64,
    frames: Vec<HexBytes>,
}

impl Brought {
    fn data(data: Vec<u8>) -> Self {
        Self { data, ..Self::default() }
    }

    fn count(result: u64) -> Self {
        Self { result, ..Self::default() }
    }
}

/// Why an operation is not done, as a sentence without full stop.
type Done = Result<Brought, String>;

/// Does one operation with one function.
///
/// # Errors
///
/// There is no such function.
pub(crate) fn perform(name: &str, operation: &Operation) -> Result<OperationOutcome, String> {
    let function = Function::named(name)?;
    let begin = Instant::now();
    Ok(match function.perform(operation) {
        Ok(Brought { data, .. }) if data.len() > OPERATION_DATA_LIMIT_BYTES => {
            OperationOutcome::Failed { reason: format!("{} bytes are too many to tell", data.len()) }
        }
        Ok(Brought { data, result, frames }) => {
            let elapsed_us = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
            OperationOutcome::Done { data: HexBytes(data), result, frames, elapsed_us }
        }
        Err(reason) => OperationOutcome::Failed { reason },
    })
}

/// A function by its directory.
struct Function {
    name: String,
    directory: PathBuf,
}

impl Function {
    fn named(name: &str) -> Result<Self, String> {
        let directory = Path::new("/sys/bus/pci/devices").join(name);
        if is_address(name) && directory.exists() {
            Ok(Self { name: name.to_owned(), directory })
        } else {
            Err(format!("no PCI function `{}`", name.chars().take(32).collect::<String>()))
        }
    }

    fn perform(&self, operation: &Operation) -> Done {
        match operation {
            Operation::ConfigRead { offset, length } => self.config_read(*offset, *length),
            Operation::ConfigWrite { offset, data } => self.config_write(*offset, &data.0),
            Operation::AttributeRead { attribute } => self.attribute(*attribute),
            Operation::AttributeWrite { attribute, text } => self.set_attribute(*attribute, &text.0),
            Operation::RegionRead { bar, offset, length } => self.region_read(*bar, *offset, *length),
            Operation::RomRead { length } => self.rom_read(*length),
            Operation::Unbind => self.unbind(),
            Operation::Bind => self.bind(),
            Operation::Interrupts { kind } => self.interrupts(*kind),
            Operation::Vectors => self.vectors(),
            Operation::Work { rounds, nexus } => self.work(*rounds, *nexus),
            Operation::Pause { ms } => {
                thread::sleep(Duration::from_millis((*ms).min(OPERATION_WAIT_LIMIT_MS).into()));
                Ok(Brought::default())
            }
            Operation::Frames(exchange) => self.frames(exchange),
        }
    }

    fn attribute(&self, attribute: Attribute) -> Done {
        let path = match attribute.place() {
            AttributePlace::Driver => {
                let name = link_name(&self.directory.join("driver")).unwrap_or_default();
                return Ok(Brought::data(name.into_bytes()));
            }
            AttributePlace::Function(file) => Some(self.directory.join(file)),
            AttributePlace::Interface(file) => self.interface().map(|interface| interface.join(file)),
        };
        let Some(path) = path else { return Ok(Brought::default()) };
        match fs::read(&path) {
            Ok(mut text) => {
                text.truncate(FILE_LIMIT_BYTES);
                let end = text.iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(0, |at| at + 1);
                text.truncate(end);
                let result = number(&text);
                Ok(Brought { data: text, result, frames: Vec::new() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Brought::default()),
            Err(error) => Err(format!("cannot read {}: {error}", attribute.name())),
        }
    }

    fn set_attribute(&self, attribute: Attribute, text: &[u8]) -> Done {
        if !attribute.is_writable() {
            return Err(format!("{} is not written", attribute.name()));
        }
        if text.len() > TEXT_LIMIT_BYTES {
            return Err(format!("{} bytes are too long for {}", text.len(), attribute.name()));
        }
        let path = match attribute.place() {
            AttributePlace::Driver => None,
            AttributePlace::Function(file) => Some(self.directory.join(file)),
            AttributePlace::Interface(file) => self.interface().map(|interface| interface.join(file)),
        };
        let path = path.ok_or_else(|| format!("the function has no {}", attribute.name()))?;
        fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", attribute.name()))?;
        Ok(Brought::default())
    }

    fn unbind(&self) -> Done {
        let unbind = self.directory.join("driver/unbind");
        if !unbind.exists() {
            // It has no driver, which is what is wanted.
            return Ok(Brought::default());
        }
        fs::write(unbind, &self.name).map_err(|error| format!("cannot unbind {}: {error}", self.name))?;
        Ok(Brought::default())
    }

    /// `drivers_probe` lets every driver have a look (`drivers_probe_store`, `drivers/base/bus.c`); that none wants the
    /// function is an error there, and here.
    fn bind(&self) -> Done {
        fs::write("/sys/bus/pci/drivers_probe", &self.name)
            .map_err(|error| format!("no driver takes {}: {error}", self.name))?;
        if self.directory.join("driver").exists() {
            Ok(Brought::default())
        } else {
            Err(format!("no driver takes {}", self.name))
        }
    }

    /// The devices of a class that lie below the function, by their directories.
    fn children(&self, class: &str) -> Vec<PathBuf> {
        let Ok(own) = fs::canonicalize(&self.directory) else { return Vec::new() };
        let entries = fs::read_dir(Path::new("/sys/class").join(class)).into_iter().flatten().flatten();
        let directories = entries.filter_map(|entry| fs::canonicalize(entry.path()).ok());
        let mut found: Vec<PathBuf> = directories.filter(|directory| directory.starts_with(&own)).collect();
        found.sort();
        found
    }
}

/// The number a file holds, decimal or hexadecimal; 0 if it holds none.
fn number(text: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(text);
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_no_function() {
        for name in ["../../../etc", "0000:00:00.0/../..", "", "0000:ff:1f.7"] {
            assert!(perform(name, &Operation::Unbind).is_err(), "{name}");
        }
    }

    #[test]
    fn numbers_are_read_in_both_ways_of_writing() {
        assert_eq!((number(b"0x1003"), number(b"1500"), number(b"D0")), (0x1003, 1500, 0));
    }

    #[test]
    fn only_what_is_named_is_written_and_only_little() {
        let directory = tempfile();
        let function = Function { name: "0000:00:04.0".into(), directory: directory.clone() };
        let write =
            |attribute, text: &[u8]| function.set_attribute(attribute, text).err().unwrap_or_default();
        assert!(write(Attribute::Resource, b"0").contains("is not written"));
        assert!(write(Attribute::Reset, &[b'1'; 65]).contains("too long"));
        assert!(write(Attribute::NetFlags, b"1").contains("has no net-flags"));
        assert_eq!(write(Attribute::Reset, b"1"), "");
        assert_eq!(fs::read(directory.join("reset")).unwrap(), b"1");
        assert_eq!(function.attribute(Attribute::PowerState).map(|own| own.data), Ok(Vec::new()));
        fs::remove_dir_all(directory).unwrap();
    }

    fn tempfile() -> PathBuf {
        let directory = std::env::temp_dir().join(format!("slotwise-agent-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        directory
    }
}
