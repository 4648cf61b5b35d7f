//! `inspect --watch`: what happens to the selected functions, a line each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use slotwise_core::report::{Names, Role, Text};
use slotwise_host::uevent::{PciChange, PciEvent, Uevents, Waited};

use crate::error::{Failure, Outcome};
use crate::names::PciNames;
use crate::print;

/// How long a signal may wait to be heeded at most; it ends the waiting anyway, unless it comes just before.
const PATIENCE: Duration = Duration::from_millis(500);

/// One event as JSON; unknown is null, as in `slotwise.inspect/1`.
#[derive(Debug, Serialize)]
struct Event {
    schema: &'static str,
    change: &'static str,
    address: String,
    vendor: Option<String>,
    device: Option<String>,
    class: Option<String>,
    vendor_name: Option<String>,
    device_name: Option<String>,
    driver: Option<String>,
}

/// Tells events until a signal ends it.
pub(super) fn run(
    events: &Uevents,
    names: &PciNames,
    json: bool,
    wanted: impl Fn(&PciEvent) -> bool,
) -> Result<Outcome, Failure> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
    }
    if !json {
        print::progress("waiting for what happens to PCI functions; Ctrl-C ends");
    }
    while !ended.load(Ordering::Relaxed) && is_read() {
        match events.wait(PATIENCE)? {
            Waited::Nothing => {}
            Waited::Lost => {
                print::note(Role::Caution, "warning", "too much happened at once, some of it is missing");
            }
            Waited::Event(event) if wanted(&event) => {
                if json {
                    print::json_line(&of(&event, names))?;
                } else {
                    print::text(&line(&event, names))?;
                }
            }
            Waited::Event(_) => {}
        }
    }
    Ok(Outcome::Fine)
}

/// Whether somebody still reads what is printed: the other end of a pipe may have gone (`| head`).
fn is_read() -> bool {
    let out = std::io::stdout();
    let mut out = [PollFd::new(&out, PollFlags::empty())];
    let gone = PollFlags::ERR | PollFlags::HUP;
    poll(&mut out, Some(&Timespec::default())).is_err() || !out.iter().any(|fd| fd.revents().intersects(gone))
}

fn of(event: &PciEvent, names: &PciNames) -> Event {
    Event {
        schema: "slotwise.inspect-event/1",
        change: event.change.name(),
        address: event.address.to_string(),
        vendor: event.id.map(|id| format!("{:04x}", id.vendor)),
        device: event.id.map(|id| format!("{:04x}", id.device)),
        class: event.class.map(|class| class.to_string()),
        vendor_name: event.id.and_then(|id| names.vendor(id.vendor)),
        device_name: event.id.and_then(|id| names.device(id)),
        driver: event.driver.as_ref().map(ToString::to_string),
    }
}

fn line(event: &PciEvent, names: &PciNames) -> Text {
    let mut text = Text::default();
    let role = match event.change {
        PciChange::Added | PciChange::Bound => Role::Good,
        PciChange::Removed | PciChange::Unbound => Role::Caution,
        PciChange::Changed => Role::Plain,
    };
    text.line(Role::Strong, event.address.to_string()).add(role, format!("  {}", event.change.name()));
    if let (PciChange::Bound, Some(driver)) = (event.change, &event.driver) {
        text.add(Role::Plain, format!(" to {driver}"));
    }
    if let Some(id) = event.id {
        let name = [names.vendor(id.vendor), names.device(id)].into_iter().flatten().collect::<Vec<_>>();
        text.add(Role::Plain, format!("  {}", name.join(" "))).add(Role::Faint, format!(" [{id}]"));
    }
    text
}
