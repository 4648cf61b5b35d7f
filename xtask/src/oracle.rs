//! `cargo xtask oracle`: our PCI decoder against lspci, field by field.
//!
//! Three comparisons, over the corpus that `SLOTWISE_CORPUS` names (default `../shared/testdata` beside the
//! workspace): our reading of each dump against the stored decode of pciutils 3.14; every configuration space of the
//! corpus against the `lspci` of this machine; and spaces made from those by seeded mutation against the same. A field
//! counts where lspci prints it. The lists of capabilities and the ends of their chains must be equal both ways.
//!
//! Not held against lspci, on purpose: bytes missing in the middle of a dump (lspci reads 0xff there, we read nothing,
//! so the spaces that are fed to it have no holes); an expansion ROM register that reads all ones (lspci lists it, we
//! take it for an absent register); registers of a block of which lspci could not read the end (it prints nothing of
//! the block, we use what is there); the upper half of a 64-bit BAR as a region of its own. What lspci itself cannot
//! decode (it ends with "Internal bug", or prints memory that it never read) is left out and counted.

mod corpus;
mod lspci;
mod mutate;
mod ours;
mod tally;

use std::error::Error;
use std::path::PathBuf;

use slotwise_core::facts::lspci::LspciFunction;
use slotwise_core::pci::{ConfigSpace, PciAddress, decode};

use lspci::Printed;
use tally::Tally;

/// Mutated spaces that are compared, unless `SLOTWISE_ORACLE_CASES` says otherwise.
const CASES: usize = 2_000;
/// Seed of the mutations, unless `SLOTWISE_ORACLE_SEED` says otherwise.
const SEED: u64 = 0x5107_5e15;

/// Runs every comparison and prints agreement per field; an error if anything disagrees.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let corpus = std::env::var_os("SLOTWISE_CORPUS").map_or_else(default_corpus, PathBuf::from);
    let mut tally = Tally::default();
    let spaces = corpus::compare_stored(&corpus.join("pci"), &mut tally)?;
    println!("{} configuration spaces in {}", spaces.len(), corpus.display());
    if lspci::available() {
        compare_live(&spaces, "lspci -F", &mut tally)?;
        let cases = number("SLOTWISE_ORACLE_CASES")?.unwrap_or(CASES);
        let seed = number("SLOTWISE_ORACLE_SEED")?.unwrap_or(SEED);
        let mutated = mutate::spaces(&spaces, cases, seed);
        println!("{cases} mutated spaces (seed {seed:#x})");
        compare_live(&mutated, "mutated", &mut tally)?;
    } else {
        println!("no lspci on this machine: only stored decodes were compared");
    }
    tally.print();
    tally.verdict()
}

fn default_corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata")
}

fn number<T: std::str::FromStr>(variable: &str) -> Result<Option<T>, String> {
    match std::env::var(variable) {
        Ok(text) => text.parse().map(Some).map_err(|_| format!("{variable} is not a number: {text:?}")),
        Err(_) => Ok(None),
    }
}

/// Spaces that go to one run of lspci.
const BATCH: usize = 256;

fn compare_live(spaces: &[ConfigSpace], source: &str, tally: &mut Tally) -> Result<(), Box<dyn Error>> {
    for batch in spaces.chunks(BATCH) {
        for (address, printed) in lspci::decode(batch, tally)? {
            let Some(space) = batch.get(usize::from(address.requester_id())) else { continue };
            compare(space, &printed, &format!("{source} {space:?}"), Addresses::FromRegisters, tally);
        }
    }
    Ok(())
}

/// Where lspci took addresses and interrupt numbers from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Addresses {
    /// The registers of the dump.
    FromRegisters,
    /// The kernel: they need not be those of the registers.
    FromKernel,
}

/// Compares what lspci printed of one function with our decode of its bytes.
fn compare(space: &ConfigSpace, printed: &Printed, place: &str, addresses: Addresses, tally: &mut Tally) {
    match decode(space) {
        Ok(function) => {
            ours::header(&function, printed, addresses, place, tally);
            ours::capabilities(&function, printed, place, tally);
        }
        Err(error) => tally.disagree("decode", place, &error.to_string(), &printed.raw),
    }
}

/// Pairs each printed function with ours of the same address; where an address occurs more than once, with the one
/// that agrees best, because lspci sorts them.
fn compare_all(
    ours: &[LspciFunction],
    printed: &[Printed],
    place: &str,
    addresses: Addresses,
    tally: &mut Tally,
) {
    let mut left: Vec<&LspciFunction> = ours.iter().filter(|f| f.config.extent() >= 64).collect();
    for printed in printed {
        let address: PciAddress = printed.function.address;
        let place = format!("{place} {address}");
        let score = |candidate: &LspciFunction| {
            let mut trial = Tally::default();
            compare(&candidate.config, printed, &place, addresses, &mut trial);
            trial.disagreements()
        };
        let candidates = left.iter().enumerate().filter(|(_, f)| f.address == address);
        let Some((index, _)) = candidates.min_by_key(|(_, f)| score(f)) else {
            tally.disagree("function", &place, "not read", &printed.raw);
            continue;
        };
        let candidate = left.remove(index);
        tally.agree("function");
        compare(&candidate.config, printed, &place, addresses, tally);
    }
    // Of a tree, lspci shows what is linked from `bus/pci/devices`.
    let unprinted = left.into_iter().filter(|_| addresses == Addresses::FromRegisters);
    for function in unprinted {
        tally.disagree("function", &format!("{place} {}", function.address), "read", "not printed");
    }
}
