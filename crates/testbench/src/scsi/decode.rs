//! Command descriptor blocks and sense data in words, for people who read a report.
//!
//! Fields are those of X3.131-1994: 7.2 (tables 20 to 22, the typical six-, ten- and twelve-byte blocks), 8.2.5 (INQUIRY),
//! 8.2.8 and 8.2.10 (MODE SELECT and MODE SENSE), 8.2.14 (REQUEST SENSE). A block of another kind is shown by the typical
//! one of its group; a vendor's own group by its operation code alone.

use super::{SenseCode, sense_key_name};

/// A big-endian number of up to eight bytes; bytes that are not there count as zero.
fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    let byte = |place: usize| u64::from(bytes.get(place).copied().unwrap_or_default());
    (at..at + width).fold(0, |value, place| value << 8 | byte(place))
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or_default()
}

/// A command descriptor block, a field a text.
pub fn cdb_fields(cdb: &[u8]) -> Vec<String> {
    let Some(opcode) = cdb.first().copied() else { return Vec::new() };
    let mut fields = vec![format!("operation code {opcode:02X}h")];
    // The three bits of the group code say how long a block is (7.2.1).
    let control = match opcode >> 5 {
        0 => 5,
        1 | 2 => 9,
        5 => 11,
        _ => return fields,
    };
    fields.push(format!("logical unit {}", byte(cdb, 1) >> 5));
    match opcode {
        0x03 => fields.push(format!("allocation length {}", byte(cdb, 4))),
        0x12 => {
            fields.push(format!("EVPD {}", byte(cdb, 1) & 1));
            fields.push(format!("page code {:02X}h", byte(cdb, 2)));
            fields.push(format!("allocation length {}", byte(cdb, 4)));
        }
        0x15 | 0x55 => {
            fields.push(format!("PF {}", byte(cdb, 1) >> 4 & 1));
            fields.push(format!("SP {}", byte(cdb, 1) & 1));
            let length = if opcode == 0x15 { number(cdb, 4, 1) } else { number(cdb, 7, 2) };
            fields.push(format!("parameter list length {length}"));
        }
        0x1a | 0x5a => {
            fields.push(format!("DBD {}", byte(cdb, 1) >> 3 & 1));
            fields.push(format!("page control {}", byte(cdb, 2) >> 6));
            fields.push(format!("page code {:02X}h", byte(cdb, 2) & 0x3f));
            let length = if opcode == 0x1a { number(cdb, 4, 1) } else { number(cdb, 7, 2) };
            fields.push(format!("allocation length {length}"));
        }
        0x00..=0x1f => {
            fields.push(format!("block {}", number(cdb, 1, 3) & 0x1f_ffff));
            fields.push(format!("length {}", byte(cdb, 4)));
        }
        0xa0..=0xbf => {
            fields.push(format!("block {}", number(cdb, 2, 4)));
            fields.push(format!("length {}", number(cdb, 6, 4)));
        }
        _ => {
            fields.push(format!("block {}", number(cdb, 2, 4)));
            fields.push(format!("length {}", number(cdb, 7, 2)));
        }
    }
    fields.push(format!("control {:02X}h", byte(cdb, control)));
    fields
}

/// Sense data of the fixed format, a field a text (8.2.14, table 63); empty for any other.
pub fn sense_fields(sense: &[u8]) -> Vec<String> {
    let Some(code) = SenseCode::from_sense(sense) else { return Vec::new() };
    let first = byte(sense, 0);
    let deferred = if first & 0x7f == 0x71 { "deferred error" } else { "current error" };
    let mut fields = vec![format!("{deferred} ({:02X}h)", first & 0x7f)];
    fields.push(format!("sense key {:X}h {}", code.key, sense_key_name(code.key)));
    if first & 0x80 != 0 {
        fields.push(format!("information {} (valid)", number(sense, 3, 4)));
    }
    let bits = [(0x80, "filemark"), (0x40, "end of medium"), (0x20, "incorrect length")];
    let set = bits.iter().filter(|(bit, _)| byte(sense, 2) & bit != 0);
    fields.extend(set.map(|(_, name)| (*name).to_owned()));
    fields.push(format!("additional length {}", byte(sense, 7)));
    fields.push(format!("ASC {:02X}h, ASCQ {:02X}h", code.code, code.qualifier));
    // The sense-key specific bytes of ILLEGAL REQUEST point at the field at fault (table 66).
    if code.key == 5 && byte(sense, 15) & 0x80 != 0 {
        let place = if byte(sense, 15) & 0x40 != 0 { "command" } else { "parameter list" };
        fields.push(format!("at fault: byte {} of the {place}", number(sense, 16, 2)));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_each_length_are_told_by_their_fields() {
        let told = |cdb: &[u8]| cdb_fields(cdb).join("; ");
        assert_eq!(
            told(&[0x28, 0x20, 0, 0, 0x0f, 0xff, 0, 0, 2, 0x01]),
            "operation code 28h; logical unit 1; block 4095; length 2; control 01h"
        );
        assert_eq!(
            told(&[0x08, 0x1f, 0xff, 0xff, 0, 0]),
            "operation code 08h; logical unit 0; block 2097151; length 0; control 00h"
        );
        assert!(told(&[0x12, 1, 0x80, 0, 255, 0]).contains("EVPD 1; page code 80h; allocation length 255"));
        assert!(told(&[0x1a, 8, 0xbf, 0, 9, 0]).contains("DBD 1; page control 2; page code 3Fh"));
        assert!(told(&[0xa8, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0]).contains("block 1; length 256"));
        assert_eq!(told(&[0xc0, 1, 2]), "operation code C0h");
        assert_eq!(told(&[]), "");
        assert!(told(&[0x28]).ends_with("control 00h"));
    }

    #[test]
    fn sense_tells_the_byte_at_fault() {
        let mut sense = [0; 18];
        (sense[0], sense[2], sense[6], sense[7]) = (0xf0, 0x05, 7, 10);
        (sense[12], sense[15], sense[17]) = (0x24, 0xc0, 2);
        assert_eq!(
            sense_fields(&sense).join("; "),
            "current error (70h); sense key 5h ILLEGAL REQUEST; information 7 (valid); additional length 10; \
             ASC 24h, ASCQ 00h; at fault: byte 2 of the command"
        );
        assert!(sense_fields(&[0x72, 5]).is_empty() && sense_fields(&[]).is_empty());
    }
}
