//! A machine whose backups are in a bucket and whose records are at the cloud's own DNS host: made, lost and restored by
//! computers that never saw it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use cloudron_testkit::moto::Moto;

use crate::bench::{FQDN, run};
use crate::common::Home;
use crate::site::{Site, buckets, words};

/// Lists the backups in the bucket, on a computer that never saw the machine.
fn listed(site: &Site, home: &Home) -> String {
    let list = format!("machine backup list --provider {} {FQDN}", site.provider());
    site.run_with(home, &list, site.bucket()).ok()
}

/// Makes a machine with a note, and a backup of it. Returns the ID of the backup.
fn backed_up(site: &Site, home: &Home) -> String {
    let records = site.records_at(Ipv4Addr::LOCALHOST);
    let created = site.create(home, "");
    assert!(!created.stderr.contains("not on every name server"), "{}", created.stderr);
    created.ok();
    assert_eq!(site.records(), records);
    std::fs::write(site.note(), "remember").unwrap();
    let id = home.ok(&["machine", "backup", "create", FQDN]).trim().to_owned();
    assert!(site.objects().iter().any(|key| key.contains(FQDN)), "the backups are in the bucket");
    id
}

fn lives(provider: &str) {
    let Some(site) = buckets().and_then(|moto| Site::open(provider, &moto)) else { return };
    let (first, second) = (site.home(), site.home());
    let id = backed_up(&site, &first);
    let gone = site.run(&first, &format!("machine destroy {FQDN} --yes")).ok();
    assert!(gone.contains("s3://my-backups/example.com"), "{gone}");
    site.assert_gone(&second);

    assert!(listed(&site, &second).contains(&id));
    let records = site.records_at(Site::moved());
    site.create(&second, "--backup latest").ok();
    assert_eq!(std::fs::read(site.note()).unwrap(), b"remember");
    assert_eq!(site.records(), records);
    second.ok(&["machine", "status", FQDN]);
    second.ok(&["machine", "backup", "create", FQDN]);

    removed_elsewhere(&site, &second);
}

/// Destroys the machine and its backups on a third computer, which has no ownership of its records.
fn removed_elsewhere(site: &Site, knowing: &Home) {
    let (provider, third) = (site.provider(), site.home());
    site.foreign("www", "A", &Site::moved().to_string());
    site.foreign("*", "A", "192.0.2.9");
    let (user, port) = (site.machine.sshd().user(), site.machine.sshd().port().to_string());
    let login = words(&format!("--ssh-key ./ssh_key --ssh-user {user} --ssh-port {port}"));
    let destroy = format!("machine destroy {FQDN} --provider {provider} --delete-backups --yes");
    if !site.opening().is_empty() {
        // Only the machine knows its bucket, and is not removed before the bucket can be opened.
        site.run_with(&third, &destroy, login.clone()).failed(2, "store-option", "no credentials");
        assert_eq!(site.machines(&third), 1);
    }
    let gone = site.run_with(&third, &destroy, [login, site.opening()].concat());
    assert!(gone.stderr.contains("*.example.com. A"), "what stays is listed: {}", gone.stderr);
    gone.ok();
    assert_eq!(site.records(), ["* A 192.0.2.9", &format!("www A {}", Site::moved())]);
    assert_eq!((site.machines(&third), site.objects()), (0, Vec::new()));
    // The computer that knows the machine is told that it is gone.
    let again = words(&format!("machine destroy {FQDN} --yes"));
    let again = run(knowing, &[again, site.account()].concat());
    again.failed(3, "machine-not-in-account", "--forget");
    knowing.ok(&["machine", "destroy", FQDN, "--forget", "--yes"]);
}

#[test]
fn a_machine_at_hetzner_comes_back_from_its_bucket_and_is_removed_by_computers_that_never_saw_it() {
    lives("hetzner");
}

#[test]
fn a_machine_at_digitalocean_comes_back_from_its_bucket_and_is_removed_by_computers_that_never_saw_it() {
    lives("digitalocean");
}

#[test]
fn a_machine_at_ec2_comes_back_from_its_bucket_and_is_removed_by_computers_that_never_saw_it() {
    lives("ec2");
}

/// Opens two clouds that reach the same bucket.
fn two(one: &str, other: &str) -> Option<(Site, Site, Arc<Moto>)> {
    let moto = buckets()?;
    Some((Site::open(one, &moto)?, Site::open(other, &moto)?, moto))
}

#[test]
fn a_machine_of_one_cloud_is_restored_at_another() {
    let Some((old, new, _moto)) = two("hetzner", "digitalocean") else { return };
    let (first, second) = (old.home(), new.home());
    backed_up(&old, &first);
    let records = new.records_at(Ipv4Addr::LOCALHOST);
    new.create(&second, "--backup latest").ok();
    assert_eq!(std::fs::read(new.note()).unwrap(), b"remember");
    assert_eq!(new.records(), records);
    second.ok(&["machine", "backup", "create", FQDN]);
    // The old machine is removed where it is known, and its cloud is the only one that changes.
    old.run(&first, &format!("machine destroy {FQDN} --yes")).ok();
    old.assert_gone(&old.home());
    assert_eq!((new.machines(&second), new.records()), (1, records));
    second.ok(&["machine", "status", FQDN]);
    new.run_with(&second, &format!("machine destroy {FQDN} --delete-backups --yes"), new.opening()).ok();
    new.assert_gone(&second);
    assert_eq!(new.objects(), [""; 0]);
}
