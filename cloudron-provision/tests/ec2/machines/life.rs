//! The life of a machine, and what it costs in calls.

use super::bench::{Bench, FQDN};

#[test]
fn a_machine_is_made_and_removed_and_nothing_is_left() {
    for (own_vpc, elastic_ip) in [(false, false), (true, false), (false, true)] {
        let Some(mut bench) = Bench::new() else { return };
        (bench.settings.own_vpc, bench.settings.elastic_ip) = (own_vpc, elastic_ip);
        bench.gate.end_slowly(2);
        let what = format!("own network {own_vpc}, Elastic IP {elastic_ip}");
        let home = bench.home();
        let outputs = bench.create(home.path()).unwrap();
        println!("{what}: {:?}", bench.gate.take_calls());
        bench.assert_finished(&what);
        println!("{:?} {:?}", outputs["machine"], bench.resources());
        bench.destroy().unwrap();
        println!("{what}: {:?}", bench.gate.take_calls());
        assert_eq!(bench.resources(), [""; 0]);
        assert_eq!(bench.destroy().unwrap(), []);
    }
    let _ = FQDN;
}
