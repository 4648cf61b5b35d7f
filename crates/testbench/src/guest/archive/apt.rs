//! The distribution's own package tools, with state, lists and sources of their own.
//!
//! Truth: apt.conf(5) for the `Dir` options, apt-get(8) for `indextargets` and `download`, apt-cache(8) for `policy` and
//! `depends`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{ArchiveError, PackageName, Suite, file};

/// Debian's own keys, from its package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Lists younger than this are not fetched again.
const LISTS_LAST: Duration = Duration::from_secs(3600);
/// How much of what a program said goes into a message.
const MESSAGE_BYTES: usize = 400;

/// The package tools over a folder of their own.
pub(super) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Writes the sources and gets the lists of packages.
    pub(super) fn open(folder: &Path) -> Result<Self, ArchiveError> {
        for path in ["state/lists/partial", "cache/archives/partial"] {
            let path = folder.join(path);
            fs::create_dir_all(&path).map_err(|source| file(&path, source))?;
        }
        let apt = Self { folder: fs::canonicalize(folder).map_err(|source| file(folder, source))? };
        let sources = apt.folder.join("sources.list");
        fs::write(&sources, host_sources()?).map_err(|source| file(&sources, source))?;
        let stamp = apt.folder.join("updated");
        let age = fs::metadata(&stamp).and_then(|metadata| metadata.modified()).ok();
        if age.and_then(|then| then.elapsed().ok()).is_some_and(|age| age < LISTS_LAST) {
            return Ok(apt);
        }
        // One list that cannot be had, of an architecture or suite that is behind, does not cost the others: whether a
        // package is there is told when it is asked for.
        match apt.run("apt-get", "get the lists of packages", &["update"]) {
            Ok(_) | Err(ArchiveError::Program { .. }) => {}
            Err(error) => return Err(error),
        }
        fs::write(&stamp, "").map_err(|source| file(&stamp, source))?;
        Ok(apt)
    }

    /// The version that would be installed.
    pub(super) fn candidate(&self, package: &PackageName) -> Result<String, ArchiveError> {
        let text = self.run("apt-cache", "look a package up", &["policy", &package.name])?;
        let version = text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
        let version = version.filter(|version| *version != "(none)");
        version.map(str::to_owned).ok_or_else(|| ArchiveError::NoPackage { name: package.name.clone() })
    }

    /// What a package needs, by name, of the same suite.
    pub(super) fn depends(&self, package: &PackageName) -> Result<Vec<PackageName>, ArchiveError> {
        let release;
        let mut arguments = vec!["depends", "--no-recommends", "--no-suggests"];
        if package.suite == Suite::Backports {
            release = format!("APT::Default-Release={}", backports()?);
            arguments.extend(["-o", &release]);
        }
        arguments.push(&package.name);
        let text = self.run("apt-cache", "look a package up", &arguments)?;
        let names = depends_in(&text).map(|name| PackageName { name, suite: package.suite });
        Ok(names.collect())
    }

    /// Fetches a package and unpacks its files.
    pub(super) fn unpack(&self, package: &PackageName, tree: &Path) -> Result<(), ArchiveError> {
        let debs = tree.with_extension("debs");
        fs::create_dir_all(&debs).map_err(|source| file(&debs, source))?;
        let unpacked = self.unpack_through(package, tree, &debs);
        // What is left over is of no use, and the first error is the one to tell.
        let _ = fs::remove_dir_all(&debs);
        unpacked
    }

    fn unpack_through(&self, package: &PackageName, tree: &Path, debs: &Path) -> Result<(), ArchiveError> {
        let mut command = self.command("apt-get");
        command.args(["download", &package.name]).current_dir(debs);
        run("apt-get", &format!("download {}", package.name), &mut command)?;
        for deb in fs::read_dir(debs).map_err(|source| file(debs, source))?.flatten() {
            let mut command = Command::new("dpkg-deb");
            command.arg("-x").arg(deb.path()).arg(tree);
            run("dpkg-deb", &format!("unpack {}", package.name), &mut command)?;
        }
        Ok(())
    }

    fn run(&self, program: &'static str, action: &str, arguments: &[&str]) -> Result<String, ArchiveError> {
        run(program, action, self.command(program).args(arguments))
    }

    /// One of the tools, told where its own state is.
    fn command(&self, program: &str) -> Command {
        let place = |option: &str, path: &str| format!("Dir::{option}={}", self.folder.join(path).display());
        let mut command = Command::new(program);
        for option in [
            place("State", "state"),
            place("Cache", "cache"),
            place("Etc::sourcelist", "sources.list"),
            "Dir::State::status=/dev/null".to_owned(),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Architectures=amd64,i386".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }
}

/// The host's own sources of packages from Debian, and the backports for its release from the first of them.
fn host_sources() -> Result<String, ArchiveError> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]);
    let targets = run("apt-get", "tell this host's sources", &mut command)?;
    Ok(sources_from(&targets, &backports()?, Path::new(KEYRING).is_file()))
}

/// The suite of backports for the host's release (`os-release(5)`).
fn backports() -> Result<String, ArchiveError> {
    let path = Path::new("/etc/os-release");
    let text = fs::read_to_string(path).map_err(|source| file(path, source))?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(format!("{}-backports", name.unwrap_or("stable").trim_matches('"')))
}

fn sources_from(targets: &str, backports: &str, has_keyring: bool) -> String {
    let options = if has_keyring { format!(" [signed-by={KEYRING}]") } else { String::new() };
    let release = backports.trim_end_matches("-backports");
    let mut text = String::new();
    for line in targets.lines() {
        let mut words = line.split(' ');
        let (Some(uri), Some(suite), Some(component)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        // Other makers' repositories have neither these suites nor other architectures.
        if !suite.starts_with(release) || component != "main" {
            continue;
        }
        text.push_str(&format!("deb{options} {uri} {suite} main\n"));
        if suite == release && !targets.contains(&format!(" {backports} ")) {
            text.push_str(&format!("deb{options} {uri} {backports} main\n"));
        }
    }
    text
}

/// Names in what `apt-cache depends` prints: `  Depends: NAME`, alternatives with a bar before, virtual ones in brackets.
fn depends_in(text: &str) -> impl Iterator<Item = String> {
    let name = |line: &str| line.trim_start_matches([' ', '|']).strip_prefix("Depends: ").map(str::to_owned);
    text.lines().filter_map(name).filter(|name| !name.starts_with('<'))
}

/// Runs a program that asks nothing and gives what it prints.
pub(super) fn run(
    program: &'static str,
    action: &str,
    command: &mut Command,
) -> Result<String, ArchiveError> {
    let output = command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let output = output.output().map_err(|source: io::Error| ArchiveError::NoProgram { program, source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("E:")).collect();
    let mut message = if lines.is_empty() { text.trim().to_owned() } else { lines.join("; ") };
    message = message.chars().take(MESSAGE_BYTES).collect();
    Err(ArchiveError::Program { program, action: action.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_sources_are_taken_over_with_backports_and_without_other_makers() {
        let targets = "http://a/debian/ bookworm main\nhttp://a/debian/ bookworm contrib\n\
                       http://a/security/ bookworm-security main\nhttp://other/ nodistro main\nnonsense\n";
        let sources = sources_from(targets, "bookworm-backports", false);
        let lines: Vec<&str> = sources.lines().collect();
        assert_eq!(
            lines,
            [
                "deb http://a/debian/ bookworm main",
                "deb http://a/debian/ bookworm-backports main",
                "deb http://a/security/ bookworm-security main",
            ]
        );
    }

    #[test]
    fn backports_that_the_host_has_are_not_named_twice() {
        let targets = "http://a/ bookworm main\nhttp://a/ bookworm-backports main\n";
        assert_eq!(sources_from(targets, "bookworm-backports", true).matches("backports").count(), 1);
    }

    #[test]
    fn what_a_package_depends_on_is_read_with_alternatives_and_without_virtual_ones() {
        let text = "linux-image-686:i386\n  Depends: linux-image-6.1.0-50-686:i386\n |Depends: gcc\n  Depends: <libc-dev>\n    libc6-dev\n";
        assert_eq!(depends_in(text).collect::<Vec<_>>(), ["linux-image-6.1.0-50-686:i386", "gcc"]);
    }
}
