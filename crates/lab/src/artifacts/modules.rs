//! Kernel modules of an installed kernel and what they depend on.
//!
//! Truth: `modules.dep` and `modules.builtin` as `depmod` writes them (depmod.d(5), kmod `libkmod/libkmod-module.c`):
//! paths relative to the release's folder, after the colon the modules it needs. A module's name is its file's name
//! with `-` and `_` taken for the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::error::ArtifactError;

/// The modules of a kernel.
#[derive(Clone, Debug, Default)]
pub struct ModuleIndex {
    modules: BTreeMap<String, Module>,
    builtin: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Module {
    path: PathBuf,
    needs: Vec<String>,
}

/// No such module, neither as a file nor built in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no module {0}")]
pub struct UnknownModule(pub String);

impl ModuleIndex {
    /// Reads the index in a release's folder.
    ///
    /// # Errors
    /// `modules.dep` cannot be read. A missing `modules.builtin` means that nothing is built in.
    pub fn read(directory: &Path) -> Result<Self, ArtifactError> {
        let path = directory.join("modules.dep");
        let dep =
            std::fs::read_to_string(&path).map_err(|source| ArtifactError::io("read", &path, source))?;
        let builtin = std::fs::read_to_string(directory.join("modules.builtin")).unwrap_or_default();
        Ok(Self::parse(&dep, &builtin))
    }

    /// Reads the two texts. Lines that are not what depmod writes are passed over.
    #[must_use]
    pub fn parse(dep: &str, builtin: &str) -> Self {
        let entries = dep.lines().filter_map(|line| {
            let (path, needs) = line.split_once(':')?;
            let needs = needs.split_whitespace().filter_map(|path| name_of(Path::new(path))).collect();
            Some((name_of(Path::new(path))?, Module { path: PathBuf::from(path), needs }))
        });
        let builtin = builtin.lines().filter_map(|line| name_of(Path::new(line.trim()))).collect();
        Self { modules: entries.collect(), builtin }
    }

    /// Whether the kernel has it, as a file or built in.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let name = normal(name);
        self.modules.contains_key(&name) || self.builtin.contains(&name)
    }

    /// Files of the named modules and all they need, in an order in which they can be loaded; what is built in needs
    /// no file. Paths are relative to the release's folder.
    ///
    /// # Errors
    /// A name, or a dependency, that the kernel does not have.
    pub fn load_order(&self, names: &[&str]) -> Result<Vec<PathBuf>, UnknownModule> {
        enum Step {
            Enter(String),
            Leave(String),
        }
        let mut order = Vec::new();
        // A circle of dependencies ends at the module that was entered first; depmod reports and breaks them too.
        let mut entered = BTreeSet::new();
        let mut steps: Vec<Step> = names.iter().rev().map(|name| Step::Enter(normal(name))).collect();
        while let Some(step) = steps.pop() {
            match step {
                Step::Enter(name) if entered.contains(&name) || self.builtin.contains(&name) => {}
                Step::Enter(name) => {
                    let module = self.modules.get(&name).ok_or_else(|| UnknownModule(name.clone()))?;
                    steps.push(Step::Leave(name.clone()));
                    steps.extend(module.needs.iter().map(|need| Step::Enter(need.clone())));
                    entered.insert(name);
                }
                Step::Leave(name) => {
                    order.extend(self.modules.get(&name).map(|module| module.path.clone()));
                }
            }
        }
        Ok(order)
    }
}

/// The module a path names, whatever its file is compressed with.
fn name_of(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (stem, rest) = file.split_once(".ko")?;
    matches!(rest, "" | ".xz" | ".gz" | ".zst").then(|| normal(stem))
}

fn normal(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEP: &str = "\
kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko
kernel/lib/crc16.ko:
kernel/fs/mbcache.ko.xz:
kernel/fs/jbd2/jbd2.ko: kernel/lib/crc16.ko
kernel/arch/x86/kvm/kvm-amd.ko: kernel/arch/x86/kvm/kvm.ko
kernel/arch/x86/kvm/kvm.ko:
kernel/a.ko: kernel/b.ko
kernel/b.ko: kernel/a.ko
kernel/c.ko: kernel/gone.ko
nonsense
";

    fn order(names: &[&str]) -> Result<Vec<String>, UnknownModule> {
        let index = ModuleIndex::parse(DEP, "kernel/drivers/char/virtio-rng.ko\n");
        let paths = index.load_order(names)?;
        Ok(paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn what_a_module_needs_comes_before_it_and_once() {
        let names = order(&["ext4", "jbd2"]).unwrap();
        assert_eq!(names.last().unwrap(), "ext4.ko");
        assert_eq!(names.len(), 4);
        let place = |name: &str| names.iter().position(|other| other == name).unwrap();
        assert!(place("crc16.ko") < place("jbd2.ko"));
    }

    #[test]
    fn dash_and_underscore_are_the_same_and_built_in_needs_no_file() {
        assert_eq!(order(&["kvm_amd"]).unwrap(), ["kvm.ko", "kvm-amd.ko"]);
        assert_eq!(order(&["virtio_rng"]).unwrap(), [""; 0]);
    }

    #[test]
    fn a_circle_ends_and_what_is_missing_is_named() {
        assert_eq!(order(&["a"]).unwrap().len(), 2);
        assert_eq!(order(&["c"]).unwrap_err(), UnknownModule("gone".into()));
        assert_eq!(order(&["nonsense"]).unwrap_err(), UnknownModule("nonsense".into()));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(dep in "[a-c/.:ko \n-]{0,200}", name in "[a-c]{0,3}") {
            let _ = ModuleIndex::parse(&dep, &dep).load_order(&[&name]);
        }
    }
}
