//! Reports of a run over a defective disk in memory, and of one with a hostile guest.

use super::*;
use crate::fake::{Defect, FakeRig, device};
use crate::guest::GuestDefinition;
use crate::matrix::{Matrix, Outcome, run_matrix};
use crate::suite::Suite;

fn run(defect: Defect) -> Run {
    let suites = [Suite::builtin("scsi-2").unwrap()];
    let guests = [GuestDefinition::builtin("debian-12").unwrap()];
    let mut rig = FakeRig { defect: Some(defect), starts: 0 };
    run_matrix(&Matrix { suites: &suites, devices: &[device()], guests: &guests }, &mut rig, &mut |_| ())
}

#[test]
fn json_has_a_row_for_each_case_with_bytes_and_clause() {
    let run = run(Defect::NoRangeCheck);
    let document: serde_json::Value = serde_json::from_str(&wire::json(&run).unwrap()).unwrap();
    assert_eq!(document["schema"], "slotwise.test/1");
    let rows = document["rows"].as_array().unwrap();
    assert_eq!(rows.len(), run.rows.len());
    let row = rows.iter().find(|row| row["case"] == "rd10-straddle").unwrap();
    for (field, value) in
        [("suite", "scsi-2"), ("device", "disk"), ("guest", "debian-12"), ("outcome", "fail")]
    {
        assert_eq!(row[field], value);
    }
    assert_eq!(row["clause"], "9.2.6");
    assert!(row["seconds"].is_f64());
    assert_eq!(row["commands"][0]["cdb"], "28000000 0fff0000 0200".replace(' ', ""));
    assert_eq!(row["commands"][0]["answer"]["status_name"], "GOOD");
    assert!(row["commands"][0]["complaint"].as_str().unwrap().contains("5/21/00 ILLEGAL REQUEST expected"));
}

#[test]
fn text_tells_the_fault_with_bytes_and_sums_up() {
    let run = run(Defect::StaleSense);
    let text = text(&run);
    assert!(text.contains("FAIL scsi-2/rs-second-empty on disk in debian-12: Sense is read once"), "{text}");
    assert!(text.contains("    sent     03 00 00 00 12 00   REQUEST SENSE"));
    assert!(text.contains("X3.131-1994 7.6, 8.2.14 (not compared with the printed standard)"));
    let last = text.lines().last().unwrap();
    assert!(
        last.starts_with(&format!("{} pass, {} fail, ", run.count(Outcome::Pass), run.count(Outcome::Fail))),
        "{last}"
    );
}

#[test]
fn junit_counts_what_the_run_counts() {
    let run = run(Defect::Hangs(0x35));
    let xml = junit(&run).unwrap();
    let (skipped, crashed) = (run.count(Outcome::Skip), run.count(Outcome::Crash));
    assert!(crashed >= 2);
    let rows = run.rows.len();
    let head = format!("tests=\"{rows}\" skipped=\"{skipped}\" failures=\"0\" errors=\"{crashed}\"");
    assert!(xml.contains(&head), "{}", xml.get(..400).unwrap_or(&xml));
    assert!(xml.contains("not syncing &lt;&amp;&gt;"), "the console is text, not markup");
}

#[test]
fn tap_has_a_plan_and_a_line_for_each_row() {
    let run = run(Defect::VerifyWrites);
    let tap = tap(&run);
    assert!(tap.starts_with(&format!("TAP version 14\n1..{}\n", run.rows.len())));
    assert_eq!(
        tap.lines().filter(|line| line.starts_with("ok ") || line.starts_with("not ok ")).count(),
        run.rows.len()
    );
    assert!(tap.contains(" # SKIP needs raw-sense"));
}

#[test]
fn html_is_one_page_that_escapes_what_the_guest_said() {
    let run = run(Defect::Hangs(0x35));
    let page = html(&run).unwrap();
    assert!(page.contains("not syncing &lt;&amp;&gt;"));
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("@import"));
    let row = run.rows.iter().position(|row| row.case == "sync-all").unwrap();
    assert!(page.contains(&format!("href=\"#row-{row}\"")) && page.contains(&format!("id=\"row-{row}\"")));
}

#[test]
fn a_console_cannot_steer_the_terminal() {
    let mut run = run(Defect::Hangs(0x35));
    for row in run.rows.iter_mut().filter(|row| row.console.is_some()) {
        row.console = Some("\x1b]0;owned\x07\x1b[2Jx\u{202e}y\r\nz".into());
        row.device = "a\u{0}<b>#c".into();
    }
    let told = [text(&run), html(&run).unwrap(), junit(&run).unwrap(), tap(&run)].concat();
    assert!(told.chars().all(|letter| letter == '\n' || !letter.is_control()));
    assert!(!told.contains('\u{202e}'));
}

#[test]
fn a_host_is_drawn_within_the_page_and_its_style_stays_in_the_drawing() {
    let mut run = run(Defect::None);
    assert!(!html(&run).unwrap().contains("The host"));
    let style = "<style>:root{color-scheme:light dark}text{fill:#000}</style>";
    run.picture = Some(format!("<svg viewBox=\"0 0 1 1\">{style}<text>0000:02:04.0</text></svg>"));
    let page = html(&run).unwrap();
    assert!(page.contains("<text>0000:02:04.0</text>") && !page.contains(":root{color-scheme"), "{page}");
    assert!(page.contains("<style>.picture svg{text{fill:#000}}</style>"));
}

#[test]
fn a_case_that_ran_several_times_has_one_line_with_the_worst_of_its_ends() {
    let mut run = run(Defect::None);
    run.rows = vec![
        crate::fake::row("a", Outcome::Pass),
        crate::fake::row("a", Outcome::Fail),
        crate::fake::row("a", Outcome::Pass),
        crate::fake::row("b", Outcome::Pass),
    ];
    let text = text(&run);
    let lines: Vec<&str> =
        text.lines().filter(|line| line.starts_with("a ") || line.starts_with("b ")).collect();
    assert_eq!(lines, ["a  fail", "b  pass"]);
    assert!(text.contains("flaky: s/a on disk in debian-12: pass 2, fail 1"), "{text}");
    let page = html(&run).unwrap();
    assert_eq!(page.matches("<th scope=\"row\"><code>a</code></th>").count(), 1);
    assert!(page.contains("href=\"#row-1\""));
}

#[test]
fn a_known_failure_fails_no_reader_of_junit_and_tap() {
    let expires = crate::run::Date { year: 2999, month: 1, day: 2 };
    let known = |standing| Some(crate::run::Quarantined { reason: "link #1".into(), expires, standing });
    let mut run = Run::default();
    run.rows = vec![
        crate::matrix::Row {
            quarantined: known(crate::run::Standing::Holds),
            ..crate::fake::row("a", Outcome::Fail)
        },
        crate::matrix::Row {
            quarantined: known(crate::run::Standing::Expired),
            attempt: 2,
            ..crate::fake::row("a", Outcome::Fail)
        },
    ];
    let xml = junit(&run).unwrap();
    assert!(xml.contains("tests=\"2\" skipped=\"1\" failures=\"1\" errors=\"0\""), "{xml}");
    assert!(
        xml.contains("known until 2999-01-02 (link #1): wrong") && xml.contains("name=\"a (time 2)\""),
        "{xml}"
    );
    let tap = tap(&run);
    assert!(
        tap.contains("not ok 1 - s/a on disk in debian-12 # TODO known until 2999-01-02: link \\#1\n"),
        "{tap}"
    );
    assert!(tap.contains("not ok 2 - s/a on disk in debian-12, time 2\n# fail: wrong"), "{tap}");
}
