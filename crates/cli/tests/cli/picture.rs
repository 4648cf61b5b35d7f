//! The pictures of a host, as a browser sees them. Without Chromium these tests are skipped, except on CI (`CI` set),
//! where its absence is an error; `cargo xtask setup` installs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Desk;

pub(crate) fn chromium() -> Option<PathBuf> {
    let places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let found = places.iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "there is no Chromium; `cargo xtask setup` installs it");
        eprintln!("skipped: there is no Chromium on this machine");
    }
    found
}

pub(crate) fn host() -> String {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/hosts/scsi-bench-slot4");
    host.display().to_string()
}

/// A scheme of colours, as Chromium numbers them (`blink::mojom::PreferredColorScheme`).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scheme {
    Dark = 0,
    Light = 1,
}

/// The page in a frame of that width, and what `probe`, an expression over the frame's document `d` or a promise of one,
/// says of it.
pub(crate) fn probed(
    desk: &Desk,
    browser: &Path,
    page: &str,
    width: u32,
    scheme: Scheme,
    probe: &str,
) -> serde_json::Value {
    // A file of its own, so that links within it lead to places in it; the frame is then the only one to read it.
    desk.put("inner.html", page);
    let outer = format!(
        "<!doctype html><meta charset=utf-8><meta name=color-scheme content='light dark'>\
         <iframe id=f style='width:{width}px;height:900px;border:0' src=inner.html></iframe><pre id=said></pre>\
         <script>f.onload=()=>{{const d=f.contentDocument,w=f.contentWindow;\
         Promise.resolve({probe}).catch(e=>({{failed:String(e)}})).then(v=>said.textContent='@@'+JSON.stringify(v)+'@@')}}</script>"
    );
    let path = desk.put("outer.html", outer);
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"])
        .arg("--allow-file-access-from-files")
        .arg(format!("--blink-settings=preferredColorScheme={}", scheme as u8))
        .arg(format!("--window-size={},900", width.max(500)))
        .arg(format!("--user-data-dir={}", desk.path().join("profile").display()))
        .arg(format!("file://{}", path.display()))
        .output()
        .expect("it runs");
    let dom = String::from_utf8_lossy(&output.stdout);
    let said = dom.split("<pre id=\"said\">").nth(1).and_then(|rest| rest.split("@@").nth(1));
    let said =
        said.unwrap_or_else(|| panic!("nothing was said: {}", String::from_utf8_lossy(&output.stderr)));
    let text = said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What is asked of a page: its parts, whether it is wider than its frame, what the keyboard reaches, and the contrast of
/// each kind of text with what lies behind it (WCAG 2.2 §1.4.3).
const PROBE: &str = "(()=>{\
    const rgb=s=>s.match(/[\\d.]+/g).map(Number),\
    lin=c=>(c/=255)<=.04045?c/12.92:((c+.055)/1.055)**2.4,\
    lum=s=>{const[r,g,b]=rgb(s);return .2126*lin(r)+.7152*lin(g)+.0722*lin(b)},\
    back=e=>{for(;e;e=e.parentElement){const b=w.getComputedStyle(e).backgroundColor;if(rgb(b)[3]!==0)return b}return 'rgb(255,255,255)'},\
    ratio=e=>{const a=lum(w.getComputedStyle(e).color),b=lum(back(e));return(Math.max(a,b)+.05)/(Math.min(a,b)+.05)},\
    kinds=['body','.addr','.name','.class','.chip','.grp','.drv','.vital','.caution','.sub','.switches li','aside .m'];\
    return{functions:d.querySelectorAll('.bus li[id]').length,scripts:d.scripts.length,\
    overflow:d.documentElement.scrollWidth-d.documentElement.clientWidth,\
    reached:[...d.querySelectorAll('a[href],summary')].filter(e=>e.tabIndex>=0).length,\
    dead:[...d.querySelectorAll('a[href^=\"#\"]')].filter(a=>!d.getElementById(a.getAttribute('href').slice(1))).length,\
    background:back(d.body),\
    contrast:Object.fromEntries(kinds.flatMap(k=>{const all=[...d.querySelectorAll(k)];\
    return all.length?[[k,Math.min(...all.map(ratio))]]:[]}))}})()";

#[test]
fn page_fits_phones_and_desks_and_is_readable_in_dark_and_light() {
    let Some(browser) = chromium() else { return };
    let desk = Desk::new();
    let page = desk.run(&["inspect", "--from", &host(), "--html", "-"]).out;
    let mut backgrounds = Vec::new();
    for (width, scheme) in
        [(390, Scheme::Light), (390, Scheme::Dark), (1280, Scheme::Light), (1280, Scheme::Dark)]
    {
        let said = probed(&desk, &browser, &page, width, scheme, PROBE);
        let place = format!("{width} {scheme:?}: {said:#}");
        assert_eq!((&said["functions"], &said["scripts"]), (&13.into(), &0.into()), "{place}");
        assert_eq!((&said["overflow"], &said["dead"]), (&0.into(), &0.into()), "{place}");
        assert!(said["reached"].as_u64() > Some(26), "{place}");
        for (kind, ratio) in said["contrast"].as_object().expect("ratios") {
            assert!(ratio.as_f64() >= Some(4.5), "{kind} in {place}");
        }
        assert!(said["contrast"].as_object().is_some_and(|kinds| kinds.len() == 12), "{place}");
        backgrounds.push(said["background"].to_string());
    }
    assert_eq!((&backgrounds[0], &backgrounds[1]), (&backgrounds[2], &backgrounds[3]));
    assert_ne!(backgrounds[0], backgrounds[1], "dark is as light");
}

#[test]
fn names_from_outside_stay_text_in_a_browser() {
    let Some(browser) = chromium() else { return };
    let desk = Desk::new();
    let text = b"00:02.0 VGA compatible controller [0300]: </p><script>1</script><img src=x onerror=1> [1234:1111]\n\
        \tKernel driver in use: x\n\tPhysical Slot: \"><b>4</b>\n";
    let page = desk.run_with(&["inspect", "--from", "-", "--html", "-"], text).out;
    let probe =
        "({odd:d.querySelectorAll('script,img,.card b').length,text:d.querySelector('.name').textContent})";
    let said = probed(&desk, &browser, &page, 1280, Scheme::Light, probe);
    assert_eq!(said["odd"], 0, "{said:#}");
    assert!(said["text"].as_str().is_some_and(|text| text.contains("<script>1</script><img")), "{said:#}");
}

#[test]
fn drawing_is_sound_xml_with_its_text_inside() {
    let Some(browser) = chromium() else { return };
    let desk = Desk::new();
    let drawing = desk.run(&["inspect", "--from", &host(), "--svg", "-"]).out;
    // Within its width, however long its texts are.
    let probe = "(()=>{const s=d.querySelector('svg'),t=[...s.querySelectorAll('text')];\
        const x=new w.DOMParser().parseFromString(s.outerHTML,'image/svg+xml');\
        return{broken:x.getElementsByTagName('parsererror').length,texts:t.length,\
        wide:t.filter(e=>{const b=e.getBBox();return b.x<0||b.x+b.width>540}).map(e=>e.textContent),\
        overflow:d.documentElement.scrollWidth-d.documentElement.clientWidth}})()";
    let page = format!("<!doctype html><body style='margin:0'>{drawing}");
    let said = probed(&desk, &browser, &page, 390, Scheme::Light, probe);
    assert_eq!((&said["broken"], &said["overflow"]), (&0.into(), &0.into()), "{said:#}");
    assert_eq!(said["wide"], serde_json::json!([]), "{said:#}");
    assert!(said["texts"].as_u64() > Some(50), "{said:#}");
}

#[test]
fn pictures_are_written_where_they_are_asked_for() {
    let desk = Desk::new();
    let said = desk.run(&["inspect", "--from", &host(), "--html", "host.html", "--svg", "host.svg", "02:"]);
    assert_eq!(said.status, Some(0), "{}", said.told());
    for (name, begins) in [("host.html", "<!doctype html>"), ("host.svg", "<svg ")] {
        let text = std::fs::read_to_string(desk.path().join(name)).expect("written");
        assert!(text.starts_with(begins) && text.contains("0000:02:04.0"), "{name}");
    }
    let said = desk.run(&["inspect", "--from", &host(), "--html", "no/such/folder.html"]);
    assert_eq!(said.status, Some(2), "{}", said.told());
    assert!(said.err.contains("cannot write no/such/folder.html"), "{}", said.told());
}
