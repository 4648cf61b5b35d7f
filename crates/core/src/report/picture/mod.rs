//! A host as a picture: one page of HTML, or one drawing in SVG.
//!
//! Both show the same [`model`]: buses with their bridges and functions, IOMMU groups as colours, drivers, what of the
//! host hangs on a function, hot-plug slots, shared interrupt lines, requester ids that are not a function's own. Every
//! text is text, never an image of it, and everything that comes from the host is escaped: names of devices, disks and
//! interfaces are whatever a device or a stranger's capture says. Neither needs a script, a font or a network.
//!
//! Colours follow the reader's choice of dark or light (`prefers-color-scheme`), and no meaning is in colour alone: a
//! group's number stands beside its colour.

mod detail;
mod escape;
mod html;
mod model;
mod svg;

pub use html::html;
pub use svg::svg;

#[cfg(test)]
mod tests;
