//! The picture as one drawing in SVG: buses as rails, functions as boxes on them, the groups below.
//!
//! Lengths are in user units, one being a pixel where the drawing is shown in its own size; on a narrower screen it
//! shrinks. Of a large host buses below bridges are drawn as a field of squares, one a function.

use std::fmt::Write as _;

use super::escape::{Escaped, shortened};
use super::model::{Bus, DEEPEST, Function, Group, Model, Step, Weight, plural};
use crate::pci::PciAddress;
use crate::report::Names;
use crate::topology::Topology;

/// Width of the drawing: a third more than a phone has, so that its text can still be read there.
const WIDTH: usize = 540;
const MARGIN: usize = 14;
/// How far a bus below a bridge is moved in, as far as there is room.
const INDENT: usize = 18;
const DEEPEST_INDENT: usize = 7;
/// Height of a line of text.
const LINE: usize = 19;
/// Width that a character is given: more than most letters of a sans-serif font have at 14 units.
const CHARACTER: usize = 8;
/// Pitch of the squares of a bus drawn in short.
const SQUARE: usize = 12;
/// The most lines of notes in a box.
const MOST_NOTES: usize = 4;
/// The most rows that the legend has for each kind.
const MOST_ROWS: usize = 40;

const STYLE: &str = ":root{color-scheme:light dark}\
    text{font:14px system-ui,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif;fill:#1b1f24}\
    .a{font:700 14px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}.h{font-weight:600;font-size:18px}\
    .b{font-weight:600}.s{fill:#57606a}.w{fill:#8a4b00}.v{fill:#a3121f}.e{text-anchor:end}\
    .p{fill:#f6f7f9}.c{fill:#fff;stroke:#d3d9e0}.r{stroke:#b6bfca;stroke-width:2;fill:none}.n{fill:#b6bfca}\
    @media (prefers-color-scheme:dark){text{fill:#e7ecf2}.s{fill:#9aa7b5}.w{fill:#ffc566}.v{fill:#ff9a9f}\
    .p{fill:#0f1318}.c{fill:#181e26;stroke:#2c3540}.r{stroke:#465261}.n{fill:#465261}}";

/// A drawing of the functions that `shown` accepts, and the bridges above them.
#[must_use]
pub fn svg(topology: &Topology, names: &dyn Names, shown: &dyn Fn(PciAddress) -> bool) -> String {
    let model = Model::new(topology, names, shown);
    let mut drawing = Drawing { out: String::new(), y: MARGIN, rails: Vec::new(), model: &model };
    drawing.head();
    drawing.tree();
    drawing.legend();
    let height = drawing.y + MARGIN;
    let title = model.title();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         style=\"max-width:100%;height:auto\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"p\" width=\"{WIDTH}\" height=\"{height}\"/>\n{}</svg>\n",
        drawing.out
    )
}

struct Drawing<'m, 't> {
    out: String,
    /// Where the next thing begins.
    y: usize,
    /// For each open bus the rail: its place, where it begins, and the last function on it.
    rails: Vec<(usize, usize, Option<usize>)>,
    model: &'m Model<'t>,
}

impl Drawing<'_, '_> {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.out.write_fmt(text);
        self.out.push('\n');
    }

    /// A line of text of at most the width there is, at the next place.
    fn text(&mut self, class: &str, x: usize, text: &str) {
        let room = (WIDTH - MARGIN).saturating_sub(x) / CHARACTER;
        let y = self.y + 14;
        let whole = shortened(text, room);
        self.put(format_args!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", Escaped(&whole)));
        self.y += LINE;
    }

    fn head(&mut self) {
        let model = self.model;
        self.text("h", MARGIN, &model.title());
        self.y += 5;
        for (label, state) in &model.switches {
            let class = if state.starts_with("on") { "s" } else { "w" };
            self.text(class, MARGIN, &format!("{label}: {state}"));
        }
        let kernel = model.kernel.map(|kernel| format!(", Linux {kernel}")).unwrap_or_default();
        self.text("s", MARGIN, &format!("source: {}{kernel}", model.source));
        self.y += 8;
    }

    fn tree(&mut self) {
        let mut steps = self.model.walk.iter();
        while let Some(step) = steps.next() {
            match step {
                Step::Open(bus) if self.model.is_closed(bus) => {
                    let mut below = Vec::new();
                    let mut open = 1;
                    // To the end of this bus, whatever buses lie in it.
                    for step in steps.by_ref() {
                        match step {
                            Step::Open(_) => open += 1,
                            Step::Function(function) => below.push(&**function),
                            Step::Close => open -= 1,
                        }
                        if open == 0 {
                            break;
                        }
                    }
                    self.field(bus, &below);
                }
                Step::Open(bus) => self.open_bus(bus),
                Step::Function(function) => self.function(function),
                Step::Close => self.close_bus(),
            }
        }
    }

    /// Where the contents of the innermost bus stand.
    fn x(&self) -> usize {
        MARGIN + INDENT * self.rails.len().min(DEEPEST.min(DEEPEST_INDENT))
    }

    fn open_bus(&mut self, bus: &Bus) {
        let x = self.x();
        let ending = plural(bus.functions);
        self.text("b", x, &format!("Bus {} · {} function{ending}", bus.name, bus.functions));
        self.rails.push((x + 4, self.y, None));
        self.y += 3;
    }

    fn close_bus(&mut self) {
        if let Some((x, from, Some(to))) = self.rails.pop() {
            self.put(format_args!("<path class=\"r\" d=\"M{x} {from}V{to}\"/>"));
        }
        self.y += 4;
    }

    fn function(&mut self, function: &Function<'_>) {
        let x = self.x();
        let notes = notes(function);
        let lines = 3 + notes.len() + usize::from(!function.badges.is_empty());
        let (top, height) = (self.y, lines * LINE + 10);
        if let Some((rail, _, last)) = self.rails.last_mut() {
            *last = Some(top + 16);
            let rail = *rail;
            self.put(format_args!("<path class=\"r\" d=\"M{rail} {}H{x}\"/>", top + 16));
        }
        let width = WIDTH - MARGIN - x;
        self.put(format_args!(
            "<rect class=\"c\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
        ));
        let paint = self.paint(function);
        self.put(format_args!(
            "<rect {paint} x=\"{x}\" y=\"{top}\" width=\"7\" height=\"{height}\" rx=\"3\"/>"
        ));
        self.y += 4;
        self.first_line(function, x + 16);
        self.text("", x + 16, &function.name);
        let id = function.facts.id.known().map(|id| format!(" [{id}]")).unwrap_or_default();
        self.text("s", x + 16, &format!("{}{id}", function.class));
        if !function.badges.is_empty() {
            self.text("s", x + 16, &function.badges.join(" · "));
        }
        for (weight, text) in &notes {
            let class = match weight {
                Weight::Plain => "s",
                Weight::Caution => "w",
                Weight::Vital => "v",
            };
            self.text(class, x + 16, text);
        }
        self.y = top + height + 8;
    }

    /// Address, group, and the driver at the far end.
    fn first_line(&mut self, function: &Function<'_>, x: usize) {
        let y = self.y + 14;
        let (end, address) = (WIDTH - MARGIN - 10, function.facts.address);
        let driver = shortened(&function.driver, 20);
        self.put(format_args!("<text class=\"b e\" x=\"{end}\" y=\"{y}\">{}</text>", Escaped(&driver)));
        let group =
            function.facts.group.known().map_or_else(String::new, |group| format!("group {}", group.0));
        self.put(format_args!(
            "<text class=\"a\" x=\"{x}\" y=\"{y}\">{address}<tspan class=\"s\" dx=\"10\">{group}</tspan></text>"
        ));
        self.y += LINE;
    }

    /// A bus in short: a square for each function on it and below it.
    fn field(&mut self, bus: &Bus, functions: &[&Function<'_>]) {
        let x = self.x();
        let ending = plural(functions.len());
        self.text(
            "b",
            x,
            &format!("Bus {} · {} function{ending}, with those below", bus.name, functions.len()),
        );
        let columns = ((WIDTH - MARGIN - x) / SQUARE).max(1);
        for (number, function) in functions.iter().enumerate() {
            let (left, top) = (x + number % columns * SQUARE, self.y + number / columns * SQUARE);
            let paint = self.paint(function);
            let facts = function.facts;
            let group = facts.group.known().map(|group| format!(", group {}", group.0)).unwrap_or_default();
            let driver = Escaped(&function.driver);
            self.put(format_args!(
                "<rect {paint} x=\"{left}\" y=\"{top}\" width=\"10\" height=\"10\"><title>{}{group}, {driver}</title></rect>",
                facts.address
            ));
        }
        self.y += functions.len().div_ceil(columns) * SQUARE + 8;
    }

    fn paint(&self, function: &Function<'_>) -> String {
        self.model.hue(function.facts).map_or_else(|| "class=\"n\"".to_owned(), fill)
    }

    fn legend(&mut self) {
        let model = self.model;
        let several: Vec<_> = model.groups.iter().filter(|(_, group)| group.members.len() > 1).collect();
        if !several.is_empty() {
            self.y += 8;
            self.text("b", MARGIN, "Groups that go together");
            for (id, group) in several.iter().take(MOST_ROWS) {
                self.swatch(group, &format!("group {}: {}", id.0, members(group)));
            }
            self.rest(several.len());
        }
        let alone = model.groups.len() - several.len();
        if alone > 0 {
            self.text("s", MARGIN, &format!("{alone} group{} of one function each", plural(alone)));
        }
        if !model.lines.is_empty() {
            self.y += 8;
            self.text("b", MARGIN, "Shared interrupt lines");
            for (irq, handlers) in model.lines.iter().take(MOST_ROWS) {
                self.text("w", MARGIN, &format!("IRQ {irq}: {}", handlers.join(", ")));
            }
            self.rest(model.lines.len());
        }
    }

    fn swatch(&mut self, group: &Group, text: &str) {
        let (y, paint) = (self.y + 3, fill(group.hue));
        self.put(format_args!(
            "<rect {paint} x=\"{MARGIN}\" y=\"{y}\" width=\"12\" height=\"12\" rx=\"2\"/>"
        ));
        self.text("", MARGIN + 20, text);
    }

    fn rest(&mut self, rows: usize) {
        if let Some(more) = rows.checked_sub(MOST_ROWS).filter(|more| *more > 0) {
            self.text("s", MARGIN, &format!("and {more} more"));
        }
    }
}

/// As many members as a line holds, and how many more there are.
fn members(group: &Group) -> String {
    let named: Vec<String> = group.members.iter().take(3).map(ToString::to_string).collect();
    match group.members.len().saturating_sub(named.len()) {
        0 => named.join(" "),
        more => format!("{} and {more} more", named.join(" ")),
    }
}

fn notes(function: &Function<'_>) -> Vec<(Weight, String)> {
    let mut notes = function.uses.clone();
    let shared = function.interrupt.iter().filter(|(weight, _)| *weight != Weight::Plain);
    notes.extend(shared.cloned());
    notes.extend(function.alias.iter().map(|alias| (Weight::Plain, format!("DMA arrives as {alias}"))));
    if notes.len() > MOST_NOTES {
        let more = notes.len() - MOST_NOTES + 1;
        notes.truncate(MOST_NOTES - 1);
        notes.push((Weight::Plain, format!("and {more} more")));
    }
    notes
}

/// A colour of that hue that stands out on light and dark ground alike: 62 % saturation, 50 % lightness, as viewers
/// that know no `hsl()` read it.
fn fill(hue: u16) -> String {
    const LOW: u16 = 48;
    const HIGH: u16 = 207;
    let hue = hue % 360;
    let ramp = (HIGH - LOW) * (hue % 60) / 60;
    let (rise, fall) = (LOW + ramp, HIGH - ramp);
    let (red, green, blue) = match hue / 60 {
        0 => (HIGH, rise, LOW),
        1 => (fall, HIGH, LOW),
        2 => (LOW, HIGH, rise),
        3 => (LOW, fall, HIGH),
        4 => (rise, LOW, HIGH),
        _ => (HIGH, LOW, fall),
    };
    format!("fill=\"#{red:02x}{green:02x}{blue:02x}\"")
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn hues_are_the_six_corners_and_between() {
        let told = [0, 60, 120, 180, 240, 300, 30].map(fill);
        let hex = ["cf3030", "cfcf30", "30cf30", "30cfcf", "3030cf", "cf30cf", "cf7f30"];
        assert_eq!(told, hex.map(|hex| format!("fill=\"#{hex}\"")));
    }
}
