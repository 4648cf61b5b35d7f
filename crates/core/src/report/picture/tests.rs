//! Promises that both pictures keep, on small hosts and on hostile ones.

use super::{html, svg};
use crate::facts::from_text;
use crate::report::NoNames;
use crate::topology::Topology;
use crate::topology::fixture::topology;

const HOST: &str = "device 0000:00:1c.0 class=060400 express group=3
    device 0000:02:00.0 class=060400 express parent=0000:00:1c.0 group=14
    device 0000:03:04.0 class=010000 conventional parent=0000:02:00.0 group=14
    device 0000:05:00.0 class=010802 express parent=0000:00:1c.0 group=15";

fn both(topology: &Topology) -> [String; 2] {
    [html(topology, &NoNames, &|_| true), svg(topology, &NoNames, &|_| true)]
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn every_function_group_and_alias_is_shown() {
    for picture in both(&topology(HOST)) {
        for part in ["0000:00:1c.0", "0000:03:04.0", "group 14", "DMA arrives as", "0000:03:00.0"] {
            assert!(picture.contains(part), "{part}: {picture}");
        }
    }
}

#[test]
fn page_nests_as_the_buses_do() {
    let page = html(&topology(HOST), &NoNames, &|_| true);
    assert_eq!(count(&page, "<details class=\"bus\" open>"), 4);
    for (open, close) in [("<details", "</details>"), ("<ol>", "</ol>"), ("<li", "</li>"), ("<div", "</div>")]
    {
        assert_eq!(count(&page, open), count(&page, close), "{open}: {page}");
    }
}

#[test]
fn selection_keeps_the_bridges_above_and_drops_the_rest() {
    let topology = topology(HOST);
    let only = "0000:03:04.0".parse().expect("an address");
    let page = html(&topology, &NoNames, &|address| address == only);
    assert!(page.contains("id=\"f0000:02:00.0\"") && page.contains("id=\"f0000:03:04.0\""));
    assert!(!page.contains("0000:05:00.0"));
}

#[test]
fn names_from_outside_are_text() {
    let text = b"00:02.0 VGA compatible controller [0300]: <script>alert(1)</script> \"'&\x07 [1234:1111]\n\
        \tKernel driver in use: a\n";
    let facts = from_text(text, "<b>").expect("facts");
    for picture in both(&Topology::new(facts)) {
        assert!(picture.contains("&lt;script&gt;") && !picture.contains("<script"), "{picture}");
        assert!(!picture.contains('\x07'));
    }
}

#[test]
fn bridges_that_claim_each_other_are_shown_once() {
    let loops = topology(
        "device 0000:01:00.0 parent=0000:02:00.0
         device 0000:02:00.0 parent=0000:01:00.0",
    );
    let page = html(&loops, &NoNames, &|_| true);
    assert_eq!((count(&page, "id=\"f0000:01:00.0\""), count(&page, "id=\"f0000:02:00.0\"")), (1, 1));
    assert!(svg(&loops, &NoNames, &|_| true).contains("0000:02:00.0"));
}

/// A root port with a chain of bridges below, longer than markup is nested.
fn chain(length: u8) -> String {
    let bridge = |bus: u8| {
        let parent = if bus == 0 { String::new() } else { format!(" parent=0000:{:02x}:00.0", bus - 1) };
        format!("device 0000:{bus:02x}:00.0 class=060400 express{parent}\n")
    };
    (0..length).map(bridge).collect()
}

#[test]
fn long_chains_of_bridges_nest_no_deeper_than_the_bound() {
    let page = html(&topology(&chain(200)), &NoNames, &|_| true);
    assert_eq!(count(&page, "<details class=\"bus\""), super::model::DEEPEST);
    assert_eq!(count(&page, "id=\"f"), 200);
    for (open, close) in [("<details", "</details>"), ("<ol>", "</ol>"), ("<li", "</li>")] {
        assert_eq!(count(&page, open), count(&page, close), "{open}");
    }
}

#[test]
fn large_hosts_begin_with_closed_buses() {
    let mut host = "device 0000:00:01.0 class=060400 express\n".to_owned();
    for number in 0..400u32 {
        let (device, function) = (number / 8 % 32, number % 8);
        let bus = 1 + number / 256;
        host += &format!(
            "device 0000:{bus:02x}:{device:02x}.{function} express parent=0000:00:01.0 group={number}\n"
        );
    }
    let host = topology(&host);
    let [page, drawing] = both(&host);
    assert_eq!(
        (count(&page, "<details class=\"bus\" open>"), count(&page, "<details class=\"bus\">")),
        (1, 2)
    );
    assert!(count(&drawing, "<title>") > 400 && drawing.contains("256 functions, with those below"));
}
