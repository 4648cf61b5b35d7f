//! `cargo xtask placement`: is each BAR where the planner says?
//!
//! Machines are generated, with emulated devices for cards. The planner says where each BAR and each bridge's window will
//! be; then QEMU starts the machine, the distribution's firmware places them, and its registers are read. Emulated devices
//! need no VFIO, and firmware no system, so this takes neither the lab nor hardware.

mod compare;
mod emulator;
mod generate;
mod ours;
mod page;
mod predict;
mod set;
mod stand_in;

use std::process::Command;

use slotwise_core::vm::address_space::{Edk2Release, Placer, SeaBiosVersion};

use crate::{Result, build, packages};
use emulator::{Emulator, Started};
use set::{Firmware, Set};
use stand_in::Catalogue;

const PAGE: &str = "docs/reference/placement.md";

/// Which machines, and whether the result is kept.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Those of SeaBIOS, every second.
    pub(crate) short: bool,
    pub(crate) only: Option<String>,
    pub(crate) write: bool,
}

/// The firmware of this machine.
pub(super) struct Releases {
    seabios: SeaBiosVersion,
    ovmf: Edk2Release,
    /// As they say it themselves, with QEMU's.
    words: String,
}

/// Foretells and starts machines; an error if one came otherwise.
pub(crate) fn run(wanted: &Wanted) -> Result {
    packages::ensure()?;
    let mut sets = generate::sets(&Catalogue::read()?)?;
    if wanted.short {
        sets.retain(|set| set.firmware == Firmware::SeaBios);
        sets = sets.into_iter().step_by(2).collect();
    }
    sets.retain(|set| wanted.only.as_ref().is_none_or(|text| set.name.contains(text.as_str())));
    let releases = Releases::of_this_machine()?;
    let measured = predict::measure(&sets)?;
    println!("{} machines; {}", sets.len(), releases.words);
    let (mut trials, mut untried) = (Vec::new(), 0);
    for set in &sets {
        match compare::try_out(set, releases.placer(set), &measured) {
            Ok(trial) => {
                print!("{}", page::shown(&trial, wanted.only.is_some()));
                trials.push(trial);
            }
            Err(error) => {
                println!("NOT TRIED  {}: {error}", set.name);
                untried += 1;
            }
        }
    }
    println!("\n{}", page::counts(&trials));
    if wanted.write && untried == 0 {
        std::fs::write(build::root().join(PAGE), page::page(&trials, &releases.words))?;
        println!("written to {PAGE}");
    }
    let wrong = trials.iter().filter(|trial| trial.wrong() > 0).count();
    if wrong + untried == 0 {
        return Ok(());
    }
    Err(format!("{wrong} of {} machines came otherwise, {untried} could not be tried", sets.len()).into())
}

impl Releases {
    /// SeaBIOS names its own; the package of OVMF has the release of edk2 for a version.
    fn of_this_machine() -> Result<Self> {
        let machine = ["-machine", "pc", "-m", "32"].map(str::to_owned);
        let mut emulator = match Emulator::boot(&machine, Firmware::SeaBios)? {
            Started::Up(emulator) => emulator,
            Started::Refused(said) => return Err(format!("QEMU does not start: {said}").into()),
        };
        emulator.settle(Firmware::SeaBios)?;
        let banner = emulator.banner();
        let seabios = seabios_version(&banner).ok_or_else(|| format!("no release in {banner:?}"))?;
        let package = first_line("dpkg-query", &["-W", "-f", "${Version}", "ovmf"])?;
        let ovmf = edk2_release(&package).ok_or_else(|| format!("no release in ovmf {package:?}"))?;
        let qemu = first_line("qemu-system-x86_64", &["--version"])?;
        let words = format!("{qemu}; {banner}; ovmf {package}");
        Ok(Self { seabios, ovmf, words })
    }

    fn placer(&self, set: &Set) -> Placer {
        match set.firmware {
            Firmware::SeaBios => Placer::SeaBios(self.seabios),
            Firmware::Ovmf => Placer::Ovmf(self.ovmf),
        }
    }
}

/// `SeaBIOS (version 1.16.2-debian-1.16.2-1)`
fn seabios_version(banner: &str) -> Option<SeaBiosVersion> {
    let version = banner.split_once("version ")?.1.trim_start_matches("rel-");
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some(SeaBiosVersion(numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// `2022.11-6+deb12u2`
fn edk2_release(version: &str) -> Option<Edk2Release> {
    let (year, rest) = version.split_once('.')?;
    let month: u32 = rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some(Edk2Release(year.parse::<u32>().ok()? * 100 + month))
}

fn first_line(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The machines that CI starts.
pub(crate) fn shortly() -> Result {
    run(&Wanted { short: true, only: None, write: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_off_what_names_them() {
        let version = seabios_version("SeaBIOS (version 1.16.2-debian-1.16.2-1)");
        assert_eq!(version, Some(SeaBiosVersion(1, 16, 2)));
        assert_eq!(
            seabios_version("SeaBIOS (version rel-1.17.0-0-gb52ca86)"),
            Some(SeaBiosVersion(1, 17, 0))
        );
        assert_eq!(edk2_release("2022.11-6+deb12u2"), Some(Edk2Release(202_211)));
        assert_eq!(edk2_release(""), None);
    }
}
