//! The same life at the other clouds: made, listed, resumed and removed on any computer.

use cloudron_machine::clouds::Recorded;
use cloudron_machine::destroy::DestroyOptions;

use crate::bench::Bench;

fn lives(provider: &str, start: fn() -> Option<Bench>) {
    let Some(bench) = start() else { return };
    let (laptop, other) = (bench.home("laptop"), bench.home("other"));
    let created = bench.create(&laptop).unwrap();
    let calls = bench.calls();
    eprintln!("{provider}, create: {} calls and polls: {calls:#?}", calls.len());
    let place = created.machine.reach.cloud().unwrap();
    assert_eq!((&*place.provider, &place.run), (provider, &created.machine.run));
    assert!(place.region.is_some() || provider == "digitalocean", "{place:?}");
    assert!(
        bench.records().contains(&"my.shop.example.com. A 127.0.0.1".to_owned()),
        "{:?}",
        bench.records()
    );
    for (home, recorded) in [(&laptop, Recorded::Yes), (&other, Recorded::No)] {
        let list = bench.list(home);
        assert_eq!((list.len(), list[0].recorded, &*list[0].id), (1, recorded, &*place.id), "{list:?}");
    }
    let _ = bench.calls();
    bench.destroy(&laptop).unwrap();
    let calls = bench.calls();
    eprintln!("{provider}, destroy: {} calls and polls: {calls:#?}", calls.len());
    bench.assert_gone("destroyed with its record");

    bench.create(&laptop).unwrap();
    bench.destroy_remains(&other).unwrap();
    bench.assert_gone("destroyed without");
}

/// Killed at some of the calls, and finished on another computer, or removed there.
fn is_finished_or_removed_elsewhere(start: fn() -> Option<Bench>) {
    let Some(bench) = start() else { return };
    bench.create(&bench.home("laptop")).unwrap();
    let calls = bench.calls().len();
    drop(bench);
    for n in (1..=calls).step_by(3) {
        for remove in [false, true] {
            let Some(bench) = start() else { return };
            let (first, second) = (bench.home("first"), bench.home("second"));
            assert!(bench.create_until(&first, (n, true), bench.request()).is_none(), "{n} of {calls}");
            let what = format!("call {n} of {calls}, remove {remove}");
            match remove {
                true => {
                    let outcome = bench.destroy_remains(&second);
                    let unknown = |e: &cloudron_core::Error| e.is(&cloudron_machine::codes::MACHINE_UNKNOWN);
                    assert!(outcome.as_ref().err().is_none_or(unknown), "{what}: {outcome:?}");
                }
                false => match bench.resume(&second) {
                    Ok(_) => {
                        let list = bench.list(&second);
                        assert_eq!((list.len(), list[0].recorded), (1, Recorded::Yes), "{what}: {list:?}");
                        bench.destroy(&second).unwrap();
                    }
                    Err(error) => assert_eq!(error.code().name, "file-missing", "{what}: {error:?}"),
                },
            }
            bench.assert_gone(&what);
        }
    }
}

#[test]
fn a_machine_at_digitalocean_lives_on_any_computer() {
    lives("digitalocean", Bench::at_digitalocean);
}

#[test]
fn a_machine_at_ec2_lives_on_any_computer() {
    lives("ec2", Bench::at_ec2);
}

#[test]
fn a_run_at_digitalocean_that_was_killed_is_finished_or_removed_elsewhere() {
    is_finished_or_removed_elsewhere(Bench::at_digitalocean);
}

#[test]
fn a_run_at_ec2_that_was_killed_is_finished_or_removed_elsewhere() {
    is_finished_or_removed_elsewhere(Bench::at_ec2);
}

#[test]
fn a_machine_at_another_cloud_than_the_credentials_is_left_alone() {
    let Some(bench) = Bench::new() else { return };
    let home = bench.home("laptop");
    let machine = bench.create(&home).unwrap().machine;
    let other = Bench::at_digitalocean().unwrap();
    let manager = bench.stranger(&home).with_account(other.account());
    let options = DestroyOptions::default();
    let work = async move { manager.destroy(&machine, &[], None, &options).await };
    let error = bench.stop.process((0, false), work).unwrap().unwrap_err();
    assert!(error.is(&cloudron_provision::cloud::codes::CREDENTIALS), "{error:?}");
    assert_eq!(error.detail("provider"), Some("hetzner"));
    assert_eq!(bench.cloud.resources().len(), 3);
}
