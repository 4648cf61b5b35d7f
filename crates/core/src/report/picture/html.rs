//! The picture as one page of HTML: a tree of buses that opens and closes, and beside it the groups, the shared interrupt
//! lines and what could not be read.

use std::fmt::Write as _;

use super::escape::Escaped;
use super::model::{Bus, DEEPEST, Function, Group, Model, Step, Weight, plural};
use crate::facts::FunctionFacts;
use crate::pci::PciAddress;
use crate::report::Names;
use crate::topology::Topology;

/// Functions up to which each has its registers and capabilities at hand; beyond, the page would have tens of MiB.
const DETAILS_UP_TO: usize = 2000;

/// The most things that could not be read that are named.
const MOST_FAULTS: usize = 50;

const STYLE: &str = include_str!("page.css");

/// A page that shows the functions that `shown` accepts, and the bridges above them.
#[must_use]
pub fn html(topology: &Topology, names: &dyn Names, shown: &dyn Fn(PciAddress) -> bool) -> String {
    let model = Model::new(topology, names, shown);
    let mut page = Page { out: String::new(), model: &model };
    page.head();
    page.tree();
    page.aside();
    page.out.push_str("</main>\n<footer><p>");
    if model.functions > DETAILS_UP_TO {
        page.put(format_args!(
            "Registers and capabilities are left out of pages with more than {DETAILS_UP_TO} functions. "
        ));
    }
    page.out.push_str("Equal colours are equal IOMMU groups.</p></footer>\n</body>\n</html>\n");
    page.out
}

struct Page<'m, 't> {
    out: String,
    model: &'m Model<'t>,
}

impl Page<'_, '_> {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.out.write_fmt(text);
    }

    fn head(&mut self) {
        let model = self.model;
        // Nothing is loaded and nothing runs, whatever a name manages to say.
        let policy = "default-src 'none'; style-src 'unsafe-inline'";
        let title = model.title();
        self.put(format_args!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#tree\">Skip to the tree</a>\n<header>\n<h1>{title}</h1>\n<p class=\"sub\">"
        ));
        self.put(format_args!("Source: {}", Escaped(&model.source)));
        if let Some(kernel) = model.kernel {
            self.put(format_args!(" · Linux {}", Escaped(kernel)));
        }
        self.out.push_str("</p>\n<ul class=\"switches\">");
        for (label, state) in &model.switches {
            let class = state.split(' ').next().unwrap_or_default();
            let label = Escaped(label);
            self.put(format_args!("<li class=\"{}\">{label}: {}</li>", Escaped(class), Escaped(state)));
        }
        self.out.push_str("</ul>\n</header>\n<main>\n");
    }

    fn tree(&mut self) {
        self.out.push_str("<section id=\"tree\" tabindex=\"-1\" aria-label=\"Buses and functions\">\n");
        let model = self.model;
        // Buses nested deeper than markup should be are written where they are; their ends are left out too.
        let mut ends = Vec::new();
        let mut in_function = vec![false];
        for step in &model.walk {
            match step {
                Step::Open(bus) => {
                    let nested = ends.len() < DEEPEST;
                    ends.push(nested);
                    if nested {
                        self.open_bus(bus);
                        in_function.push(false);
                    }
                }
                Step::Function(function) => {
                    if let Some(open) = in_function.last_mut()
                        && std::mem::replace(open, true)
                    {
                        self.out.push_str("</li>\n");
                    }
                    self.function(function);
                }
                Step::Close => {
                    if ends.pop() == Some(true) {
                        let open = in_function.pop().unwrap_or(false);
                        self.out.push_str(if open {
                            "</li>\n</ol></details>\n"
                        } else {
                            "</ol></details>\n"
                        });
                    }
                }
            }
        }
        self.out.push_str("</section>\n");
    }

    fn open_bus(&mut self, bus: &Bus) {
        let open = if self.model.is_closed(bus) { "" } else { " open" };
        let (count, name) = (bus.functions, Escaped(&bus.name));
        let ending = plural(count);
        self.put(format_args!(
            "<details class=\"bus\"{open}><summary>Bus <code>{name}</code> <small>{count} function{ending}</small></summary><ol>\n"
        ));
    }

    fn function(&mut self, function: &Function<'_>) {
        let address = function.facts.address;
        match self.model.hue(function.facts) {
            Some(hue) => self.put(format_args!("<li class=\"g\" id=\"f{address}\" style=\"--h:{hue}\">")),
            None => self.put(format_args!("<li id=\"f{address}\">")),
        }
        self.put(format_args!(
            "<div class=\"card\"><div class=\"head\"><a class=\"addr\" href=\"#f{address}\">{address}</a>"
        ));
        match function.facts.group.known() {
            Some(group) => self.put(format_args!("<span class=\"chip grp\">group {}</span>", group.0)),
            None if self.model.groups.is_empty() => {}
            None => self.out.push_str("<span class=\"chip\">no group</span>"),
        }
        for badge in &function.badges {
            self.put(format_args!("<span class=\"chip\">{}</span>", Escaped(badge)));
        }
        let kind = match function.facts.driver.known() {
            Some(driver) if driver.as_str().contains("vfio") => " vfio",
            Some(_) => "",
            None => " none",
        };
        self.put(format_args!("<span class=\"drv{kind}\">{}</span></div>", Escaped(&function.driver)));
        self.put(format_args!("<p class=\"name\">{}</p>", Escaped(&function.name)));
        self.put(format_args!("<p class=\"class\">{}", Escaped(&function.class)));
        if let Some(id) = function.facts.id.known() {
            self.put(format_args!(" · <code>[{id}]</code>"));
        }
        self.out.push_str("</p>");
        self.notes(function);
        if self.model.functions <= DETAILS_UP_TO {
            self.details(function.facts);
        }
        self.out.push_str("</div>\n");
    }

    fn notes(&mut self, function: &Function<'_>) {
        let mut notes: Vec<(Weight, &str, String)> = Vec::new();
        for (weight, text) in &function.uses {
            let label = if *weight == Weight::Vital { "The host lives on it" } else { "Used by the host" };
            notes.push((*weight, label, text.clone()));
        }
        if let Some((weight, text)) = &function.interrupt {
            notes.push((*weight, "Interrupt", text.clone()));
        }
        if let Some(alias) = &function.alias {
            notes.push((Weight::Plain, "DMA arrives as", alias.clone()));
        }
        if notes.is_empty() {
            return;
        }
        self.out.push_str("<ul class=\"notes\">");
        for (weight, label, text) in notes {
            let class = match weight {
                Weight::Plain => "",
                Weight::Caution => " class=\"caution\"",
                Weight::Vital => " class=\"vital\"",
            };
            self.put(format_args!("<li{class}><b>{label}:</b> {}</li>", Escaped(&text)));
        }
        self.out.push_str("</ul>");
    }

    fn details(&mut self, facts: &FunctionFacts) {
        let rows = super::detail::rows(facts);
        if rows.is_empty() {
            return;
        }
        self.out.push_str("<details class=\"more\"><summary>Details</summary><dl>");
        for (label, value) in rows {
            self.put(format_args!("<dt>{}</dt><dd>{}</dd>", Escaped(&label), Escaped(&value)));
        }
        self.out.push_str("</dl></details>");
    }

    fn aside(&mut self) {
        let model = self.model;
        self.out.push_str("<aside aria-label=\"Legend\">\n");
        let (several, alone): (Vec<_>, Vec<_>) =
            model.groups.iter().partition(|(_, group)| group.members.len() > 1);
        let open = if model.is_large() { "" } else { " open" };
        if !several.is_empty() {
            self.put(format_args!(
                "<details{open}><summary>Groups that go together ({})</summary><ul>",
                several.len()
            ));
            for (id, group) in &several {
                self.put(format_args!(
                    "<li class=\"g\" style=\"--h:{}\"><b>group {}</b> <span class=\"m\">",
                    group.hue, id.0
                ));
                self.members(group);
                self.out.push_str("</span></li>");
            }
            self.out.push_str("</ul></details>\n");
        }
        if !alone.is_empty() {
            self.put(format_args!(
                "<details{open}><summary>Groups of one function ({})</summary><ul class=\"alone\">",
                alone.len()
            ));
            for (id, group) in &alone {
                let Some(member) = group.members.first() else { continue };
                self.put(format_args!(
                    "<li class=\"chip grp\" style=\"--h:{}\"><a href=\"#f{member}\" title=\"{member}\">{}</a></li>",
                    group.hue, id.0
                ));
            }
            self.out.push_str("</ul></details>\n");
        }
        self.list("Shared interrupt lines", model.lines.len(), open, |page| {
            for (irq, handlers) in &model.lines {
                let handlers = handlers.join(", ");
                page.put(format_args!(
                    "<li class=\"line\"><b>IRQ {irq}</b> <span class=\"m\">{}</span></li>",
                    Escaped(&handlers)
                ));
            }
        });
        self.list("Could not be read", model.faults.len(), "", |page| {
            for fault in model.faults.iter().take(MOST_FAULTS) {
                page.put(format_args!("<li><span class=\"m\">{}</span></li>", Escaped(fault)));
            }
        });
        self.out.push_str("</aside>\n");
    }

    /// A titled list, if it has `count` rows and not none.
    fn list(&mut self, title: &str, count: usize, open: &str, rows: impl FnOnce(&mut Self)) {
        if count > 0 {
            self.put(format_args!("<details{open}><summary>{title} ({count})</summary><ul>"));
            rows(self);
            self.out.push_str("</ul></details>\n");
        }
    }

    fn members(&mut self, group: &Group) {
        for (number, member) in group.members.iter().enumerate() {
            let between = if number == 0 { "" } else { " " };
            self.put(format_args!("{between}<a href=\"#f{member}\"><code>{member}</code></a>"));
        }
    }
}
