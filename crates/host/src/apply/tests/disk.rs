//! The journal's disk: full, or torn by a kill.

use std::io;

use super::*;
use crate::fake::kill;
use crate::journal::JournalMedium;

/// A journal's file on a disk that has room for so many bytes, and says beforehand only if `honest`.
#[derive(Debug)]
struct FullDisk {
    file: std::fs::File,
    room: usize,
    reserves: Reserves,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reserves {
    /// It says beforehand that there is no room.
    Honestly,
    /// It cannot say beforehand, as some copy-on-write file systems.
    Blindly,
}

impl JournalMedium for FullDisk {
    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        let fits = self.reserves == Reserves::Blindly || usize::try_from(bytes).is_ok_and(|b| b <= self.room);
        if fits { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        use std::io::Write as _;
        if line.len() > self.room {
            self.file.write_all(&line[..self.room])?;
            self.room = 0;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room -= line.len();
        self.file.write_all(line)
    }
}

/// Applies with the journal on `medium`.
fn apply_on(bench: &Bench, medium: Box<dyn JournalMedium>) -> Result<Applied, ApplyError> {
    let live = bench.host.live();
    let id = "1".parse().unwrap();
    let journal = Journal::new(id, bench.dir.path().join("000001.journal"), medium);
    let done = check(&bench.host, &bench.steps).unwrap();
    let work =
        Work { live: &live, state: &bench.state, steps: &bench.steps, done, command: "x", now_unix_s: 7 };
    carry_out(&work, work.open(journal)?)
}

/// Applies with the journal on a disk with `room` bytes.
fn apply_on_full_disk(bench: &Bench, room: usize, reserves: Reserves) -> Result<Applied, ApplyError> {
    let file = std::fs::File::create(bench.dir.path().join("000001.journal")).unwrap();
    apply_on(bench, Box::new(FullDisk { file, room, reserves }))
}

#[test]
fn full_disk_is_refused_before_the_first_write() {
    let bench = bench();
    let error = apply_on_full_disk(&bench, 4096, Reserves::Honestly).unwrap_err();
    assert!(matches!(error, ApplyError::Journal(_)), "{error}");
    assert_eq!(bench.host.writes(), 0);
    assert!(bench.state.ids().unwrap().is_empty());
}

#[test]
fn disk_that_fills_at_any_entry_leaves_the_host_as_it_was() {
    let mut unwound = 0;
    for room in (0..6000).step_by(50) {
        let bench = bench();
        match apply_on_full_disk(&bench, room, Reserves::Blindly) {
            Ok(_) => continue,
            Err(ApplyError::Journal(_)) => assert_eq!(bench.host.writes(), 0, "{room}"),
            Err(ApplyError::Undone { .. }) => unwound += 1,
            Err(error) => panic!("{room}: {error}"),
        }
        assert!(bench.is_as_before(), "{room}");
    }
    assert!(unwound > 30, "{unwound}");
}

/// A journal's file whose `nth` line is cut after so many of its bytes, as the program is killed.
#[derive(Debug)]
struct TornDisk {
    file: std::fs::File,
    nth: usize,
    keep: Keep,
}

#[derive(Clone, Copy, Debug)]
enum Keep {
    Nothing,
    Half,
    AllButTheNewline,
    Everything,
}

impl JournalMedium for TornDisk {
    fn reserve(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        use std::io::Write as _;
        self.nth -= 1;
        let keep = match self.keep {
            _ if self.nth > 0 => line.len(),
            Keep::Nothing => 0,
            Keep::Half => line.len() / 2,
            Keep::AllButTheNewline => line.len() - 1,
            Keep::Everything => line.len(),
        };
        self.file.write_all(&line[..keep])?;
        if self.nth > 0 { Ok(()) } else { kill() }
    }
}

#[test]
fn kill_while_any_journal_line_is_written_is_undone_from_what_is_whole() {
    // Begin, an intent and a result for each of the twelve steps, and the end.
    for nth in 1..=26 {
        for keep in [Keep::Nothing, Keep::Half, Keep::AllButTheNewline, Keep::Everything] {
            let bench = bench();
            let path = bench.dir.path().join("000001.journal");
            let file = std::fs::File::create(&path).unwrap();
            let answer = killed(|| apply_on(&bench, Box::new(TornDisk { file, nth, keep })));
            assert!(answer.is_none(), "line {nth}");
            assert!(bench.undo().is_clean(), "line {nth} {keep:?}");
            assert!(bench.is_as_before(), "line {nth} {keep:?}");
            assert!(matches!(bench.standing(), Standing::Undone | Standing::Nothing));
            bench.apply().unwrap();
        }
    }
}
