//! The corpus: dumps, raw configuration spaces and sysfs trees, with the stored decodes beside them.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use slotwise_core::facts::lspci::{self, LspciFunction};
use slotwise_core::pci::{ConfigSpace, PciAddress};

use super::lspci::parse;
use super::tally::Tally;
use super::{Addresses, compare_all};

/// Compares every input that has a stored decode, and returns all configuration spaces of the corpus.
pub(super) fn compare_stored(pci: &Path, tally: &mut Tally) -> Result<Vec<ConfigSpace>, Box<dyn Error>> {
    let mut spaces = Vec::new();
    for folder in ["pciutils", "dumps"] {
        for path in files(&pci.join(folder))? {
            let text = fs::read(&path)?;
            let functions = lspci::read(&text).functions;
            compare_with(&path, &functions, Addresses::FromRegisters, tally)?;
            keep(&mut spaces, functions);
        }
    }
    for path in files(&pci.join("rawconfig"))? {
        let functions = vec![raw(&path)?];
        compare_with(&path, &functions, Addresses::FromRegisters, tally)?;
        keep(&mut spaces, functions);
    }
    for path in files(&pci.join("sysfs"))? {
        let functions = archive(&path)?;
        compare_with(&path, &functions, Addresses::FromKernel, tally)?;
        keep(&mut spaces, functions);
    }
    Ok(spaces)
}

fn keep(spaces: &mut Vec<ConfigSpace>, functions: Vec<LspciFunction>) {
    let whole = |space: &ConfigSpace| space.extent() >= 64 && space.iter().all(|byte| byte.is_some());
    spaces.extend(functions.into_iter().map(|function| function.config).filter(whole));
}

/// The inputs below a folder, stored decodes left out.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    let entries =
        fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if !name.contains(".expected.") && !name.contains(".tree.") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Compares with `INPUT.expected.txt`, or where lspci refused the input with the decode of the repaired one.
fn compare_with(
    path: &Path,
    functions: &[LspciFunction],
    addresses: Addresses,
    tally: &mut Tally,
) -> Result<(), Box<dyn Error>> {
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    let expected = [".expected.txt", ".expected.after-repair.txt"];
    let Some(expected) = expected.into_iter().map(beside).find(|path| path.exists()) else { return Ok(()) };
    let printed = parse(&fs::read_to_string(&expected)?);
    let place = path.file_name().unwrap_or_default().to_string_lossy();
    compare_all(functions, &printed, &place, addresses, tally);
    Ok(())
}

/// A raw configuration space; the file's name is the address, as `0000-01-00.0.config`.
fn raw(path: &Path) -> Result<LspciFunction, Box<dyn Error>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let address = name.trim_end_matches(".config").replacen('-', ":", 2);
    function(&address, &fs::read(path)?)
}

fn function(address: &str, bytes: &[u8]) -> Result<LspciFunction, Box<dyn Error>> {
    let address: PciAddress = address.parse().map_err(|error| format!("{address}: {error}"))?;
    let title = format!("{address} x: x\n");
    let mut function =
        lspci::read(title.as_bytes()).functions.into_iter().next().ok_or("a title is a function")?;
    function.config = ConfigSpace::from_bytes(bytes);
    Ok(function)
}

/// The `config` files of a packed sysfs tree, unpacked by tar to its standard output one by one.
fn archive(path: &Path) -> Result<Vec<LspciFunction>, Box<dyn Error>> {
    let list = Command::new("tar").arg("-tf").arg(path).output()?;
    if !list.status.success() {
        return Err(format!("tar cannot list {}", path.display()).into());
    }
    let mut functions = Vec::new();
    for member in String::from_utf8_lossy(&list.stdout).lines() {
        let Some(address) = member.strip_suffix("/config").and_then(|path| path.rsplit('/').next()) else {
            continue;
        };
        if !member.contains("/devices/") || address.parse::<PciAddress>().is_err() {
            continue;
        }
        let output = Command::new("tar").arg("-xOf").arg(path).arg(member).output()?;
        if !output.stdout.is_empty() {
            functions.push(function(address, &output.stdout)?);
        }
    }
    Ok(functions)
}
