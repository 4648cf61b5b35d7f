//! The registers of PCI Express, as lspci words them.

use slotwise_core::pci::PortType;
use slotwise_core::pci::capability::{Express, LinkSpeed};

use super::bodies::Check;
use super::flag;

pub(super) fn check(check: &mut Check<'_>, body: &Express) {
    let slot = flag(body.slot_implemented);
    let kind = match body.port_type {
        PortType::Endpoint => "Endpoint".to_owned(),
        PortType::LegacyEndpoint => "Legacy Endpoint".to_owned(),
        PortType::RootPort => format!("Root Port (Slot{slot})"),
        PortType::UpstreamPort => "Upstream Port".to_owned(),
        PortType::DownstreamPort => format!("Downstream Port (Slot{slot})"),
        PortType::PcieToPciBridge => "PCI-Express to PCI/PCI-X Bridge".to_owned(),
        PortType::PciToPcieBridge => format!("PCI/PCI-X to PCI-Express Bridge (Slot{slot})"),
        PortType::RootComplexIntegratedEndpoint => "Root Complex Integrated Endpoint".to_owned(),
        PortType::RootComplexEventCollector => "Root Complex Event Collector".to_owned(),
        PortType::Unknown(value) => format!("Unknown type {value}"),
    };
    check.field("type", "", "Express ", &format!("(v{}) {kind}", body.version));
    check.field("message", "", "MSI ", &format!("{:02x}", body.interrupt_message));
    check.field("message", "", "IntMsgNum ", &body.interrupt_message.to_string());
    if let Some(device) = body.device {
        check.flag("flr", "DevCap:", "FLReset", device.flr);
        check.flag("extended-tag", "DevCap:", "ExtTag", device.extended_tag);
        check.field(
            "max-payload",
            "DevCap:",
            "MaxPayload ",
            &format!("{} bytes", device.max_payload_supported),
        );
        if let (Some(payload), Some(request)) = (device.max_payload, device.max_read_request) {
            let sizes = format!("{payload} bytes, MaxReadReq {request} bytes");
            check.field("payload", "DevCtl:", "MaxPayload ", &sizes);
        }
        check.flag("pending", "DevSta:", "TransPend", device.transactions_pending);
    }
    if let Some(link) = body.link {
        let speed = format!("{}, Width x{}", speed(link.max_speed), link.max_width);
        check.field("link", "LnkCap:", "Speed ", &speed);
        check.field("port", "LnkCap:", "Port #", &link.port.to_string());
        if let (Some(now), Some(width)) = (link.speed, link.width) {
            check.field("link-speed", "LnkSta:", "Speed ", self::speed(now));
            check.field("link-width", "LnkSta:", "Width x", &width.to_string());
        }
        check.flag("link-active", "LnkSta:", "DLActive", link.active);
    }
    if let Some(slot) = body.slot {
        check.flag("hot-plug", "SltCap:", "HotPlug", slot.hot_plug);
        check.flag("surprise", "SltCap:", "Surprise", slot.surprise);
        check.flag("power-controller", "SltCap:", "PwrCtrl", slot.power_controller);
        check.field("slot", "SltCap:", "Slot #", &slot.number.to_string());
        check.flag("present", "SltSta:", "PresDet", slot.present);
    }
    express2(check, body);
}

fn express2(check: &mut Check<'_>, body: &Express) {
    let Some(device) = body.device2 else { return };
    check.flag("ari-forwarding", "DevCap2:", "ARIFwd", device.ari_forwarding);
    check.flag("tags10", "DevCap2:", "10BitTagComp", device.tags10.completer);
    check.flag("tags10", "DevCap2:", "10BitTagReq", device.tags10.requester);
    check.flag("ltr", "DevCap2:", "LTR", device.ltr);
    check.flag("atomics", "AtomicOpsCap:", "Routing", device.atomic_routing);
    check.flag("atomics", "AtomicOpsCap:", "32bit", device.atomic32);
    check.flag("atomics", "AtomicOpsCap:", "64bit", device.atomic64);
    check.flag("atomics", "AtomicOpsCap:", "128bitCAS", device.cas128);
    check.flag("ari-forwarding-enabled", "DevCtl2:", "ARIFwd", device.ari_forwarding_enabled);
    for section in ["DevCtl2:", "AtomicOpsCtl:"] {
        check.flag("atomics-enabled", section, "ReqEn", device.atomic_requester_enabled);
        check.flag("tags10-enabled", section, "10BitTagReq", device.tags10_enabled);
    }
}

fn speed(speed: LinkSpeed) -> &'static str {
    match speed.code() {
        1 => "2.5GT/s",
        2 => "5GT/s",
        3 => "8GT/s",
        4 => "16GT/s",
        5 => "32GT/s",
        6 => "64GT/s",
        _ => "unknown",
    }
}
