//! libvirt's files: domains that run (`/run/libvirt/DRIVER/*.xml`, a `domstatus` around the domain) and domains that are
//! defined (`/etc/libvirt/DRIVER/*.xml`); of users' own sessions (`qemu:///session`) those that run, in `/run/user/UID`
//! (`src/qemu/qemu_conf.c: virQEMUDriverConfigNew`). What users define for themselves is in their homes, which are not read.
//!
//! Forms: <https://libvirt.org/formatdomain.html#host-device-assignment> (`hostdev` and `interface` of type `hostdev`),
//! `src/conf/domain_conf.c: virDomainObjFormat`. Both are readable by root only. What a network pool or `vfio` variant hands
//! out is in the running domain's `interface`, as `actual`.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use slotwise_core::facts::{HostMachine, MachineState, Monitor};
use slotwise_core::pci::PciAddress;

use super::Found;
use crate::kernel::ReadHost;
use crate::read::malformed;

/// Directories of running and of defined domains. `qemu/channel`, `autostart`, `networks` in them are directories.
const DIRECTORIES: [(&str, bool); 5] = [
    ("/run/libvirt/qemu", true),
    ("/run/libvirt/libxl", true),
    ("/etc/libvirt/qemu", false),
    ("/etc/libvirt/libxl", false),
    ("/var/lib/libvirt/libxl", false),
];

/// Where users' sessions keep what runs: a directory for each user, and the place in it.
const SESSIONS: (&str, &str) = ("/run/user", "libvirt/qemu/run");

/// Users whose sessions are looked at.
const MOST_USERS: usize = 1024;

/// A domain's file has some tens of KiB; `qemuCaps` of a running one is the largest part.
const DOMAIN_BYTES: usize = 1 << 20;

/// Deepest nesting that is followed; libvirt's own is about ten.
const DEEPEST: usize = 64;

pub(super) fn machines(host: &dyn ReadHost, found: &mut Found) {
    let system = DIRECTORIES.map(|(directory, running)| (directory.to_owned(), running));
    let (parent, place) = SESSIONS;
    // That there are users says nothing of machines.
    let users =
        host.list(parent).unwrap_or_default().into_iter().filter(|user| is_user(user)).take(MOST_USERS);
    let sessions = users.map(|user| (format!("{parent}/{user}/{place}"), true));
    for (directory, running) in system.into_iter().chain(sessions) {
        for name in found.names(host, &directory) {
            if !name.ends_with(".xml") {
                continue;
            }
            let place = format!("{directory}/{name}");
            match host.read(&place, DOMAIN_BYTES) {
                Ok(bytes) => match Domain::parse(&bytes) {
                    // A running domain of libxl has no process.
                    Some(domain) => found.machines.push(HostMachine {
                        name: domain.name.clone(),
                        monitor: Monitor::Libvirt,
                        state: domain.state(running),
                        functions: domain.functions,
                        place,
                    }),
                    None => found.unread.push(malformed(&place, "expected a domain in libvirt's XML")),
                },
                Err(error) => found.missing(&error),
            }
        }
    }
}

fn is_user(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a session keeps there what runs.
fn is_session(directory: &str) -> bool {
    let (parent, place) = SESSIONS;
    let user = directory
        .strip_prefix(parent)
        .and_then(|rest| rest.strip_prefix('/')?.strip_suffix(place)?.strip_suffix('/'));
    user.is_some_and(is_user)
}

/// What is read of a domain.
#[derive(Debug, Default, PartialEq, Eq)]
struct Domain {
    name: Option<String>,
    pid: Option<u32>,
    id: Option<u32>,
    functions: Vec<PciAddress>,
}

impl Domain {
    fn state(&self, running: bool) -> MachineState {
        match (self.pid, self.id) {
            (Some(pid), _) if running => MachineState::Process(pid),
            (None, Some(id)) if running => MachineState::Domain(id),
            _ => MachineState::Defined,
        }
    }

    /// None for what is no domain, or no XML.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut reader = Reader::from_str(&text);
        let mut domain = Self::default();
        let mut path: Vec<String> = Vec::new();
        // Whether the device that is being read is one of the host's.
        let mut assigned = false;
        let mut is_domain = false;
        loop {
            match reader.read_event().ok()? {
                Event::Start(element) => {
                    if path.len() >= DEEPEST {
                        return None;
                    }
                    path.push(name_of(&element));
                    is_domain |= path.last().is_some_and(|name| name == "domain");
                    domain.element(&path, &element, &mut assigned);
                }
                Event::Empty(element) => {
                    path.push(name_of(&element));
                    is_domain |= path.last().is_some_and(|name| name == "domain");
                    domain.element(&path, &element, &mut assigned);
                    path.pop();
                }
                Event::End(_) => {
                    if matches!(path.last().map(String::as_str), Some("hostdev" | "interface")) {
                        assigned = false;
                    }
                    path.pop();
                }
                Event::Text(text) if ends_with(&path, &["domain", "name"]) => {
                    let name = quick_xml::escape::unescape(&text).ok()?;
                    domain.name.get_or_insert_default().push_str(&name);
                }
                // `&amp;` and its kin come as events of their own.
                Event::GeneralRef(entity) if ends_with(&path, &["domain", "name"]) => {
                    let entity = format!("&{};", &*entity);
                    let text = quick_xml::escape::unescape(&entity).ok()?.into_owned();
                    domain.name.get_or_insert_default().push_str(&text);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        domain.name = domain.name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        is_domain.then_some(domain)
    }

    fn element(&mut self, path: &[String], element: &BytesStart<'_>, assigned: &mut bool) {
        match path.last().map_or("", String::as_str) {
            "domstatus" => self.pid = attribute(element, "pid").and_then(|pid| pid.parse().ok()),
            "domain" => self.id = attribute(element, "id").and_then(|id| id.parse().ok()),
            "hostdev" | "interface" | "actual" => {
                let kind = attribute(element, "type").unwrap_or_default();
                let pci = path.last().is_some_and(|name| name == "hostdev") && kind == "pci";
                *assigned |= pci || kind == "hostdev";
            }
            // The address in `source` is the host's; that beside it is the guest's.
            "address" if *assigned && ends_with(path, &["source", "address"]) => {
                self.functions.extend(address(element));
            }
            _ => {}
        }
    }

    /// A file that says the same, and nothing else.
    fn reduced(&self) -> Vec<u8> {
        let name = self.name.as_deref().map(|name| quick_xml::escape::escape(name).into_owned());
        let name = name.map_or_else(String::new, |name| format!("<name>{name}</name>"));
        let mut text = self.id.map_or_else(|| "<domain>".to_owned(), |id| format!("<domain id='{id}'>"));
        text += &name;
        for function in &self.functions {
            text += &format!(
                "\n<hostdev type='pci'><source><address domain='{:#06x}' bus='{:#04x}' slot='{:#04x}' function='{:#x}'/></source></hostdev>",
                function.domain(),
                function.bus(),
                function.device(),
                function.function()
            );
        }
        text += "</domain>\n";
        if let Some(pid) = self.pid {
            text = format!("<domstatus pid='{pid}'>{text}</domstatus>\n");
        }
        text.into_bytes()
    }
}

fn name_of(element: &BytesStart<'_>) -> String {
    element.name().as_ref().to_owned()
}

fn ends_with(path: &[String], names: &[&str]) -> bool {
    path.len() >= names.len() && path.iter().rev().zip(names.iter().rev()).all(|(a, b)| a == b)
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    Some(element.try_get_attribute(name).ok()??.value.into_owned())
}

/// `domain='0x0000' bus='0x01' slot='0x00' function='0x0'`; numbers may be decimal (`virStrToLong_uip` with base 0).
fn address(element: &BytesStart<'_>) -> Option<PciAddress> {
    let number = |name: &str| {
        let text = attribute(element, name)?;
        match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => text.parse::<u32>().ok(),
        }
    };
    let domain = number("domain").unwrap_or(0);
    let (bus, slot, function) = (number("bus")?, number("slot")?, number("function").unwrap_or(0));
    format!("{domain:04x}:{bus:02x}:{slot:02x}.{function:x}").parse().ok()
}

/// See [`super::reduced`].
pub(super) fn reduced(path: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let (directory, name) = path.rsplit_once('/')?;
    let known = DIRECTORIES.iter().any(|(known, _)| *known == directory) || is_session(directory);
    let ours = known && name.ends_with(".xml");
    ours.then(|| Domain::parse(bytes).map_or_else(Vec::new, |domain| domain.reduced()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RUNNING: &str = "<!-- made by hand -->\n<domstatus state='running' reason='booted' pid='4711'>
        <monitor path='/run/secret.sock' type='unix'/>
        <domain type='kvm' id='3'><name>win &amp; co</name><devices>
        <graphics type='vnc' passwd='hunter2'/>
        <hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/>
          <source><address domain='0x0000' bus='0x01' slot='0x00' function='0x1'/></source>
          <address type='pci' domain='0x0000' bus='0x06' slot='0x00' function='0x0'/></hostdev>
        <hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/><address bus='1' device='2'/></source></hostdev>
        <interface type='network'><source network='pool'/><actual type='hostdev'><source>
          <address type='pci' domain='0x0000' bus='4' slot='0x10' function='0x2'/></source></actual></interface>
        <interface type='bridge'><source bridge='br0'/><address type='pci' bus='0x02' slot='0x00'/></interface>
        </devices></domain></domstatus>";

    fn functions(domain: &Domain) -> Vec<String> {
        domain.functions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn host_side_addresses_of_a_running_domain_are_read() {
        let domain = Domain::parse(RUNNING.as_bytes()).expect("a domain");
        assert_eq!(domain.name.as_deref(), Some("win & co"));
        assert_eq!(functions(&domain), ["0000:01:00.1", "0000:04:10.2"]);
        assert_eq!(domain.state(true), MachineState::Process(4711));
    }

    #[test]
    fn defined_domain_does_not_run() {
        let domain = Domain::parse(b"<domain type='kvm'><name>a</name></domain>").expect("a domain");
        assert_eq!((domain.state(false), domain.functions.len()), (MachineState::Defined, 0));
        let xen = Domain::parse(b"<domstatus state='running' pid='9'><domain id='5'/></domstatus>");
        assert_eq!(xen.map(|domain| domain.state(true)), Some(MachineState::Process(9)));
    }

    #[test]
    fn reduced_domain_says_the_same_and_no_secret() {
        let short = reduced("/run/libvirt/qemu/win.xml", RUNNING.as_bytes()).expect("a domain's file");
        assert_eq!(Domain::parse(&short), Domain::parse(RUNNING.as_bytes()));
        let text = String::from_utf8_lossy(&short);
        assert!(!text.contains("hunter2") && !text.contains("secret"), "{text}");
        assert_eq!(reduced("/etc/libvirt/secrets/x.xml", b"<secret/>"), None);
        let session = reduced("/run/user/1000/libvirt/qemu/run/win.xml", RUNNING.as_bytes());
        assert_eq!(session.as_deref(), Some(&short[..]));
        assert_eq!(reduced("/run/user/x/libvirt/qemu/run/win.xml", RUNNING.as_bytes()), None);
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for text in ["", "<network/>", "<domain", "<domain><name>&undefined;</name></domain>", "<a></b>"] {
            assert_eq!(Domain::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Domain::parse("<a>".repeat(1000).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(<domain>|<name>|</name>|<hostdev type='pci'>|<source>|<address bus='[0-9a-fx]{1,5}' slot='[0-9]{1,3}'/>|&#?[a-z0-9]{1,5};|[ -~]{0,9}){0,12}") {
            let domain = Domain::parse(text.as_bytes());
            if let Some(domain) = domain {
                let again = Domain::parse(&domain.reduced()).expect("our own");
                prop_assert_eq!(domain.functions, again.functions);
            }
        }
    }
}
