//! A machine whose database is lost, older than recorded, or damaged.

use std::path::{Path, PathBuf};

use super::machine::{EMAIL, Machine, PASSWORD};
use crate::api::EventPage;
use crate::log::Log;
use crate::repair::repair_database;
use crate::server::Server;
use crate::state::Tuning;
use crate::{Error, codes};

fn files(machine: &Machine) -> [PathBuf; 3] {
    let database = machine.layout.database();
    ["", "-wal", "-shm"].map(|end| format!("{}{end}", database.display()).into())
}

fn remove(machine: &Machine) {
    for file in files(machine) {
        let _ = std::fs::remove_file(file);
    }
}

/// Replaces the database file by a new one, because within a process SQLite recognises an open file.
fn replace(machine: &Machine, content: &[u8]) {
    remove(machine);
    let other = machine.layout.state().join("other");
    std::fs::write(&other, content).unwrap();
    std::fs::rename(other, machine.layout.database()).unwrap();
}

async fn refused(machine: &Machine, code: &cloudron_core::Code) -> Error {
    let error = Server::start(&machine.layout, &Log::new(), Tuning::default()).await.err().unwrap();
    assert!(error.is(code), "{error:?}");
    assert!(error.hint().unwrap().contains("cloudron machine repair-database demo.localhost"), "{error:?}");
    let on_the_machine = crate::admin::include_list(&machine.layout).unwrap_err();
    assert!(on_the_machine.is(code), "{on_the_machine:?}");
    error
}

async fn actions(machine: &Machine) -> Vec<String> {
    let events: EventPage = machine.admin().get("/api/v1/eventlog?per_page=100").await.json();
    events.eventlogs.into_iter().rev().map(|e| e.action).collect()
}

/// Repairs and starts the machine. Returns true as the second value if it still has its owner.
async fn repaired(machine: &mut Machine) -> (crate::api::DatabaseRepair, bool) {
    let repair = repair_database(&machine.layout).unwrap();
    machine.start().await;
    let status: crate::api::Status = machine.stranger().get("/api/v1/cloudron/status").await.json();
    assert!(actions(machine).await.contains(&"database.repair".to_owned()));
    (repair, status.activated)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_missing_or_empty_is_not_that_of_a_new_machine() {
    let mut machine = Machine::new().await;
    machine.activate().await;
    machine.stop().await;
    remove(&machine);
    refused(&machine, &codes::DATABASE_LOST).await;
    assert!(!machine.layout.database().exists(), "nothing was made in its place");
    replace(&machine, b"");
    refused(&machine, &codes::DATABASE_LOST).await;
    assert_eq!(std::fs::metadata(machine.layout.database()).unwrap().len(), 0);
    // Also one with empty tables.
    remove(&machine);
    drop(crate::db::Db::open(&machine.layout.database()).unwrap());
    refused(&machine, &codes::DATABASE_LOST).await;

    let (repair, activated) = repaired(&mut machine).await;
    assert!(!repair.kept && !activated);
    assert!(repair.moved_to.unwrap().is_file());
    let setup = repair.setup.unwrap();
    let body = serde_json::json!({"email": EMAIL, "password": PASSWORD});
    let client = machine.stranger().with(&setup.token);
    assert_eq!(client.post("/api/v1/cloudron/activate", body).await.status, 201);
    machine.stop().await;
    machine.start().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_database_is_noticed_and_used_when_told() {
    let mut machine = Machine::new().await;
    let owner = machine.activate().await;
    machine.stop().await;
    let older = std::fs::read(machine.layout.database()).unwrap();
    machine.start().await;
    machine.stop().await;
    replace(&machine, &older);
    let error = refused(&machine, &codes::DATABASE_LOST).await;
    assert!(error.to_string().contains("older"), "{error}");
    let (repair, activated) = repaired(&mut machine).await;
    assert!(repair.kept && activated && repair.moved_to.is_none() && repair.setup.is_none());
    assert_eq!(owner.get("/api/v1/cloudron/config").await.status, 401, "sessions may have been ended since");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_of_another_machine_is_noticed() {
    let (mut machine, mut other) = (Machine::new().await, Machine::new().await);
    for _ in 0..3 {
        other.stop().await;
        other.start().await;
    }
    other.stop().await;
    machine.stop().await;
    replace(&machine, &std::fs::read(other.layout.database()).unwrap());
    refused(&machine, &codes::DATABASE_LOST).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_moved_aside_when_told() {
    let mut machine = Machine::new().await;
    machine.stop().await;
    replace(&machine, &[0x42; 20_000]);
    refused(&machine, &codes::DATABASE_CORRUPT).await;
    let (repair, _) = repaired(&mut machine).await;
    assert_eq!(std::fs::read(repair.moved_to.unwrap()).unwrap(), [0x42; 20_000]);
    let error = repair_database(&machine.layout).unwrap_err();
    assert!(error.is(&codes::ALREADY_RUNNING), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_is_not_taken_for_an_older_one() {
    let mut machine = Machine::new().await;
    machine.activate().await;
    // A copy of all files while the server runs, as an instant snapshot would have it.
    let copy: Vec<(PathBuf, Vec<u8>)> =
        files(&machine).into_iter().filter_map(|f| Some((f.clone(), std::fs::read(&f).ok()?))).collect();
    let marker = std::fs::read(machine.layout.database_marker()).unwrap();
    machine.stop().await;
    remove(&machine);
    for (file, content) in copy {
        std::fs::write(file, content).unwrap();
    }
    std::fs::write(machine.layout.database_marker(), marker).unwrap();
    machine.start().await;
    assert!(actions(&machine).await.contains(&"cloudron.activate".to_owned()));
}

#[test]
fn a_link_or_a_pipe_is_no_database() {
    let home = tempfile::tempdir().unwrap();
    let place = |name: &str| -> PathBuf { home.path().join(name) };
    std::os::unix::fs::symlink(place("victim"), place("link")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, place("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for name in ["link", "pipe"] {
        assert!(crate::db::Db::open(Path::new(&place(name))).is_err(), "{name}");
    }
    assert!(!place("victim").exists());
}
