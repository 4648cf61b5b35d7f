//! From what is read of a host to a plan, to the host, and back.

use slotwise_core::facts::Origin;
use slotwise_core::plan::plan;
use slotwise_core::topology::Topology;
use slotwise_core::vm::spec;

use super::*;

const SPEC: &str = r#"
    [[vm]]
    name = "bench"
    memory = "96M"
    [[vm.device]]
    select = { id = "9004:5078", slot = "0000:03:04.0" }
    [[vm.device]]
    select = { id = "9004:5078", slot = "0000:03:06.0" }
"#;

fn planned(host: &FakeKernel) -> Steps {
    let origin = Origin::Live { boot_id: Some(host.live().boot_id().to_string()) };
    let topology = Topology::new(crate::read(host, origin));
    plan(&spec::parse(SPEC).unwrap(), &topology).unwrap().steps
}

#[test]
fn plan_of_what_is_read_is_carried_out_and_undone() {
    let host = format!("{HOST}\n file /proc/sys/kernel/osrelease 6.1.0\n");
    let steps = planned(&FakeKernel::parse(&host).unwrap());
    let names: Vec<&str> = steps.as_slice().iter().map(|step| step.action().name()).collect();
    assert_eq!(names, ["set-driver-override", "set-driver-override", "unbind", "probe", "probe"]);
    // Whether the module is there to be loaded cannot be read from this host; somebody has loaded it.
    let bench = bench_with(&host.replace("module vfio_pci", "module vfio_pci loaded"), steps);
    bench.apply().unwrap();
    assert!(planned(&bench.host).as_slice().is_empty(), "a plan of the host as it is then has nothing to do");
    assert!(bench.undo().is_clean());
    assert!(bench.is_as_before());
}
