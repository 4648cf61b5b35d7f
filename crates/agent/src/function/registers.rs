//! Configuration space, regions and expansion ROM, through the files of sysfs.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use super::{Brought, Done, Function};
use crate::sys;

/// Size of the largest configuration space, in bytes (PCIe Base 6.0, 7.2.2).
const CONFIG_BYTES: u16 = 4096;
const CONFIG_WRITE_LIMIT_BYTES: usize = 64;
const REGION_READ_LIMIT_BYTES: u16 = 4096;
const ROM_READ_LIMIT_BYTES: u32 = 64 << 10;
/// `IORESOURCE_IO`, `include/linux/ioport.h`.
const IORESOURCE_IO: u64 = 0x100;

impl Function {
    pub(super) fn config_read(&self, offset: u16, length: u16) -> Done {
        if length > CONFIG_BYTES {
            return Err(format!("{length} bytes are more than configuration space has"));
        }
        let failed = |error| format!("cannot read configuration space: {error}");
        let config = File::open(self.directory.join("config")).map_err(failed)?;
        let mut data = vec![0; length.into()];
        let mut filled = 0;
        while let Some(rest) = data.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = u64::from(offset).saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
            match config.read_at(rest, at).map_err(failed)? {
                0 => break,
                count => filled += count,
            }
        }
        data.truncate(filled);
        Ok(Brought::data(data))
    }

    pub(super) fn config_write(&self, offset: u16, data: &[u8]) -> Done {
        if data.len() > CONFIG_WRITE_LIMIT_BYTES {
            return Err(format!("{} bytes are too many for one write", data.len()));
        }
        let config = File::options().write(true).open(self.directory.join("config"));
        config
            .and_then(|config| config.write_all_at(data, offset.into()))
            .map_err(|error| format!("cannot write configuration space: {error}"))?;
        Ok(Brought::default())
    }

    /// Regions of memory are mapped, those of I/O ports read (`pci_mmap_resource`, `pci_resource_io`,
    /// `drivers/pci/pci-sysfs.c`). A region of a function that nobody enabled answers to none of it.
    pub(super) fn region_read(&self, bar: u8, offset: u32, length: u16) -> Done {
        if bar > 5 || length > REGION_READ_LIMIT_BYTES || offset % 4 != 0 || length % 4 != 0 {
            return Err("no such read of a region".to_owned());
        }
        let (bytes, flags) = self.region(bar).ok_or_else(|| format!("the function has no region {bar}"))?;
        let length = u64::from(length).min(bytes.saturating_sub(offset.into())) & !3;
        let failed = |error: io::Error| format!("cannot read region {bar}: {error}");
        let file = File::open(self.directory.join(format!("resource{bar}"))).map_err(failed)?;
        let length = usize::try_from(length).unwrap_or(0);
        if flags & IORESOURCE_IO == 0 {
            return sys::region::read(&file, offset, length).map(Brought::data).map_err(failed);
        }
        let mut data = vec![0; length];
        for (at, word) in (u64::from(offset)..).step_by(4).zip(data.chunks_exact_mut(4)) {
            file.read_exact_at(word, at).map_err(failed)?;
        }
        Ok(Brought::data(data))
    }

    /// Size in bytes and flags of a region that is assigned: a line of `resource` is start, end and flags.
    fn region(&self, bar: u8) -> Option<(u64, u64)> {
        let text = fs::read_to_string(self.directory.join("resource")).ok()?;
        let line = text.lines().nth(bar.into())?;
        let mut parts =
            line.split_whitespace().map(|part| u64::from_str_radix(part.strip_prefix("0x")?, 16).ok());
        let (start, end, flags) = (parts.next()??, parts.next()??, parts.next()??);
        (start != 0 && end > start).then(|| (end - start + 1, flags))
    }

    /// The file is empty until `1` is written to it (`pci_write_rom`), and disabled again after.
    pub(super) fn rom_read(&self, length: u32) -> Done {
        let path = self.directory.join("rom");
        if !path.exists() {
            return Ok(Brought::default());
        }
        let length = u64::from(length.min(ROM_READ_LIMIT_BYTES));
        let failed = |error| format!("cannot read the expansion ROM: {error}");
        fs::write(&path, "1").map_err(failed)?;
        let mut data = Vec::new();
        let read = File::open(&path).and_then(|rom| rom.take(length).read_to_end(&mut data));
        fs::write(&path, "0").map_err(failed)?;
        read.map_err(failed)?;
        Ok(Brought::data(data))
    }
}
