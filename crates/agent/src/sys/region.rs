//! Reads of a memory region of a PCI function.

use std::fs::File;
use std::io;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The unit of a mapping, in bytes, on every processor the agent is built for.
const PAGE_BYTES: usize = 4096;

/// Reads from a region through its file `resourceN`, four bytes an access, as devices expect. `offset` and `length` are
/// multiples of four, and what is read lies in the region.
///
/// # Errors
///
/// The kernel does not map it: it is not memory, or a driver has it to itself.
pub(crate) fn read(file: &File, offset: u32, length: usize) -> io::Result<Vec<u8>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let offset = usize::try_from(offset).map_err(|_| invalid())?;
    if length == 0 {
        return Ok(Vec::new());
    }
    let start = offset % PAGE_BYTES;
    let mapped = start.checked_add(length).ok_or_else(invalid)?;
    let from = u64::try_from(offset - start).map_err(|_| invalid())?;
    // SAFETY: the kernel chooses where it maps, so nothing of ours is mapped over.
    let map = unsafe { mmap(ptr::null_mut(), mapped, ProtFlags::READ, MapFlags::SHARED, file, from) }?;
    let mut data = Vec::with_capacity(length);
    for at in (start..mapped).step_by(4) {
        // SAFETY: `at + 4` is within the mapping, whose start is that of a page and `at` a multiple of four, so the access
        // is aligned; it is volatile, as what is read are registers. That no device answers reads as all ones.
        let word = unsafe { map.cast::<u8>().add(at).cast::<u32>().read_volatile() };
        // Registers are little-endian, as all processors are that the agent is built for.
        data.extend(word.to_ne_bytes());
    }
    // SAFETY: the mapping is ours, whole, and no reference into it is left.
    unsafe { munmap(map, mapped) }?;
    data.truncate(length);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn words_are_read_in_their_order_from_any_offset() {
        let path = std::env::temp_dir().join(format!("slotwise-region-{}", std::process::id()));
        let content: Vec<u8> = (0..8192_u32).flat_map(u32::to_le_bytes).collect();
        File::create(&path).unwrap().write_all(&content).unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(read(&file, 0, 8).unwrap(), content[..8]);
        assert_eq!(read(&file, 4092, 8).unwrap(), content[4092..4100]);
        assert_eq!(read(&file, 8192, 4096).unwrap(), content[8192..12288]);
        assert!(read(&file, 0, 0).unwrap().is_empty());
        std::fs::remove_file(path).unwrap();
    }
}
