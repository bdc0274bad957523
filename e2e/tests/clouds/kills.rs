//! The program is killed at chosen points, and another computer finishes the work or removes everything.

use cloudron_e2e::available;

use super::office::{Computer, ssh_key};
use super::site::{DOMAIN, Site};

/// Kills at four points: after the machine was made, in the first session, while the server is installed, and while it is
/// destroyed.
fn killed(provider: &str) {
    if !available() {
        return;
    }
    let Some(site) = Site::open(provider) else { return };
    let keys = tempfile::tempdir().unwrap();
    ssh_key(keys.path());
    for (step, resume) in [("first-contact", true), ("host-key", false), ("server", true)] {
        let (first, second, third) = (
            Computer::new(&site, keys.path()),
            Computer::new(&site, keys.path()),
            Computer::new(&site, keys.path()),
        );
        first.create_until(step);
        assert_eq!(site.datacenter.servers().len(), 1, "{step}");
        if !resume {
            second.destroy_remains();
            site.assert_gone(step);
            continue;
        }
        second.create(&["--resume"]);
        assert_eq!(site.datacenter.servers().len(), 1, "{step}: the machine is the same");
        second.program.ok(&["machine", "status", DOMAIN]);
        // The removal is killed the first time only.
        if step == "server" {
            second.destroy(&[]);
        } else {
            second.destroy_half();
            assert_ne!(site.resources(), [""; 0], "it was killed in the middle");
            site.settle();
            third.destroy_remains();
        }
        site.assert_gone(step);
        [first, second, third].iter().for_each(Computer::assert_silent);
    }
}

#[test]
fn a_machine_at_hetzner_is_finished_or_removed_elsewhere_after_a_kill() {
    killed("hetzner");
}

#[test]
fn a_machine_at_digitalocean_is_finished_or_removed_elsewhere_after_a_kill() {
    killed("digitalocean");
}

#[test]
fn a_machine_at_ec2_is_finished_or_removed_elsewhere_after_a_kill() {
    killed("ec2");
}
