//! Which module files a guest needs, in the order they must be loaded.
//!
//! Source of truth: `modules.dep`, `modules.builtin` and `modules.alias` beside the modules, as `depmod(8)` writes them
//! (`modules.dep(5)`). Names are compared with `-` and `_` taken as the same, as the kernel does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What `modules.dep` says.
pub(super) struct Dependencies {
    /// By module name: its file, and the names it needs.
    modules: BTreeMap<String, (String, Vec<String>)>,
    builtin: BTreeSet<String>,
}

/// A module is neither there nor built in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoSuchModule(pub(super) String);

impl Dependencies {
    pub(super) fn parse(dep: &str, builtin: &str) -> Self {
        let modules = dep.lines().filter_map(|line| {
            let (file, needed) = line.split_once(':')?;
            let needed = needed.split_whitespace().map(name_of).collect();
            Some((name_of(file), (file.to_owned(), needed)))
        });
        Self { modules: modules.collect(), builtin: builtin.lines().map(name_of).collect() }
    }

    /// Name and file of each module to load for `wanted`, what others need before them. Built-in ones are left out.
    pub(super) fn load_order<'a>(
        &self,
        wanted: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<(String, String)>, NoSuchModule> {
        let mut order = Vec::new();
        let mut visited = BTreeSet::new();
        for name in wanted {
            self.visit(&normal(name), &mut visited, &mut order)?;
        }
        Ok(order)
    }

    /// The visited set ends loops; its growth bounds the recursion by the number of modules on one chain.
    fn visit(
        &self,
        name: &str,
        visited: &mut BTreeSet<String>,
        order: &mut Vec<(String, String)>,
    ) -> Result<(), NoSuchModule> {
        if self.builtin.contains(name) || !visited.insert(name.to_owned()) {
            return Ok(());
        }
        let (file, needed) = self.modules.get(name).ok_or_else(|| NoSuchModule(name.to_owned()))?;
        for other in needed {
            self.visit(other, visited, order)?;
        }
        order.push((name.to_owned(), file.clone()));
        Ok(())
    }
}

/// What a line of `modules.alias` says of PCI functions: the pattern of their `modalias`, and the module that is for them.
fn alias(line: &str) -> Option<(&str, &str)> {
    let mut words = line.strip_prefix("alias ")?.split_whitespace();
    let pattern = words.next().filter(|pattern| pattern.starts_with("pci:"))?;
    Some((pattern, words.next()?))
}

/// The patterns of the functions that one module is for.
pub(super) fn patterns(aliases: &str, module: &str) -> Vec<String> {
    let own = aliases.lines().filter_map(alias).filter(|(_, name)| normal(name) == normal(module));
    own.map(|(pattern, _)| pattern.to_owned()).collect()
}

/// `-` and `_` are the same in a module's name.
pub(super) fn normal(name: &str) -> String {
    name.replace('-', "_")
}

fn name_of(file: &str) -> String {
    let file = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
    normal(file.split_once('.').map_or(file.as_ref(), |(stem, _)| stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/a/sg.ko: kernel/a/scsi_mod.ko kernel/b/scsi_common.ko\n\
        kernel/a/scsi_mod.ko: kernel/b/scsi_common.ko\nkernel/b/scsi_common.ko:\n\
        kernel/c/x-loop.ko: kernel/c/y.ko\nkernel/c/y.ko: kernel/c/x-loop.ko\n";

    fn names(wanted: &[&str]) -> Result<Vec<String>, NoSuchModule> {
        let order = Dependencies::parse(DEP, "kernel/d/virtio.ko\n").load_order(wanted.iter().copied())?;
        Ok(order.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn needed_modules_come_first_and_once() {
        assert_eq!(names(&["sg", "scsi_mod"]).unwrap(), ["scsi_common", "scsi_mod", "sg"]);
    }

    #[test]
    fn built_in_modules_are_left_out() {
        assert_eq!(names(&["virtio"]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_modules_functions_are_those_of_its_own_aliases() {
        let aliases =
            "alias pci:v00008086d0000100E* e1000\nalias usb:v0* e1000\nalias pci:v*d*bc01sc08i02* nvme\n";
        assert_eq!(patterns(aliases, "nvme"), ["pci:v*d*bc01sc08i02*"]);
        assert_eq!(patterns(aliases, "e1000"), ["pci:v00008086d0000100E*"]);
    }

    #[test]
    fn a_loop_ends() {
        assert_eq!(names(&["x_loop"]).unwrap(), ["y", "x_loop"]);
    }

    #[test]
    fn an_absent_module_is_an_error_that_names_it() {
        assert_eq!(names(&["sg", "nvme"]), Err(NoSuchModule("nvme".into())));
    }
}
