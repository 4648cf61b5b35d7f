//! Numbers of lines that stand before them: `grep -n`, `cat -n`, `nl`, editors and web pages put them there.

use std::borrow::Cow;

/// The fewest lines with successive numbers that are believed to be numbered.
const FEWEST: usize = 3;
/// The most digits of a line's number.
const MOST_DIGITS: usize = 7;

/// `bytes` without the numbers of lines.
///
/// Lines one below the other whose numbers follow each other have them; not so where each of them begins with the address of a
/// function, as those of buses with one function each do (`01:00.0`, `02:00.0`), nor from 0 on, as IOMMU groups are numbered and
/// lines are not.
pub(super) fn without_numbers(bytes: &[u8]) -> Cow<'_, [u8]> {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let heads: Vec<Option<Head>> = lines.iter().map(|line| head(line)).collect();
    let mut plain: Option<Vec<u8>> = None;
    let mut first = 0;
    while first < lines.len() {
        let run = run(heads.get(first..).unwrap_or_default());
        let heads_of_run = || heads.iter().skip(first).take(run).flatten();
        let numbered = run >= FEWEST
            && heads_of_run().all(|head| head.number > 0)
            && heads_of_run().any(|head| !head.of_address);
        if numbered && plain.is_none() {
            let mut before = Vec::with_capacity(bytes.len());
            lines.iter().take(first).for_each(|line| push(&mut before, line));
            plain = Some(before);
        }
        let taken = run.max(1);
        if let Some(plain) = &mut plain {
            for (line, head) in lines.iter().zip(&heads).skip(first).take(taken) {
                let length = head.as_ref().filter(|_| numbered).map_or(0, |head| head.length);
                push(plain, line.get(length..).unwrap_or_default());
            }
        }
        first += taken;
    }
    match plain {
        Some(mut plain) => {
            // One line end more was put than there are lines ended.
            plain.pop();
            Cow::Owned(plain)
        }
        None => Cow::Borrowed(bytes),
    }
}

fn push(into: &mut Vec<u8>, line: &[u8]) {
    into.extend_from_slice(line);
    into.push(b'\n');
}

/// What may be the number of a line.
struct Head {
    number: u32,
    /// Bytes to what the line holds.
    length: usize,
    /// Whether the number may be the first part of an address.
    of_address: bool,
}

/// `487-`, `486:`, `   12\t`, `12 | `, `12. ` before anything.
fn head(line: &[u8]) -> Option<Head> {
    let blank = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let digits = line.iter().skip(blank).take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(line.get(blank..blank + digits)?).ok()?;
    let number = if (1..=MOST_DIGITS).contains(&digits) { number.parse().ok()? } else { return None };
    let end = blank + digits;
    let length = match line.get(end)? {
        b':' | b'-' | b'\t' => end + 1,
        // Spaces set numbers off, as many as it takes; what is indented beyond one is the line's.
        b' ' if line.get(end + 1..)?.starts_with(b"| ") => end + 3,
        b'.' | b')' | b'|' if line.get(end + 1) == Some(&b' ') => end + 2,
        _ => return None,
    };
    let of_address = line.get(end) == Some(&b':') && digits <= 4;
    Some(Head {
        number,
        length,
        of_address: of_address && line.get(length..).is_some_and(is_rest_of_address),
    })
}

/// `00.0 `, `00:1f.3 ` behind the first part of an address.
fn is_rest_of_address(rest: &[u8]) -> bool {
    let rest = String::from_utf8_lossy(rest.get(..8).unwrap_or(rest));
    let word = rest.split(' ').next().unwrap_or_default();
    format!("0000:00:{word}").parse::<crate::pci::PciAddress>().is_ok()
        || format!("00:{word}").parse::<crate::pci::PciAddress>().is_ok()
        || format!("0000:{word}").parse::<crate::pci::PciAddress>().is_ok()
}

/// How many of `heads` from the first have successive numbers.
fn run(heads: &[Option<Head>]) -> usize {
    let Some(Some(first)) = heads.first() else { return 0 };
    heads
        .iter()
        .zip(first.number..)
        .take_while(|(head, number)| head.as_ref().is_some_and(|head| head.number == *number))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        String::from_utf8_lossy(&without_numbers(text.as_bytes())).into_owned()
    }

    #[test]
    fn numbers_of_lines_are_taken_off() {
        assert_eq!(
            plain("$ grep\n486:03:00.0 a: b\n487-    Subsystem: c\n488-\tFlags: d\nend\n"),
            "$ grep\n03:00.0 a: b\n    Subsystem: c\n\tFlags: d\nend\n"
        );
        assert_eq!(
            plain("     9\t00:00.0 a: b\n    10\t00:01.0 c: d\n    11\t00:02.0 e: f"),
            "00:00.0 a: b\n00:01.0 c: d\n00:02.0 e: f"
        );
        assert_eq!(plain("1. a\n2. b\n3. c\n"), "a\nb\nc\n");
    }

    #[test]
    fn addresses_offsets_and_other_numbers_stay() {
        for text in [
            "01:00.0 a: b\n02:00.0 c: d\n03:00.0 e: f\n",
            "0001:00:00.0 a: b\n0002:00:00.0 c: d\n0003:00:00.0 e: f\n",
            "00: 86 80\n10: 01 02\n20: 03 04\n",
            "1. a\n2. b\n4. c\n",
            "1 2 3\n",
            "0: 00:00.0 a\n1: 00:01.0 b\n2: 00:02.0 c\n3: 00:03.0 d\n",
        ] {
            assert!(matches!(without_numbers(text.as_bytes()), Cow::Borrowed(_)), "{text}");
        }
    }
}
