//! Scripts of guests that nobody here has an image of, against transcripts of what they print.

use std::fs;
use std::path::Path;

use super::replay::talk;
use crate::capability::Capability;
use crate::guest::{GuestDefinition, Tried};
use crate::rig::Identity;
use crate::sight::{Judgement, Look, Question, Reference, judge, marks};
use crate::transport::Transport;

const LBA: u64 = 63;

fn transcript(guest: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/transcripts");
    let text = fs::read_to_string(directory.join(format!("{guest}.txt")));
    text.unwrap_or_else(|error| panic!("{guest} has no transcript: {error}"))
}

/// What each look at the guest of a transcript comes to.
fn judgements(guest: &GuestDefinition, transcript: &str) -> Vec<(Capability, Judgement)> {
    let identity = Identity { vendor: "SEAGATE".into(), product: "ST32550N".into(), serial: None };
    let reference =
        Reference { function: Some("1000:0012".parse().unwrap()), bytes: Some(64 << 20), marked: true };
    let mut transport = talk(guest.script().unwrap(), transcript);
    let mut disks = None;
    let looks = [
        (Capability::ListsFunctions, Question::Function, Look::Functions),
        (Capability::NamesDisks, Question::Name, Look::Disks),
        (Capability::ListsDisks, Question::Size, Look::Disks),
        (Capability::ReadsSectors, Question::Sector(LBA), Look::Sector(LBA)),
    ];
    let mut told = Vec::new();
    for (capability, question, look) in looks {
        if !guest.capabilities().has(capability) {
            continue;
        }
        // The transcript lists the disks once.
        let sight = match (look, &disks) {
            (Look::Disks, Some(sight)) => Clone::clone(sight),
            _ => transport.look(look).unwrap_or_else(|error| panic!("{}: {error}", guest.id())),
        };
        if look == Look::Disks {
            disks = Some(sight.clone());
        }
        told.push((capability, judge(question, &sight, Some(&identity), &reference)));
    }
    told
}

#[test]
fn scripts_read_what_their_transcripts_show() {
    let mut tried = 0;
    for id in GuestDefinition::builtin_ids() {
        let guest = GuestDefinition::builtin(id).unwrap();
        if guest.tried() != Tried::TranscriptOnly {
            continue;
        }
        let told = judgements(&guest, &transcript(id).replace("@mark@", &marks::mark(LBA)));
        assert!(!told.is_empty(), "{id} shows nothing");
        assert!(told.iter().all(|(_, judgement)| *judgement == Judgement::Right), "{id}: {told:?}");
        tried += 1;
    }
    assert!(tried >= 7, "{tried} transcripts were tried");
}

#[test]
fn another_disk_another_size_and_another_sector_are_seen() {
    let guest = GuestDefinition::builtin("freebsd").unwrap();
    let text = transcript("freebsd");
    let wrong = |text: &str| -> Vec<Capability> {
        let told = judgements(&guest, text).into_iter();
        told.filter(|(_, own)| matches!(own, Judgement::Wrong(_))).map(|(capability, _)| capability).collect()
    };
    let right = text.replace("@mark@", &marks::mark(LBA));
    assert_eq!(wrong(&right), []);
    assert_eq!(wrong(&right.replace("ST32550N", "ST31200N")), [Capability::NamesDisks]);
    assert_eq!(wrong(&right.replace("131072 512", "131071 512")), [Capability::ListsDisks]);
    assert_eq!(wrong(&right.replace("device=0x0012", "device=0x000b")), [Capability::ListsFunctions]);
    assert_eq!(wrong(&text.replace("@mark@", &marks::mark(LBA + 1))), [Capability::ReadsSectors]);
}

#[test]
fn a_page_of_a_guest_that_was_never_run_says_so() {
    for id in GuestDefinition::builtin_ids() {
        let guest = GuestDefinition::builtin(id).unwrap();
        let says = guest.page().contains("Not run on a real image");
        assert_eq!(says, guest.tried() == Tried::TranscriptOnly, "{id}");
    }
}

#[test]
fn faults_of_a_script_are_told_with_their_place_and_what_would_be_right() {
    for (body, message, hint) in [
        ("[console.show.functions]\nmatch = '('", "x.toml:10:9: this is no pattern: ", ""),
        (
            "[console.show.functions]\nmatch = '(?<vendor>x)'",
            "x.toml:10:9: this pattern lacks a named group",
            "vendor and device",
        ),
        ("[console.show.disks]\nmatch = '(?<colour>x)'", "x.toml:10:9: no group `colour`", "kibibytes"),
        ("[console.show.sector]\nsend = 'dd {lba}'", "x.toml:10:8: nothing tells where the answer", "prompt"),
        (
            "[console]\nprompt = '#'\n[console.show.sector]\nsend = 'dd {lbaa}'",
            "x.toml:12:8: no place `{lbaa}`",
            "{lba:x}",
        ),
        ("[[console.start]]", "x.toml:9:1: this step does nothing", "wait"),
        ("[[console.start]]\nwait = 'x'\nwithin-seconds = 0", "x.toml:11:18: a script waits 1 to", ""),
        ("[console.show.sector]\nform = 'octal'", "x.toml:10:8: no form `octal`", "hex"),
        ("[console]\nkey-delay-ms = 5000", "x.toml:10:16: a key takes", ""),
        (
            "[console.show.functions]\nuntil = 'x'",
            "x.toml:9:1: nothing tells how the answer is read",
            "match",
        ),
    ] {
        let head = "title = 'T'\npage = 'P'\ntried = 'every-run'\nmemory = '64M'\ninterface = 'console'\n\
                    start-limit-seconds = 9\n[boot]\nfrom = 'device'\n";
        let error = GuestDefinition::parse("x", "x.toml", &format!("{head}{body}\n")).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
        assert!(error.hint.unwrap_or_default().contains(hint), "{message}");
    }
}
