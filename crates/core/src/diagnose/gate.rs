//! The gate before everything else: which lines of a long log are worth a look at all.
//!
//! Short inputs (a paste, a forum post) are read line by line. In long ones a set of short fragments is searched
//! with the SIMD multi-pattern search of `aho_corasick::packed` (Teddy), which runs at gigabytes a second as long
//! as hits are rare; only lines with a hit are decoded and matched. The fragments were picked by a greedy cover
//! of the anchors that prefers those rare in ordinary kernel logs; what matters is only that every anchor of the
//! kernel, QEMU, libvirt, Proxmox VE and Xen rows contains one, and a test proves that. Case matters here: anchors
//! are written in the case in which programs print them.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, packed};

/// The fragments; see the module's introduction.
pub(super) const WORDS: &[&str] = &[
    "-bits",
    "/iommu",
    "000c0000-",
    ": assigned",
    "Active",
    "BAR resize",
    "CACH",
    "CMA",
    "D3co",
    "DENI",
    "DMAR",
    "Disabli",
    "EOUT",
    "FLR",
    "FOLL",
    "Fata",
    "Flags",
    "Func",
    "GROU",
    "INTR",
    "INTX",
    "INTx",
    "IOAS",
    "IOMM",
    "IOV",
    "IO_P",
    "IVRS",
    "LIBU",
    "LOCK",
    "Link Down",
    "MSI",
    "OTFB",
    "PCI BAR?",
    "PoD",
    "QEMU",
    "RDM",
    "RMRR",
    "Slot(",
    "TRIG",
    "Unha",
    "VFIO",
    "VFs",
    "VGA region",
    "XEN",
    "Xen",
    "_hole",
    "_iommu",
    "_pte",
    "abov",
    "acce",
    "afte",
    "ailed",
    "allow_",
    "alre",
    "ared",
    "arm_",
    "at max share",
    "atible",
    "atta",
    "availabl",
    "booti",
    "bus/",
    "can",
    "chang",
    "cma",
    "cohe",
    "configured",
    "containe",
    "ddin",
    "deli",
    "deni",
    "devic",
    "domain_",
    "dowed",
    "dths",
    "efif",
    "eloc",
    "enfo",
    "errat",
    "erro",
    "fake",
    "fall",
    "fault addr",
    "free",
    "gnable",
    "gnment",
    "have",
    "heade",
    "hers",
    "iehp",
    "igra",
    "imed",
    "in use by VM",
    "inac",
    "ink is down",
    "inue",
    "iova",
    "ires",
    "is in use",
    "is not a VF",
    "lacki",
    "libx",
    "licting",
    "ligned",
    "longt",
    "mach",
    "map",
    "mar_",
    "mdev",
    "memlo",
    "more",
    "msi",
    "mufd",
    "must",
    "ncorrecta",
    "nected",
    "nnot",
    "no GSI",
    "no VF",
    "nvalid",
    "ocked",
    "oken",
    "ommu_",
    "open",
    "override",
    "pace",
    "passes",
    "passt",
    "pcib",
    "pcie-",
    "peer-",
    "permis",
    "pin_u",
    "plugg",
    "preve",
    "prli",
    "qi_s",
    "rected",
    "reset",
    "resou",
    "rev ff",
    "romf",
    "save/",
    "seiz",
    "sent",
    "seve",
    "simp",
    "sout",
    "srio",
    "starti",
    "stil",
    "sub-",
    "subp",
    "suit",
    "than",
    "thin",
    "to assign",
    "trai",
    "uldn",
    "underf",
    "unex",
    "usab",
    "usb-h",
    "vesa",
    "vfio",
    "vgaa",
    "viab",
    "virtuali",
    "whic",
    "x-vg",
    "x2ap",
    "xen_",
    "xend",
    "xl create",
];

/// Most patterns that one Teddy search takes.
const TEDDY_LIMIT: usize = 64;

enum Search {
    Packed(packed::Searcher),
    Automaton(AhoCorasick),
}

static SEARCHES: LazyLock<Vec<Search>> = LazyLock::new(|| {
    WORDS
        .chunks(TEDDY_LIMIT)
        .filter_map(|words| {
            let packed = packed::Config::new().builder().extend(words).build().map(Search::Packed);
            // Processors without the needed vector instructions get the ordinary automaton.
            packed.or_else(|| AhoCorasick::new(words).ok().map(Search::Automaton))
        })
        .collect()
});

/// Walks over the positions of gate words in a text, in order, skipping what the caller has dealt with.
pub(super) struct Gate<'a> {
    text: &'a [u8],
    next: Vec<Option<usize>>,
}

impl<'a> Gate<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, next: SEARCHES.iter().map(|search| find(search, text, 0)).collect() }
    }

    /// The first position at or after `from` where a word begins.
    pub(super) fn next_from(&mut self, from: usize) -> Option<usize> {
        for (search, next) in SEARCHES.iter().zip(&mut self.next) {
            if next.is_some_and(|position| position < from) {
                *next = find(search, self.text, from);
            }
        }
        self.next.iter().filter_map(|next| *next).min()
    }
}

fn find(search: &Search, text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let found = match search {
        Search::Packed(packed) => packed.find(rest).map(|hit| hit.start()),
        Search::Automaton(automaton) => automaton.find(rest).map(|hit| hit.start()),
    };
    found.map(|start| from + start)
}
