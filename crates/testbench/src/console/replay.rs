//! A guest that replays a transcript: what was printed, and what was typed, in the order it happened.
//!
//! A transcript is text. What stands after `<<` at the end of a line was typed there; its return is typed too. All else was
//! printed. Typing something else than the transcript has ends the console, so a script that strays fails.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use slotwise_backend::console::Console;

use super::{ConsoleTransport, Script, Talk, Terminal};

/// Marks what was typed.
const TYPED: &str = "<<";

pub(crate) struct Replay(Console);

impl Terminal for Replay {
    fn terminal(&self) -> Option<&Console> {
        Some(&self.0)
    }
}

/// What happens next in a transcript.
enum Turn {
    Print(String),
    Typed(String),
}

fn turns(transcript: &str) -> Vec<Turn> {
    let mut turns = Vec::new();
    for line in transcript.lines().filter(|line| !line.starts_with("## ")) {
        match line.split_once(TYPED) {
            Some((printed, typed)) => {
                turns.push(Turn::Print(printed.to_owned()));
                turns.push(Turn::Typed(format!("{typed}\r")));
                turns.push(Turn::Print(format!("{typed}\r\n")));
            }
            None => turns.push(Turn::Print(format!("{line}\r\n"))),
        }
    }
    // The last line is the prompt that waits.
    if let Some(Turn::Print(text)) = turns.last_mut() {
        text.truncate(text.trim_end_matches("\r\n").len());
    }
    turns
}

/// A guest that behaves as in the transcript.
pub(crate) fn replay(transcript: &str) -> Replay {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let turns = turns(transcript);
    thread::spawn(move || {
        for turn in turns {
            match turn {
                Turn::Print(text) => theirs.write_all(text.as_bytes()).unwrap(),
                Turn::Typed(expected) => {
                    let mut typed = vec![0; expected.len()];
                    if theirs.read_exact(&mut typed).is_err() || typed != expected.as_bytes() {
                        let typed = String::from_utf8_lossy(&typed).into_owned();
                        let _ = write!(theirs, "\nTHE TRANSCRIPT HAS {expected:?}, TYPED WAS {typed:?}\n");
                        return;
                    }
                }
            }
        }
        // The console stays until the script leaves it.
        let _ = theirs.read(&mut [0]);
    });
    Replay(Console::over(ours.try_clone().unwrap(), ours, None).unwrap())
}

/// The talk of a script with a guest that behaves as in the transcript.
pub(crate) fn talk(script: &Script, transcript: &str) -> ConsoleTransport<Replay> {
    let names = [("user", "root"), ("password", "secret")];
    let names = names.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let talk = Talk { script, names, within: Duration::from_secs(60), stop: Arc::default() };
    match ConsoleTransport::connect(replay(transcript), &talk) {
        Ok(transport) => transport,
        Err((_, error)) => panic!("{error}"),
    }
}
