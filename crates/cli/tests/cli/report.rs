//! The page of a run, as a browser shows it and a person clicks through it. Without Chromium these tests are skipped, as
//! those of the pictures are.

use slotwise_lab::target::Defect;
use slotwise_rigs::direct::DirectRig;
use slotwise_rigs::{SMALL_DISK, device};
use slotwise_testbench::matrix::{Matrix, Run, run_matrix};
use slotwise_testbench::report;
use slotwise_testbench::run::Baseline;
use slotwise_testbench::suite::Suite;

use crate::Desk;
use crate::picture::{Scheme, chromium, host, probed};

fn run(defect: Option<Defect>) -> Run {
    let wanted = ["cap-", "tur-", "rsv-"];
    let suite = Suite::builtin("scsi-2").expect("built in");
    let suites = [suite.only(|case| wanted.iter().any(|begin| case.id().starts_with(begin)))];
    let (devices, guests) = ([device()], [DirectRig::no_guest()]);
    let matrix = Matrix { suites: &suites, devices: &devices, guests: &guests };
    run_matrix(&matrix, &mut DirectRig { model: SMALL_DISK, defect }, &mut |_| ())
}

/// A run with failures, a flaky case, changes since another run, and a host.
fn page(desk: &Desk) -> String {
    let sound = run(None);
    desk.put("report.json", report::wire::json(&sound).expect("JSON"));
    let mut broken = run(Some(Defect::CapacityIsCount));
    let again = sound.rows.iter().map(|row| slotwise_testbench::matrix::Row { attempt: 2, ..row.clone() });
    let baseline = Baseline::read(&desk.path().join("report.json")).expect("a report");
    broken.comparison = Some(baseline.compare(&broken, &[]));
    broken.rows.extend(again);
    broken.picture = Some(desk.run(&["inspect", "--from", &host(), "--svg", "-"]).out);
    report::html(&broken).expect("a page")
}

/// What is asked of the page: its width, its links, what the keyboard reaches, the contrast of each kind of text with what
/// lies behind it (WCAG 2.2 §1.4.3); then a click on a failure in the matrix, and one on the picture.
const PROBE: &str = "(async()=>{\
    const rgb=s=>s.match(/[\\d.]+/g).map(Number),\
    lin=c=>(c/=255)<=.04045?c/12.92:((c+.055)/1.055)**2.4,\
    lum=s=>{const[r,g,b]=rgb(s);return .2126*lin(r)+.7152*lin(g)+.0722*lin(b)},\
    back=e=>{for(;e;e=e.parentElement){const b=w.getComputedStyle(e).backgroundColor;if(rgb(b)[3]!==0)return b}return 'rgb(255,255,255)'},\
    ratio=e=>{const a=lum(w.getComputedStyle(e).color),b=lum(back(e));return(Math.max(a,b)+.05)/(Math.min(a,b)+.05)},\
    kinds=['body','.pass','.fail','.skip','.soft','nav a','td a','dt','dd.fields span','summary','th'],\
    wait=t=>new Promise(r=>setTimeout(r,t)),\
    link=d.querySelector('td.fail a'),row=d.getElementById(link.getAttribute('href').slice(1)),\
    details=row.closest('details'),picture=d.querySelector('details.picture');\
    d.querySelectorAll('details').forEach(e=>e.open=false);\
    const before=details.open;link.click();await wait(200);\
    const said={before,after:details.open,seen:row.getBoundingClientRect().top<900&&row.getBoundingClientRect().height>50,\
    hash:w.location.hash,text:row.textContent};\
    picture.querySelector('summary').click();await wait(200);\
    const svg=picture.querySelector('svg');\
    return{...said,picture:svg.getBoundingClientRect().height,label:w.getComputedStyle(svg.querySelector('text')).fill,\
    heading:w.getComputedStyle(d.querySelector('h1')).fontSize,\
    scripts:d.scripts.length,outside:d.querySelectorAll('[src],link').length,\
    overflow:d.documentElement.scrollWidth-d.documentElement.clientWidth,\
    reached:[...d.querySelectorAll('a[href],summary')].filter(e=>e.tabIndex>=0).length,\
    dead:[...d.querySelectorAll('a[href^=\"#\"]')].filter(a=>!d.getElementById(a.getAttribute('href').slice(1))).length,\
    sections:[...d.querySelectorAll('h2')].map(e=>e.textContent),background:back(d.body),\
    contrast:Object.fromEntries(kinds.map(k=>[k,Math.min(...[...d.querySelectorAll(k)].map(ratio))]))}})()";

#[test]
fn page_is_read_and_clicked_on_phones_and_desks_in_dark_and_light() {
    let Some(browser) = chromium() else { return };
    let desk = Desk::new();
    let page = page(&desk);
    if let Some(folder) = std::env::var_os("SLOTWISE_KEEP_PAGE") {
        std::fs::write(std::path::Path::new(&folder).join("report.html"), &page).expect("written");
    }
    let mut backgrounds = Vec::new();
    for (width, scheme) in
        [(390, Scheme::Light), (390, Scheme::Dark), (1280, Scheme::Light), (1280, Scheme::Dark)]
    {
        let said = probed(&desk, &browser, &page, width, scheme, PROBE);
        let place = format!("{width} {scheme:?}: {said:#}");
        assert_eq!(
            (&said["before"], &said["after"], &said["seen"]),
            (&false.into(), &true.into(), &true.into()),
            "{place}"
        );
        let text = said["text"].as_str().expect("text");
        for part in ["1A 00 ", "operation code 1Ah", "X3.131-1994", "Came back", "Before"] {
            assert!(text.contains(part), "{part} in {place}");
        }
        assert_eq!((&said["scripts"], &said["outside"]), (&0.into(), &0.into()), "{place}");
        assert_eq!((&said["overflow"], &said["dead"]), (&0.into(), &0.into()), "{place}");
        assert!(said["picture"].as_f64() > Some(100.0) && said["reached"].as_u64() > Some(6), "{place}");
        let sections = said["sections"].as_array().expect("sections");
        for wanted in ["What did not pass", "Flaky", "scsi-2", "Timing", "The host"] {
            assert!(sections.iter().any(|own| own == wanted), "{wanted} in {place}");
        }
        for (kind, ratio) in said["contrast"].as_object().expect("ratios") {
            assert!(ratio.as_f64() >= Some(4.5), "{kind} in {place}");
        }
        backgrounds.push((said["background"].to_string(), said["label"].to_string()));
    }
    assert_eq!((&backgrounds[0], &backgrounds[1]), (&backgrounds[2], &backgrounds[3]));
    assert!(backgrounds[0].0 != backgrounds[1].0 && backgrounds[0].1 != backgrounds[1].1, "dark is as light");
}
