//! The whole life of a machine at each cloud, by the program: made, filled, backed up, lost, restored, destroyed.

use std::path::Path;

use cloudron_e2e::{Server, available};
use cloudron_testkit::canary::assert_none;
use cloudron_testkit::tree;

use super::office::{Computer, FILES, canary, ssh_key};
use super::site::{DOMAIN, Site};

/// How the machine comes to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// It is deleted in the cloud's console, and the computer is lost as well.
    WithTheComputer,
    /// It is deleted in the cloud's console.
    InTheConsole,
    /// Its owner destroys it, and keeps the backups.
    Destroyed,
}

fn whole_life(provider: &str, loss: Loss) {
    if !available() {
        return;
    }
    let Some(site) = Site::open(provider) else { return };
    let keys = tempfile::tempdir().unwrap();
    ssh_key(keys.path());
    let ((), leaks) = canary().while_watching_processes(|| live(&site, keys.path(), loss));
    assert_none(&leaks);
    assert_none(&canary().in_bytes("what the cloud keeps", site.kept().as_bytes()));
}

fn live(site: &Site, keys: &Path, loss: Loss) {
    let (first, second) = (Computer::new(site, keys), Computer::new(site, keys));
    first.create(&[]);
    let server = site.datacenter.server();
    tree::generate(&server.path(FILES), 17, 1_000_000).unwrap();
    let files = tree::digest(&server.path(FILES)).unwrap();
    first.program.ok(&["machine", "status", DOMAIN]);
    first.program.ok(&["machine", "backup", "create", DOMAIN]);
    let backups = first.program.backups(DOMAIN);
    assert_eq!(backups.len(), 1);
    holds_no_secret(&server);
    drop(server);

    let later = match loss {
        Loss::WithTheComputer => {
            site.lose();
            assert_ne!(site.resources(), [""; 0], "what was made with it is still there");
            second.destroy_remains();
            &second
        }
        Loss::InTheConsole => {
            site.lose();
            first.destroy(&[]);
            &first
        }
        Loss::Destroyed => {
            first.destroy(&[]);
            &second
        }
    };
    site.assert_gone("lost");
    later.create(&["--backup", "latest"]);
    let server = site.datacenter.server();
    let restored = tree::digest(&server.path(FILES)).unwrap();
    assert_eq!(tree::compare(&files, &restored), Vec::<String>::new());
    // The machine continues the repository of the lost one.
    assert_eq!(later.program.backups(DOMAIN), backups);
    later.program.ok(&["machine", "backup", "create", DOMAIN]);
    holds_no_secret(&server);
    drop(server);
    later.destroy(&[]);
    site.assert_gone("destroyed");
    assert!(!site.objects().is_empty(), "the backups are kept");
    [first, second].iter().for_each(Computer::assert_silent);
}

/// Searches what the server's disk has beside the files of its image, its memory file systems and its journal.
fn holds_no_secret(server: &Server) {
    for folder in ["/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/var"] {
        assert_none(&canary().in_tree(&server.path(folder)).unwrap());
    }
    let journal = server.exec_ok("journalctl --no-pager -o export");
    assert_none(&canary().in_bytes("the server's journal", journal.as_bytes()));
}

#[test]
fn a_machine_at_hetzner_that_is_lost_with_its_computer_comes_back_from_its_bucket() {
    whole_life("hetzner", Loss::WithTheComputer);
}

#[test]
fn a_machine_at_digitalocean_that_is_deleted_in_the_console_comes_back_from_its_bucket() {
    whole_life("digitalocean", Loss::InTheConsole);
}

#[test]
fn a_machine_at_ec2_that_is_destroyed_comes_back_from_its_bucket_on_another_computer() {
    whole_life("ec2", Loss::Destroyed);
}
