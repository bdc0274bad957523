//! The process is killed at every call, before and after its effect. On this or another computer, the run is finished, or
//! everything is removed.

use std::path::Path;

use crate::bench::Bench;

/// How a killed run ends.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// The run is resumed where its journal is.
    Resumed,
    /// It is resumed on another computer.
    ResumedElsewhere,
    /// The machine restarts, and the run is resumed on another computer.
    Restarted,
    /// Everything is removed.
    Destroyed,
}

fn sweep(reserved: bool, then: Then) -> usize {
    let mut bench = Bench::new();
    bench.settings.reserved_ip = reserved;
    let mut points = 0;
    for number in 1.. {
        for after in [false, true] {
            let (home, what) = (bench.home(), format!("killed at {number}, after {after}, then {then:?}"));
            if let Some(outcome) = bench.create_until(home.path(), (number, after)) {
                outcome.unwrap();
                bench.destroy().unwrap();
                assert_eq!(bench.cloud.resources(), [""; 0]);
                return points;
            }
            points += 1;
            let before = bench.cloud.objects("droplets");
            match then {
                Then::Resumed if begun(home.path()) => {
                    bench.resume(home.path()).unwrap_or_else(|e| panic!("{what}: {e:?}"));
                }
                Then::Resumed => {
                    bench.create(home.path()).unwrap_or_else(|e| panic!("{what}: {e:?}"));
                }
                Then::ResumedElsewhere | Then::Restarted => {
                    if matches!(then, Then::Restarted) && !before.is_empty() {
                        bench.machine.restart();
                    }
                    bench.take_over().unwrap_or_else(|e| panic!("{what}: {e:?}"));
                    // And it is managed from there.
                    bench.take_over().unwrap_or_else(|e| panic!("{what}, again: {e:?}"));
                }
                Then::Destroyed => {
                    bench.destroy().unwrap_or_else(|e| panic!("{what}: {e:?}"));
                    assert_eq!(bench.cloud.resources(), [""; 0], "{what}");
                    continue;
                }
            }
            bench.assert_finished(&what);
            let now = bench.cloud.objects("droplets");
            assert!(before.is_empty() || before[0]["id"] == now[0]["id"], "{what}: it is another droplet");
            bench.destroy().unwrap_or_else(|e| panic!("{what}: {e:?}"));
            assert_eq!(bench.cloud.resources(), [""; 0], "{what}");
        }
    }
    points
}

fn begun(home: &Path) -> bool {
    !cloudron_provision::Runner::new(home).unfinished(None).unwrap().is_empty()
}

#[test]
fn a_killed_run_is_finished_with_its_journal() {
    println!("killed and resumed at {} points", sweep(false, Then::Resumed));
}

#[test]
fn a_killed_run_is_finished_on_another_computer() {
    println!("killed and resumed elsewhere at {} points", sweep(true, Then::ResumedElsewhere));
}

#[test]
fn a_killed_run_is_finished_elsewhere_after_the_machine_restarted() {
    println!("killed, restarted and resumed elsewhere at {} points", sweep(false, Then::Restarted));
}

#[test]
fn a_killed_run_is_removed_on_another_computer() {
    println!("killed and destroyed elsewhere at {} points", sweep(true, Then::Destroyed));
}

#[test]
fn a_killed_removal_is_finished_by_another() {
    let mut points = 0;
    for reserved in [false, true] {
        let mut bench = Bench::new();
        bench.settings.reserved_ip = reserved;
        'points: for number in 1.. {
            for after in [false, true] {
                bench.create(bench.home().path()).unwrap();
                let ended = bench.destroy_until((number, after));
                bench.destroy().unwrap_or_else(|e| panic!("killed at {number}, after {after}: {e:?}"));
                assert_eq!(bench.cloud.resources(), [""; 0], "killed at {number}, after {after}");
                if ended.is_some() {
                    break 'points;
                }
                points += 1;
            }
        }
    }
    println!("a removal was killed at {points} points");
}
