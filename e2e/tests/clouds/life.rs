//! A machine's whole life at each cloud: made, filled, backed up, lost, made again from its backup on another computer, and
//! removed without a trace.

use cloudron_e2e::available;
use cloudron_testkit::tree;

use super::scene::{Cloud, DOMAIN, FILES, Scene};

fn lives(cloud: Cloud) {
    if !available() {
        return;
    }
    let Some(scene) = Scene::new(cloud) else { return };
    let laptop = scene.laptop();
    laptop.create(&[]);
    let server = scene.datacenter.server();
    tree::generate(&server.path(FILES), 11, 5_000_000).unwrap();
    server.exec_ok(&format!("chown -h -R 1234:2345 {FILES}/odd/names"));
    server.exec_ok("echo remember >/var/lib/cloudron/data/note");
    laptop.program.ok(&["machine", "include", "add", DOMAIN, FILES]);
    let files = tree::digest(&server.path(FILES)).unwrap();
    laptop.program.ok(&["machine", "backup", "create", DOMAIN]);
    let backup = laptop.program.backups(DOMAIN).remove(0);
    scene.assert_secret(&[&laptop]);

    // The machine burns, and the laptop with it.
    drop(server);
    scene.datacenter.burn();
    let other = scene.laptop();
    let list = other.with_bucket(&["machine", "backup", "list", DOMAIN, "--provider", scene.provider()]);
    assert!(list.stdout.contains(&backup), "{list}");
    let destroy = ["machine", "destroy", DOMAIN, "--provider", scene.provider(), "--yes"];
    let refused = other.try_account(&destroy);
    assert_eq!(refused.code, 5, "it cannot look for backups on the disk: {refused}");
    assert!(refused.stderr.contains("if it is lost, add `--delete-backups`"), "{refused}");
    let removed = other.try_account(&[&destroy[..], &["--delete-backups"]].concat());
    assert_eq!(removed.code, 0, "{removed}");
    scene.assert_gone("the lost machine");
    assert!(scene.objects().contains(DOMAIN), "its backups stay");

    let created = other.create(&["--backup", "latest", "--restore-path", FILES]);
    assert!(created.stdout.contains("verified") || created.stderr.contains("verified"), "{created}");
    let server = scene.datacenter.server();
    assert_eq!(tree::compare(&files, &tree::digest(&server.path(FILES)).unwrap()), Vec::<String>::new());
    assert_eq!(server.exec_ok("cat /var/lib/cloudron/data/note"), "remember\n");
    assert_eq!(other.program.backups(DOMAIN), [backup]);
    other.program.ok(&["machine", "backup", "create", DOMAIN]);
    scene.assert_secret(&[&laptop, &other]);

    drop(server);
    let destroyed = other.try_account(&["machine", "destroy", DOMAIN, "--delete-backups", "--yes"]);
    assert_eq!(destroyed.code, 0, "{destroyed}");
    scene.assert_gone("the machine");
    assert!(!scene.objects().contains("<Key>"), "{}", scene.objects());
}

#[test]
fn a_machine_at_hetzner_is_lost_and_comes_back_from_a_bucket() {
    lives(Cloud::Hetzner);
}

#[test]
fn a_machine_at_digitalocean_is_lost_and_comes_back_from_a_bucket() {
    lives(Cloud::DigitalOcean);
}

#[test]
fn a_machine_at_ec2_is_lost_and_comes_back_from_a_bucket() {
    lives(Cloud::Ec2);
}
