//! Going through the lines: titles open a function, fields and hex lines fill it.

use super::fields::field;
use super::hex::{self, HexLine};
use super::lines::{Line, lines};
use super::title;
use super::unwrap::unwrapped;
use super::{LspciFault, LspciFaultKind, LspciFunction, LspciText, MAX_FAULTS, MAX_FUNCTIONS};
use crate::pci::EXTENDED_SIZE;

/// Bytes on a line of a dump.
const HEX_LINE: usize = 16;

pub(super) fn read(text: &[u8]) -> LspciText {
    let mut reader = Reader { double_spaced: is_double_spaced(text), ..Reader::default() };
    for line in unwrapped(lines(text)) {
        reader.line(&line);
    }
    reader.close();
    reader.compare_repeats();
    reader.text
}

/// Whether nearly every other line is blank. A blank line ends a function, unless a mailer put one between all lines.
fn is_double_spaced(text: &[u8]) -> bool {
    let (blank, all) = lines(text)
        .fold((0usize, 0usize), |(blank, all), line| (blank + usize::from(line.text.is_empty()), all + 1));
    blank * 20 > all * 9
}

#[derive(Default)]
struct Reader {
    text: LspciText,
    current: Option<LspciFunction>,
    double_spaced: bool,
    /// A blank line was met since the function's title: only a dump may still follow.
    after_blank: bool,
    /// The dump of the function has begun: a second one cannot be its own.
    hex_seen: bool,
    /// Where a torn hex line goes on, if the next line holds exactly the bytes that it lacks.
    torn: Option<HexLine>,
}

impl Reader {
    fn fault(&mut self, line: usize, kind: LspciFaultKind) {
        if self.text.faults.len() < MAX_FAULTS {
            self.text.faults.push(LspciFault { line, kind });
        } else {
            self.text.more_faults += 1;
        }
    }

    fn close(&mut self) {
        if let Some(function) = self.current.take() {
            self.text.functions.push(function);
        }
    }

    fn line(&mut self, line: &Line<'_>) {
        if line.cut {
            self.fault(line.number, LspciFaultKind::LongLine);
        }
        if let (Some(torn), Some(function)) = (self.torn.take(), &mut self.current)
            && let Some(rest) = torn.continued_by(&line.text, HEX_LINE)
        {
            // Of what `record` finds only that it is a short line, which it is by its nature.
            record(function, &rest);
            if let Some(LspciFault { kind, .. }) = self.text.faults.last_mut()
                && let LspciFaultKind::DamagedHex { offset, .. } = *kind
            {
                *kind = LspciFaultKind::TornHex { offset };
            }
            return;
        }
        if line.text.is_empty() {
            self.after_blank = self.after_blank || !self.double_spaced;
            return;
        }
        if let Some(title) = title::parse(&line.text, line.number) {
            self.title(line.number, title);
        } else if let Some(hex) = hex::parse(&line.text) {
            self.hex(line.number, &hex);
        } else if !self.after_blank
            && let Some(mut function) = self.current.take()
        {
            let outcome = field(&mut function, line);
            self.current = Some(function);
            if let Err(kind) = outcome {
                self.fault(line.number, kind);
            }
        }
    }

    fn title(&mut self, number: usize, title: Result<LspciFunction, crate::pci::AddressError>) {
        self.close();
        (self.after_blank, self.hex_seen) = (false, false);
        match title {
            Ok(_) if self.text.functions.len() == MAX_FUNCTIONS => {
                self.fault(number, LspciFaultKind::TooMany);
            }
            Ok(function) => self.current = Some(function),
            Err(error) => self.fault(number, LspciFaultKind::Address(error)),
        }
    }

    fn hex(&mut self, number: usize, line: &HexLine) {
        if self.after_blank && self.hex_seen {
            self.close();
        }
        let Some(mut function) = self.current.take() else {
            // A line of one or two bytes without a function is more likely talk than a dump.
            if line.bytes.len() >= HEX_LINE / 2 {
                self.fault(number, LspciFaultKind::OrphanHex);
            }
            return;
        };
        self.hex_seen = true;
        let faults = record(&mut function, line);
        self.current = Some(function);
        for kind in faults {
            self.fault(number, kind);
        }
        self.torn = line.damaged.then(|| line.clone());
    }

    /// Names addresses that occur twice and differ: in their dumps, or in what they are, as where several hosts are in one
    /// text.
    fn compare_repeats(&mut self) {
        let mut last = std::collections::BTreeMap::new();
        let mut faults = Vec::new();
        let dumps = self.text.functions.iter().filter(|function| !function.config.is_empty());
        let listed = self.text.functions.iter().filter(|function| function.config.is_empty());
        let others = |one: &LspciFunction, other: &LspciFunction| {
            one.config != other.config || one.id.zip(other.id).is_some_and(|(one, other)| one != other)
        };
        // Each with its like: a listing and a dump of one function are one text's two halves.
        for (function, kind) in dumps.map(|dump| (dump, true)).chain(listed.map(|listed| (listed, false))) {
            if let Some(before) = last.insert((function.address, kind), function)
                && others(before, function)
            {
                let kind = LspciFaultKind::Repeated { address: function.address, first: before.line };
                faults.push((function.line, kind));
            }
        }
        for (line, kind) in faults {
            self.fault(line, kind);
        }
        self.text.faults.sort_by_key(|fault| fault.line);
    }
}

/// Puts a hex line into the function's space.
fn record(function: &mut LspciFunction, line: &HexLine) -> Vec<LspciFaultKind> {
    let mut faults = Vec::new();
    let Ok(offset) = u16::try_from(line.offset) else { return vec![LspciFaultKind::HexPastEnd] };
    let used = line.bytes.len();
    for (&byte, place) in line.bytes.iter().zip(offset..) {
        if usize::from(place) >= EXTENDED_SIZE {
            faults.push(LspciFaultKind::HexPastEnd);
            break;
        }
        match function.config.u8(place) {
            Some(before) if before != byte => {
                faults.push(LspciFaultKind::ConflictingHex { offset: place });
                break;
            }
            _ => {
                function.config.set(place, byte);
            }
        }
    }
    if line.damaged {
        faults.push(LspciFaultKind::DamagedHex { offset, used });
    } else if used < HEX_LINE {
        faults.push(LspciFaultKind::ShortHex { offset, used });
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::{RegionAddress, read};
    use super::*;
    use crate::facts::{DriverName, GroupId, ModuleName};
    use crate::pci::{InterruptPin, PciId, Space, Window};
    use proptest::prelude::*;

    fn kinds(text: &LspciText) -> Vec<(usize, LspciFaultKind)> {
        text.faults.iter().map(|fault| (fault.line, fault.kind.clone())).collect()
    }

    const VERBOSE: &str = "\
00:1c.0 PCI bridge [0604]: Intel Corporation Root Port [8086:a110] (rev f1) (prog-if 00 [Normal decode])
\tSubsystem: Dell Root Port [1028:087b]
\tControl: I/O+ Mem+ BusMaster+
\tInterrupt: pin A routed to IRQ 122
\tNUMA node: 0
\tIOMMU group: 7
\tBus: primary=00, secondary=01, subordinate=39, sec-latency=0
\tI/O behind bridge: f000-0fff [disabled] [16-bit]
\tMemory behind bridge: c4000000-da0fffff [size=353M] [32-bit]
\tPrefetchable memory behind bridge: 00000000a0000000-00000000c1ffffff
\tRegion 0: Memory at d0000000 (64-bit, non-prefetchable) [size=16M]
\tCapabilities: [40] Express (v2) Root Port (Slot+), MSI 00
\t\tDevCap:\tMaxPayload 256 bytes, PhantFunc 0
\tCapabilities: [100 v1] Single Root I/O Virtualization (SR-IOV)
\t\tRegion 0: Memory at 0000000000000000 (64-bit, prefetchable)
\tKernel driver in use: pcieport
\tKernel modules: shpchp, snd-hda-intel
";

    #[test]
    fn verbose_text_is_read_field_by_field() {
        let text = read(VERBOSE.as_bytes());
        assert_eq!(text.faults, []);
        let function = text.functions.first().expect("one function");
        assert_eq!(function.subsystem, Some(PciId { vendor: 0x1028, device: 0x087b }));
        assert_eq!((function.pin, function.irq), (Some(InterruptPin::A), Some(122)));
        assert_eq!((function.group, function.numa_node), (Some(GroupId(7)), Some(0)));
        assert_eq!(function.driver.as_ref().map(DriverName::as_str), Some("pcieport"));
        let modules: Vec<_> = function.modules.iter().map(ModuleName::as_str).collect();
        assert_eq!(modules, ["shpchp", "snd_hda_intel"]);
        let bridge = function.bridge.as_ref().expect("a bridge");
        assert_eq!((bridge.secondary, bridge.subordinate, bridge.io), (1, 0x39, None));
        assert_eq!(bridge.memory, Some(Window { start: 0xc400_0000, end: 0xda0f_ffff, width: 32 }));
        let regions: Vec<_> = function.regions.iter().map(|r| (r.index, r.address, r.size)).collect();
        assert_eq!(regions, [(Some(0), RegionAddress::At(0xd000_0000), Some(16 << 20))]);
        let capabilities: Vec<_> =
            function.capabilities.iter().map(|c| (c.offset, c.space, c.name, c.details.len())).collect();
        assert_eq!(
            capabilities,
            [(0x40, Space::Standard, "pci-express", 1), (0x100, Space::Extended, "sr-iov", 1)]
        );
    }

    #[test]
    fn quoting_and_cr_change_nothing() {
        let quoted: String = VERBOSE.lines().map(|line| format!("> {line}\r\n")).collect();
        assert_eq!(read(quoted.as_bytes()), read(VERBOSE.as_bytes()));
        let spaced: String = VERBOSE.lines().map(|line| format!("{line}\n\n")).collect();
        let (spaced, plain) = (read(spaced.as_bytes()), read(VERBOSE.as_bytes()));
        assert_eq!((spaced.functions, spaced.faults), (plain.functions, vec![]));
    }

    const TORN: &str = "\
00:00.0 Host bridge: x
00: 86 80 01 02 00 00 00 00 00 00 00 06 pcilib: read failed
00 00 80 00
10: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00

talk in between

20: 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
00:01.0 x: y
\tRegion 0: Memory at nowhere (32-bit, prefetchable)
\tCapabilities: <access denied>
00: 86
";

    #[test]
    fn damage_is_named_and_the_rest_used() {
        let text = read(TORN.as_bytes());
        assert_eq!(
            kinds(&text),
            [
                (2, LspciFaultKind::TornHex { offset: 0 }),
                (8, LspciFaultKind::OrphanHex),
                (10, LspciFaultKind::Field { what: "region" }),
                (11, LspciFaultKind::AccessDenied),
                (12, LspciFaultKind::ShortHex { offset: 0, used: 1 }),
            ]
        );
        let configs: Vec<_> = text.functions.iter().map(|f| (f.config.extent(), f.config.u8(14))).collect();
        assert_eq!(configs, [(32, Some(0x80)), (1, None)]);
        assert!(text.functions.iter().any(|function| function.capabilities_denied));
    }

    #[test]
    fn bytes_before_damage_are_kept_and_the_rest_is_unread() {
        let text =
            read(b"00:00.0 a: b\n00: 86 80 zz 11\n10: 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10\n");
        assert_eq!(kinds(&text), [(2, LspciFaultKind::DamagedHex { offset: 0, used: 2 })]);
        let config = text.functions.first().map(|function| &function.config);
        assert_eq!(config.and_then(|config| config.u8(3)), None);
        assert_eq!(config.and_then(|config| config.u8(0x1f)), Some(0x10));
    }

    #[test]
    fn an_address_that_occurs_again_is_kept_and_joined() {
        let text = read(
            b"01:00.0 a: b\n00: 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n\n01:00.0 0200: 8086:1521\n\
              00: 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n",
        );
        assert_eq!(text.functions.len(), 2);
        assert!(matches!(kinds(&text).as_slice(), [(4, LspciFaultKind::Repeated { first: 1, .. })]));
        let merged = text.merged();
        let joined = merged.first().expect("one function");
        assert_eq!((merged.len(), joined.name.as_deref(), joined.class), (1, Some("b"), Some(0x0200)));
        assert_eq!(joined.config.u8(0), Some(2));
    }

    #[test]
    fn hosts_that_differ_in_one_text_are_told() {
        let text = read(
            b"host a\n01:00.0 0200: 8086:1521\n\nhost b\n01:00.0 0300: 10de:1401\n01:00.1 0403: 10de:0fba\n",
        );
        assert!(matches!(kinds(&text).as_slice(), [(5, LspciFaultKind::Repeated { first: 2, .. })]));
        let twice =
            read(b"01:00.0 0200: 8086:1521\n\n01:00.0 Ethernet controller [0200]: Intel [8086:1521]\n");
        assert_eq!(twice.faults, []);
    }

    #[test]
    fn flags_of_terse_verbose_text_are_read() {
        let text = read(
            b"00:01.1 PCI bridge: AMD\n\tFlags: bus master, fast devsel, latency 0, IRQ 28, IOMMU group 1\n",
        );
        let function = text.functions.first().expect("one function");
        assert_eq!((function.irq, function.group), (Some(28), Some(GroupId(1))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = read(&bytes).merged();
        }

        #[test]
        fn torn_text_is_answered(at in 0usize..VERBOSE.len(), len in 0usize..40, noise in ".{0,20}") {
            let mut bytes = VERBOSE.as_bytes().to_vec();
            let end = (at + len).min(bytes.len());
            bytes.splice(at..end, noise.bytes());
            let text = read(&bytes);
            prop_assert!(text.functions.len() <= 2);
        }
    }
}
