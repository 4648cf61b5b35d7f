//! The main job on one command, in the virtual lab.

use std::time::Instant;

use crate::story::{self, Show};
use crate::{Result, build, packages};

/// Installs what is missing, builds, and tells the story.
pub(crate) fn run() -> Result {
    packages::ensure()?;
    println!("building (the first time takes some minutes)");
    let dist = build::dist()?;
    let start = Instant::now();
    let told = story::tell(Show::Output, &dist)?;
    println!("\n=== summary");
    for beat in &told.beats {
        println!("{:>6.1} s  {}\n          {}", beat.took.as_secs_f64(), beat.title, beat.showed);
    }
    println!("{:>6.1} s  in all", start.elapsed().as_secs_f64());
    println!("report: {}", told.report.display());
    Ok(())
}
