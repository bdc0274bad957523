//! The gate in front of moto, as Amazon's own client sees it.

use std::path::Path;
use std::process::Command;

use cloudron_testkit::ec2_gate::{Fault, Gate};
use cloudron_testkit::moto::Moto;

#[test]
fn boto3_lives_a_machines_life_behind_the_gate() {
    let Some(python) = Moto::python() else { return };
    let Some(moto) = Moto::start() else { return };
    let gate = Gate::before(&moto);
    gate.hide_new(1);
    gate.end_slowly(2);
    gate.without_capacity("us-east-1a", "InsufficientInstanceCapacity");
    // The client tries again by itself, with the same token.
    gate.fault(0, Fault::Lost);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ec2_gate/life.py");
    let output = Command::new(python).arg(script).arg(gate.endpoint()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(printed.trim(), "done");
    let started = gate.calls().iter().filter(|call| *call == "RunInstances").count();
    assert!(started >= 4, "{:?}", gate.calls());
}
