//! What the bench writes to a disk so that guests which can only read have something to find: a boot record, and sectors
//! that name their own address.
//!
//! A mark is text, so that whatever a system shows a sector with — `cat`, `dd`, a hexadecimal dump — shows it whole. Each of
//! its lines of 32 bytes has the address and the line's number: a sector from elsewhere, a short one, or one in pieces
//! is told from the right one.

/// Bytes of a block that can be marked. Disks with other blocks are not.
pub const BLOCK_BYTES: u64 = 512;

/// The boot record: `data/programs/boot-record.S`, assembled.
pub const BOOT_RECORD: &[u8; 512] = include_bytes!("../../data/programs/boot-record.bin");

/// What the boot record says when it is started.
pub const BOOT_WORD: &str = "slotwise boot record";

/// The sectors that are marked beside the last one. The boot record has the same in its table.
pub const MARKED: [u64; 4] = [1, 63, 2048, 65_535];

const LINES: u64 = 16;

/// The mark of a sector: 512 bytes of text.
#[must_use]
pub fn mark(lba: u64) -> String {
    (0..LINES).map(|line| format!("slotwise mark {lba:08x} part {line:02x} \n")).collect()
}

/// What is wrong with a text that should have the mark of this sector, if anything. What stands around the lines (the echo
/// of a command, a prompt, line ends of a terminal) does not matter.
#[must_use]
pub fn fault(lba: u64, text: &str) -> Option<String> {
    let found: Vec<&str> = text.match_indices("slotwise mark ").map(|(at, _)| line_at(text, at)).collect();
    if found.is_empty() {
        return Some(format!("no mark where sector {lba} was read"));
    }
    let expected = mark(lba);
    let expected: Vec<&str> = expected.lines().map(str::trim_end).collect();
    let differing = expected.iter().zip(&found).find(|(right, own)| right != own);
    match differing {
        Some((right, own)) => Some(format!("sector {lba} should have `{right}`, and `{own}` was read")),
        None if found.len() != expected.len() => {
            Some(format!("sector {lba} has {} lines, and {} were read", expected.len(), found.len()))
        }
        None => None,
    }
}

/// Whether a text has any mark at all.
#[must_use]
pub fn has_any(text: &str) -> bool {
    text.contains("slotwise mark ")
}

/// The line that begins at a byte offset.
fn line_at(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default().lines().next().unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_mark_fills_a_sector_and_is_found_amid_other_text() {
        assert_eq!(mark(63).len(), 512);
        assert_eq!(
            fault(63, &format!("cat (hd0)63+1\r\n{}\r\ngrub> ", mark(63).replace('\n', "\r\n"))),
            None
        );
    }

    #[test]
    fn the_wrong_sector_a_short_one_and_none_are_told() {
        assert!(fault(63, &mark(64)).unwrap().contains("0000003f"));
        assert!(fault(63, mark(63).get(..256).unwrap()).unwrap().contains("16 lines, and 8"));
        let mixed = format!("{}{}", mark(63).get(..256).unwrap(), mark(64).get(256..).unwrap());
        assert!(fault(63, &mixed).unwrap().contains("part 08"));
        assert!(fault(63, "error: beyond the total sectors.").unwrap().starts_with("no mark"));
    }

    #[test]
    fn the_boot_record_can_be_booted_and_reads_what_is_marked() {
        assert_eq!(BOOT_RECORD[510..], [0x55, 0xaa]);
        for lba in MARKED {
            let entry = u32::try_from(lba).unwrap().to_le_bytes();
            assert!(BOOT_RECORD.windows(4).any(|bytes| bytes == entry), "sector {lba} is not in its table");
        }
    }

    /// Where the tools are: what is shipped is what the source says.
    #[test]
    fn programs_are_as_their_sources_make_them() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/programs");
        let scratch = tempfile::tempdir().unwrap();
        for (name, link) in [
            ("boot-record", ["-Ttext", "0x7c00", "--oformat", "binary"].as_slice()),
            ("multiboot", ["-Ttext", "0x100000", "--oformat", "binary"].as_slice()),
        ] {
            let object = scratch.path().join("o");
            let made = scratch.path().join("made");
            let source = directory.join(format!("{name}.S"));
            let assembled = Command::new("cc").args(["-m32", "-c", "-o"]).arg(&object).arg(source).status();
            if !assembled.is_ok_and(|status| status.success()) {
                eprintln!("skipped: no assembler for x86");
                return;
            }
            let linked = Command::new("ld")
                .args(["-m", "elf_i386"])
                .args(link)
                .arg("-o")
                .arg(&made)
                .arg(&object)
                .status();
            assert!(linked.unwrap().success());
            let (made, shipped) =
                (std::fs::read(made).unwrap(), std::fs::read(directory.join(format!("{name}.bin"))).unwrap());
            assert!(made == shipped, "{name}.bin is not what {name}.S makes");
        }
    }
}
