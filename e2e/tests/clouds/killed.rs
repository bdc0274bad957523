//! The program is killed at chosen points; on another computer the run is finished, or everything is removed.

use cloudron_e2e::{Server, available};

use super::scene::{Cloud, DOMAIN, Scene};

/// What is so when the program is killed, and how that is seen.
type Point = (&'static str, fn(&Scene) -> bool);

/// The points of a creation.
const POINTS: [Point; 3] = [
    ("the cloud has a machine", Scene::has_a_machine),
    ("somebody has logged in", |scene| on_machine(scene, "journalctl -t sshd | grep -q Accepted")),
    ("the program is being installed", |scene| on_machine(scene, "test -e /usr/local/lib/cloudron")),
];

fn on_machine(scene: &Scene, line: &str) -> bool {
    scene.datacenter.servers().iter().any(|server: &std::sync::Arc<Server>| server.exec(line).code == 0)
}

fn killed(cloud: Cloud, remove_first: bool) {
    if !available() {
        return;
    }
    let Some(scene) = Scene::new(cloud) else { return };
    let mut remove = remove_first;
    for (what, so) in POINTS {
        let (first, second) = (scene.laptop(), scene.laptop());
        assert!(first.killed_when(&first.creating(&[]), || so(&scene)), "it ended before {what}");
        if remove {
            let words = second.destroying();
            let run = second.program.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(run.code, 0, "{what}: {run}");
        } else {
            second.create(&["--resume", "--discard-backups"]);
            second.program.ok(&["machine", "status", DOMAIN]);
            second.program.ok(&["machine", "backup", "create", DOMAIN]);
            assert_eq!(scene.datacenter.servers().len(), 1, "{what}");
            // The removal is killed too, when the machine is gone; a third computer finishes it.
            let gone = || scene.datacenter.servers().is_empty();
            let ended = !second.killed_when(&second.destroying(), gone);
            let third = scene.laptop();
            let words = third.destroying();
            let run = third.program.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(run.code == 0 || (ended && run.code == 3), "{what}: {run}");
        }
        scene.assert_gone(what);
        remove = !remove;
    }
}

#[test]
fn a_run_at_hetzner_that_is_killed_is_finished_or_removed_on_another_computer() {
    killed(Cloud::Hetzner, false);
}

#[test]
fn a_run_at_digitalocean_that_is_killed_is_finished_or_removed_on_another_computer() {
    killed(Cloud::DigitalOcean, true);
}

#[test]
fn a_run_at_ec2_that_is_killed_is_finished_or_removed_on_another_computer() {
    killed(Cloud::Ec2, false);
}
