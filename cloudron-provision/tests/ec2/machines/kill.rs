//! The process is killed at every call, before and after its effect. On another computer, without the journal, the run
//! is finished, or everything is removed.
//!
//! Every ninth point is tried, and every one with `CLOUDRON_TEST_ROUNDS`.

use std::path::Path;

use super::bench::Bench;

/// How a killed run ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Then {
    /// The run is resumed where its journal is.
    Resumed,
    /// It is taken over on another computer.
    TakenOver,
    /// The machine restarts, and the run is taken over on another computer.
    Restarted,
    /// Everything is removed.
    Destroyed,
}

/// The points to kill at, in their order.
pub(super) fn points(offset: usize) -> impl Iterator<Item = (usize, bool)> {
    let whole = std::env::var_os("CLOUDRON_TEST_ROUNDS").is_some();
    let all = (1..).flat_map(|number| [(number, false), (number, true)]).enumerate();
    all.filter(move |(n, _)| whole || n % 9 == offset % 9).map(|(_, point)| point)
}

fn begun(home: &Path) -> bool {
    !cloudron_provision::Runner::new(home).unfinished(None).unwrap().is_empty()
}

fn sweep(own: bool, then: Then, offset: usize) -> usize {
    let Some(bench) = Bench::new() else { return 0 };
    sweep_with(bench, own, then, offset)
}

pub(super) fn sweep_with(mut bench: Bench, own: bool, then: Then, offset: usize) -> usize {
    (bench.settings.own_vpc, bench.settings.elastic_ip) = (own, own);
    for (count, kill) in points(offset).enumerate() {
        let (home, what) = (bench.home(), format!("killed at {kill:?}, then {then:?}"));
        if let Some(outcome) = bench.create_until(home.path(), kill) {
            outcome.unwrap();
            bench.destroy().unwrap();
            return count;
        }
        let before = bench.instances();
        let fine =
            |outcome: cloudron_core::Result<_>| _ = outcome.unwrap_or_else(|e| panic!("{what}: {e:?}"));
        match then {
            Then::Resumed if begun(home.path()) => fine(bench.resume(home.path())),
            Then::Resumed => fine(bench.create(home.path())),
            Then::TakenOver | Then::Restarted => {
                if matches!(then, Then::Restarted) && !before.is_empty() {
                    bench.machine.restart();
                }
                fine(bench.take_over());
                // And it is managed from there.
                fine(bench.take_over());
            }
            Then::Destroyed => {
                bench.destroy().unwrap_or_else(|e| panic!("{what}: {e:?}"));
                assert_eq!(bench.resources(), [""; 0], "{what}");
                continue;
            }
        }
        bench.assert_finished(&what);
        let now = bench.instances();
        let same = before.is_empty() || before[0].instance_id == now[0].instance_id;
        assert!(same, "{what}: it is another instance");
        bench.destroy().unwrap_or_else(|e| panic!("{what}: {e:?}"));
        assert_eq!(bench.resources(), [""; 0], "{what}");
    }
    unreachable!("there is a last call")
}

#[test]
fn a_killed_run_is_finished_with_its_journal() {
    println!("killed and resumed at {} points", sweep(false, Then::Resumed, 0));
}

#[test]
fn a_killed_run_is_finished_on_another_computer() {
    println!("killed and taken over at {} points", sweep(false, Then::TakenOver, 1));
}

#[test]
fn a_killed_run_with_a_network_of_its_own_is_finished_on_another_computer() {
    println!("with a network, killed and taken over at {} points", sweep(true, Then::TakenOver, 2));
}

#[test]
fn a_killed_run_is_finished_elsewhere_after_the_machine_restarted() {
    println!("killed, restarted and taken over at {} points", sweep(false, Then::Restarted, 3));
}

#[test]
fn a_killed_run_is_removed_on_another_computer() {
    println!("killed and destroyed at {} points", sweep(true, Then::Destroyed, 4));
}

#[test]
fn a_killed_removal_is_finished_by_another() {
    let Some(mut bench) = Bench::new() else { return };
    (bench.settings.own_vpc, bench.settings.elastic_ip) = (true, true);
    bench.gate.end_slowly(2);
    for (count, kill) in points(5).enumerate() {
        bench.create(bench.home().path()).unwrap();
        let ended = bench.destroy_until(kill);
        bench.destroy().unwrap_or_else(|e| panic!("killed at {kill:?}: {e:?}"));
        assert_eq!(bench.resources(), [""; 0], "killed at {kill:?}");
        if ended.is_some() {
            println!("a removal was killed at {count} points");
            return;
        }
    }
}
