//! What `attach` and `detach` print with --json: `slotwise.attach/1` and `slotwise.detach/1`.

use serde::Serialize;
use slotwise_core::pci::PciAddress;

use super::Sign;

/// `slotwise.attach/1`.
#[derive(Serialize)]
pub(crate) struct Attached<'a> {
    schema: &'static str,
    vm: &'a str,
    devices: Vec<Device>,
    /// The apply that gave the devices away; null where the host was so already.
    apply: Option<String>,
    /// What was changed on the host.
    steps: &'a [String],
}

#[derive(Serialize)]
struct Device {
    address: String,
    /// `listed` by the guest's agent, `decodes` its addresses, or `silent`.
    guest: &'static str,
    /// Where the guest sees it.
    guest_address: Option<String>,
    guest_driver: Option<String>,
}

impl<'a> Attached<'a> {
    pub(crate) fn new(
        vm: &'a str,
        devices: &[(PciAddress, Sign)],
        apply: Option<String>,
        steps: &'a [String],
    ) -> Self {
        let devices = devices.iter().map(|(address, sign)| Device::new(*address, sign)).collect();
        Self { schema: "slotwise.attach/1", vm, devices, apply, steps }
    }
}

impl Device {
    fn new(address: PciAddress, sign: &Sign) -> Self {
        let (guest, guest_address, guest_driver) = match sign {
            Sign::Listed { address, driver } => ("listed", Some(address.clone()), driver.clone()),
            Sign::Decodes => ("decodes", None, None),
            Sign::Silent => ("silent", None, None),
        };
        Self { address: address.to_string(), guest, guest_address, guest_driver }
    }
}

/// `slotwise.detach/1`.
#[derive(Serialize)]
pub(crate) struct Detached<'a> {
    schema: &'static str,
    vm: &'a str,
    devices: Vec<String>,
    /// Whether a guest had to let go of them; else the VM was gone, or had none of them.
    unplugged: bool,
    /// Whether the host has them back; else they stay with vfio-pci until the run that gave them away ends.
    given_back: bool,
}

impl<'a> Detached<'a> {
    pub(crate) fn new(vm: &'a str, devices: &[PciAddress], unplugged: bool, given_back: bool) -> Self {
        let devices = devices.iter().map(ToString::to_string).collect();
        Self { schema: "slotwise.detach/1", vm, devices, unplugged, given_back }
    }
}
