//! Makes tables of the guests and suites under `data/`, so that adding a file there is all it takes to add one.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    println!("cargo::rerun-if-changed=data");

    let mut code =
        String::from("/// Guest definitions: id, file, text.\npub(crate) static GUESTS: &[Embedded] = &[\n");
    for file in toml_files(&root.join("data/guests"))? {
        embed(&mut code, &root, &file)?;
    }
    code.push_str("];\n/// Suites: id, the suite's own file, its cases.\npub(crate) static SUITES: &[EmbeddedSuite] = &[\n");
    for directory in sorted(&root.join("data/suites"))? {
        writeln!(code, "EmbeddedSuite {{ id: {:?}, suite: ", stem(&directory)).map_err(io::Error::other)?;
        embed(&mut code, &root, &directory.join("suite.toml"))?;
        code.push_str("commands: ");
        embed(&mut code, &root, &directory.join("commands.toml"))?;
        code.push_str("cases: &[\n");
        for file in toml_files(&directory.join("cases"))? {
            embed(&mut code, &root, &file)?;
        }
        code.push_str("] },\n");
    }
    code.push_str("];\n");
    fs::write(out.join("embedded.rs"), code)
}

fn embed(code: &mut String, root: &Path, file: &Path) -> io::Result<()> {
    let shown = file.strip_prefix(root).unwrap_or(file).display().to_string();
    writeln!(code, "Embedded {{ id: {:?}, file: {shown:?}, text: include_str!({file:?}) }},", stem(file))
        .map_err(io::Error::other)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn sorted(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<_> =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

fn toml_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(sorted(directory)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect())
}
