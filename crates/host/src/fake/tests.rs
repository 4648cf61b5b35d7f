use super::*;

const HOST: &str = "
    module vfio_pci
    driver vfio-pci module=vfio_pci
    driver aic7xxx ids=9004:5078
    device 0000:03:04.0 9004:5078 group=14
    device 0000:03:05.0 9004:5078 group=14
    directory /etc/modprobe.d
";

const DEVICE: &str = "/sys/bus/pci/devices/0000:03:04.0";

fn host() -> FakeKernel {
    FakeKernel::parse(HOST).unwrap()
}

fn bind_to_vfio(host: &FakeKernel, device: &str) {
    host.write(&format!("/sys/bus/pci/devices/{device}/driver_override"), b"vfio-pci").unwrap();
    host.write("/sys/bus/pci/drivers/aic7xxx/unbind", device.as_bytes()).unwrap();
    host.write("/sys/bus/pci/drivers_probe", device.as_bytes()).unwrap();
}

#[test]
fn boot_binds_by_id_and_not_to_vfio() {
    let host = host();
    assert_eq!(host.link(&format!("{DEVICE}/driver")).unwrap(), "../../../bus/pci/drivers/aic7xxx");
    assert_eq!(host.read(&format!("{DEVICE}/driver_override"), 64).unwrap(), b"(null)\n");
    assert!(host.list("/sys/module").is_err());
}

#[test]
fn group_node_comes_with_the_first_device_and_goes_with_the_last() {
    let host = host();
    host.load_module("vfio_pci", &[]).unwrap();
    assert!(host.list("/dev/vfio").is_err());
    bind_to_vfio(&host, "0000:03:04.0");
    bind_to_vfio(&host, "0000:03:05.0");
    assert_eq!(host.list("/dev/vfio").unwrap(), ["14"]);
    host.write("/sys/bus/pci/drivers/vfio-pci/unbind", b"0000:03:04.0").unwrap();
    assert_eq!(host.list("/dev/vfio").unwrap(), ["14"]);
    host.write("/sys/bus/pci/drivers/vfio-pci/unbind", b"0000:03:05.0").unwrap();
    assert!(host.list("/dev/vfio").is_err());
}

#[test]
fn probe_succeeds_though_nothing_is_bound() {
    let host = host();
    host.write(&format!("{DEVICE}/driver_override"), b"none\n").unwrap();
    host.write("/sys/bus/pci/drivers/aic7xxx/unbind", b"0000:03:04.0").unwrap();
    host.write("/sys/bus/pci/drivers_probe", b"0000:03:04.0").unwrap();
    assert!(host.link(&format!("{DEVICE}/driver")).unwrap_err().is_not_found());
}

#[test]
fn unbind_from_the_wrong_driver_is_no_such_device() {
    let host = host();
    host.load_module("vfio_pci", &[]).unwrap();
    let error = host.write("/sys/bus/pci/drivers/vfio-pci/unbind", b"0000:03:04.0").unwrap_err();
    assert_eq!(error.kind, WriteErrorKind::Vanished);
}

#[test]
fn bind_wants_a_match_and_a_free_device() {
    let host = host();
    let bind = "/sys/bus/pci/drivers/aic7xxx/bind";
    assert_eq!(host.write(bind, b"0000:03:04.0").unwrap_err().kind, WriteErrorKind::Busy);
    host.write("/sys/bus/pci/drivers/aic7xxx/unbind", b"0000:03:04.0").unwrap();
    host.write(&format!("{DEVICE}/driver_override"), b"vfio-pci").unwrap();
    assert_eq!(host.write(bind, b"0000:03:04.0").unwrap_err().kind, WriteErrorKind::Vanished);
}

#[test]
fn new_driver_takes_driverless_devices_that_match() {
    let host = host();
    host.write(&format!("{DEVICE}/driver_override"), b"vfio-pci").unwrap();
    host.write("/sys/bus/pci/drivers/aic7xxx/unbind", b"0000:03:04.0").unwrap();
    host.load_module("vfio_pci", &[]).unwrap();
    assert!(host.link(&format!("{DEVICE}/driver")).unwrap().ends_with("/vfio-pci"));
    assert_eq!(host.unload_module("vfio_pci").unwrap_err().kind, WriteErrorKind::Busy);
}

#[test]
#[should_panic(expected = "no model for writing")]
fn write_without_a_model_fails_the_test() {
    let _ = host().write("/sys/bus/pci/drivers/aic7xxx/new_id", b"9004 5078");
}

#[test]
fn kill_stops_the_program_on_either_side_of_a_write() {
    for (event, changed) in [(Event::KillBefore, false), (Event::KillAfter, true)] {
        let host = host();
        let before = host.snapshot();
        host.at_write(1, event);
        assert!(killed(|| host.load_module("vfio_pci", &[])).is_none());
        assert_eq!(host.snapshot() != before, changed);
    }
}

#[test]
fn directory_reads_its_own_files_and_no_others() {
    let host = host();
    let device = host.open_dir(DEVICE).unwrap();
    let mut into = Vec::new();
    device.read("vendor", 64, &mut into).unwrap();
    assert_eq!(into, b"0x9004\n");
    assert!(device.read("driver/bind", 64, &mut into).is_err());
    assert_eq!(device.list().unwrap(), ["device", "driver", "driver_override", "iommu_group", "vendor"]);
}

#[test]
fn line_that_says_nothing_is_named() {
    let error = FakeKernel::parse("driver a\nteapot b").unwrap_err();
    assert_eq!((error.line, error.text.as_str()), (2, "teapot b"));
}
