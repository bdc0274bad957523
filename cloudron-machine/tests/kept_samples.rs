//! Files that earlier versions wrote on this computer are read, and written back unchanged: the record of a
//! machine, the record of a destroyed machine's backups, and the journal of an interrupted run.

use std::path::Path;

use cloudron_core::Domain;
use cloudron_machine::destroy::{DestroyOptions, Known};
use cloudron_machine::{Contact, Found, Installed, Manager, Reach, StateDir, StepOutput};
use cloudron_provision::steps::Journal;

fn sample(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept").join(name)).unwrap()
}

/// Returns a computer with these files of an earlier version. `ROOT` in them is its home.
fn computer(files: &[(&str, &str)]) -> (tempfile::TempDir, Manager) {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().to_str().unwrap();
    for (sample_name, place) in files {
        let path = home.path().join("state/cloudron").join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, sample(sample_name).replace("ROOT", root)).unwrap();
    }
    let (state, data) = (home.path().join("state/cloudron"), home.path().join("share/cloudron"));
    (home, Manager::new(StateDir::new(state, data)).installing("/bin/true"))
}

fn domain(name: &str) -> Domain {
    Domain::parse_any(name).unwrap()
}

#[test]
fn the_record_of_a_machine_is_read_and_written_back_as_it_was() {
    let (home, manager) = computer(&[("machine.json", "machines/example.com.json")]);
    let machine = manager.machine(&domain("example.com")).unwrap();
    assert_eq!(machine.url(), "https://my.example.com");
    assert_eq!(machine.dns.as_ref().unwrap().provider, "digitalocean");
    assert!(!machine.has_only_copy() && !machine.destroying);
    let Reach::Generic(ssh) = &machine.reach else { panic!("{:?}", machine.reach) };
    assert_eq!((ssh.ssh_port, ssh.host_keys.len()), (202, 1));
    manager.machines().put(&machine).unwrap();
    let written =
        std::fs::read_to_string(home.path().join("state/cloudron/machines/example.com.json")).unwrap();
    // A later version may write empty members.
    let json = |text: &str| {
        let mut record: serde_json::Value = serde_json::from_str(text).unwrap();
        record["dns"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
        record
    };
    assert_eq!(json(&written), json(&sample("machine.json")));
}

#[test]
fn the_backups_of_a_destroyed_machine_are_known() {
    let (home, manager) = computer(&[("kept.json", "kept/demo.localhost.json")]);
    let Ok(Found::Kept(kept)) = manager.readable(&domain("demo.localhost")) else { panic!("not known") };
    let store = home.path().join("share/cloudron/backups/demo.localhost");
    assert_eq!(kept.place(), format!("in {}", store.display()));
}

const RUN: &str = "01m8q32432mm2ajct4pt5gsxhn";

#[tokio::test]
async fn a_run_that_was_killed_is_gone_on_with_or_undone() {
    let journal = format!("{RUN}.jsonl");
    let (home, manager) = computer(&[(&journal, &format!("runs/{journal}"))]);
    let name = domain("cut.localhost");
    assert!(manager.begun(&name, false).err().unwrap().is(&cloudron_provision::codes::RUN_EXISTS));
    let (mut backup, mut store) = (Some("latest".to_owned()), Some("/elsewhere".to_owned()));
    manager.begun(&name, true).unwrap().unwrap().complete(&mut backup, &mut store);
    assert_eq!((backup, store), (None, None), "the choice is that of the run");
    let outputs = Journal::read(&home.path().join("state/cloudron/runs"), RUN).unwrap().outputs();
    assert_eq!(Installed::of(&outputs).unwrap().port, 36503);
    assert!(Contact::of(&outputs).unwrap().host_key.is_none());

    // The program is a stand-in that knows every command: all steps of the journal are known and undone.
    let root = home.path().join("state/cloudron/local/cut.localhost");
    std::fs::create_dir_all(root.join("bin")).unwrap();
    std::fs::copy("/bin/true", root.join("bin/cloudron")).unwrap();
    let Known::Runs(runs) = manager.known(&name).unwrap() else { panic!("no run is known") };
    manager.destroy_unfinished(&runs, vec![None], &DestroyOptions::default()).await.unwrap();
    assert!(manager.known(&name).err().unwrap().is(&cloudron_machine::codes::MACHINE_UNKNOWN));
    assert!(manager.begun(&name, false).unwrap().is_none(), "the name is free again");
}
