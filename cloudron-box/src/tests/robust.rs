//! Restarts, and the server's state at its start.

use std::time::Duration;

use cloudron_core::Clock;
use serde_json::json;

use super::machine::{Machine, over};
use crate::api::{Config, EventPage, Job, JobKind, JobState};
use crate::db::backups::{FIRST_START, first_start};
use crate::db::events::{Filter, page};
use crate::db::{Sql, jobs};
use crate::log::Log;
use crate::server::Server;
use crate::state::Tuning;
use crate::{Include, codes};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_stopped_with_the_server_and_said_to_be_interrupted() {
    let hook = Include { before: Some("sleep 600".into()), ..Include::new("db") };
    let mut machine = Machine::with_repository(vec![hook]).await;
    let job: Job = machine.admin().post("/api/v1/backups", json!({})).await.json();
    tokio::time::sleep(Duration::from_millis(200)).await;
    tokio::time::timeout(Duration::from_secs(10), machine.stop()).await.unwrap();
    machine.start().await;
    let job = over(&machine.admin(), &job.id).await;
    assert_eq!((job.state, job.error.unwrap().code.as_str()), (JobState::Failed, "job-interrupted"));
    let config: Config = machine.admin().get("/api/v1/cloudron/config").await.json();
    assert_eq!(config.backup.last_failed.unwrap().code, "job-interrupted");
    assert!(config.health.ok, "it is repeated: {:?}", config.health);
}

#[tokio::test]
async fn a_job_that_a_killed_server_left_is_failed_at_the_next_start_with_an_event() {
    let mut machine = Machine::new().await;
    let db = machine.server.as_ref().unwrap().app.db.clone();
    let job = Job {
        id: "left".into(),
        kind: crate::api::JobKind::Backup,
        state: JobState::Running,
        percent: 40,
        message: "Reading".into(),
        error: None,
        backup_id: None,
        created_at: jiff::Timestamp::now(),
        started_at: None,
        finished_at: None,
    };
    db.transaction(|c| jobs::put(c, &job)).unwrap();
    let second = Job { id: "second".into(), ..job.clone() };
    assert!(db.transaction(|c| jobs::put(c, &second)).is_err(), "the database itself lets one job run");
    drop(db);
    machine.stop().await;
    machine.start().await;
    let found: Job = machine.admin().get("/api/v1/jobs/left").await.json();
    assert_eq!(
        (found.state, found.percent, found.error.unwrap().code.as_str()),
        (JobState::Failed, 40, "job-interrupted")
    );
    let events: EventPage = machine.admin().get("/api/v1/eventlog?action=backup.finish").await.json();
    assert_eq!(events.eventlogs[0].data["jobId"], json!("left"));
    assert_eq!(events.eventlogs[0].source.username.as_deref(), Some("boot"));
}

#[tokio::test]
async fn a_second_server_with_the_same_state_is_refused() {
    let machine = Machine::new().await;
    let error = Server::start(&machine.layout, &Log::new(), Tuning::default()).await.err().unwrap();
    assert!(error.is(&codes::ALREADY_RUNNING), "{error:?}");
}

#[tokio::test]
async fn a_taken_port_is_said_by_its_code_and_left_for_the_one_who_started_it() {
    let mut machine = Machine::new().await;
    machine.stop().await;
    let taken = std::net::TcpListener::bind(("127.0.0.1", machine.installed.port)).unwrap();
    let error = crate::server::serve(&machine.layout, async {}).await.unwrap_err();
    assert!(error.is(&codes::PORT_IN_USE), "{error:?}");
    let failure = std::fs::read_to_string(machine.layout.run().join("failure.json")).unwrap();
    assert!(failure.contains("port-in-use"), "{failure}");
    drop(taken);
    machine.start().await;
    assert!(!machine.layout.run().join("failure.json").exists());
}

#[tokio::test]
async fn a_damaged_database_is_said_by_its_code_and_not_touched() {
    let mut machine = Machine::new().await;
    machine.stop().await;
    let garbage = vec![0x42; 20_000];
    for beside in ["cloudron.db-wal", "cloudron.db-shm"] {
        let _ = std::fs::remove_file(machine.layout.state().join(beside));
    }
    // A new file: within one process, SQLite recognises an open one by its inode.
    let other = machine.layout.state().join("other");
    std::fs::write(&other, &garbage).unwrap();
    std::fs::rename(&other, machine.layout.database()).unwrap();
    let error = Server::start(&machine.layout, &Log::new(), Tuning::default()).await.err().unwrap();
    assert!(error.is(&codes::DATABASE_CORRUPT) && error.hint().is_some(), "{error:?}");
    assert!(std::fs::read(machine.layout.database()).unwrap() == garbage);
}

#[tokio::test]
async fn a_place_without_a_machine_has_no_server() {
    let home = tempfile::tempdir().unwrap();
    let layout = crate::Layout::rooted(home.path().join("nothing"));
    assert!(crate::server::serve(&layout, async {}).await.unwrap_err().is(&codes::MACHINE_MISSING));
    assert!(crate::service::status(&layout).unwrap_err().is(&codes::MACHINE_MISSING));
    assert!(!layout.database().exists());
}

#[tokio::test]
async fn a_client_that_sends_nothing_or_garbage_holds_nobody_else_up() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let machine = Machine::new().await;
    let address = machine.server.as_ref().unwrap().app.settings.listen[0];
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let mut garbage = tokio::net::TcpStream::connect(address).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = garbage.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("200"), "no answer without TLS");
    assert_eq!(machine.stranger().get("/api/v1/cloudron/status").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_seen_by_its_process_and_asked_over_tls() {
    let mut machine = Machine::new().await;
    let layout = machine.layout.clone();
    let look = move || {
        let layout = layout.clone();
        tokio::task::spawn_blocking(move || crate::service::status(&layout).unwrap())
    };
    let status = look().await.unwrap();
    assert_eq!((status.running, status.pid), (true, Some(std::process::id())));
    assert_eq!(status.answer.unwrap().fqdn, "demo.localhost");
    machine.stop().await;
    let status = look().await.unwrap();
    assert!(!status.running && status.answer.is_none() && status.problem.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daily_backup_needs_neither_setup_nor_login() {
    let mut machine = Machine::with_repository(Vec::new()).await;
    let db = machine.server.as_ref().unwrap().app.db.clone();
    db.transaction(|c| {
        let then = machine.server.as_ref().unwrap().app.now() - 26 * 3600 * 1000;
        crate::db::settings::set(c, FIRST_START, &then.to_string())
    })
    .unwrap();
    drop(db);
    machine.stop().await;
    machine.start().await;
    let admin = machine.admin();
    for _ in 0..500 {
        let events: EventPage = admin.get("/api/v1/eventlog?action=backup.finish").await.json();
        if let Some(event) = events.eventlogs.first() {
            assert_eq!(event.data["errorMessage"], json!(null));
            assert_eq!(event.source.username.as_deref(), Some("cron"));
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no backup was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_installed_in_its_slot_does_not_back_up_its_emptiness() {
    let mut machine = Machine::with_repository(Vec::new()).await;
    let db = |machine: &Machine| machine.server.as_ref().unwrap().app.db.clone();
    db(&machine)
        .transaction(|c| c.execute("DELETE FROM settings WHERE key = ?1", [FIRST_START]).sql())
        .unwrap();
    machine.stop().await;
    machine.clock.forward(until_the_end_of_hour(3, machine.clock.monotonic()));
    machine.start().await;
    for _ in 0..500 {
        if db(&machine).read(first_start).unwrap().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The decision whether a backup is due was made at the start; the backup would begin at once.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let job = db(&machine).read(|c| Ok((jobs::active(c)?, jobs::last_over(c, JobKind::Backup)?))).unwrap();
    assert_eq!(job, (Vec::new(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_at_once_when_the_clock_jumps() {
    let machine = Machine::new().await;
    // Not over TLS: this test's clock is fixed, and the certificate would be expired.
    let db = machine.server.as_ref().unwrap().app.db.clone();
    let renewed = async |days: i64, count: u64| {
        machine.clock.set_off(days * 24 * 3600);
        for _ in 0..500 {
            let action = Some("certificate.renew".to_owned());
            let filter = Filter { page: 1, per_page: 9, action, ..Filter::default() };
            let events = db.read(|c| page(c, &filter)).unwrap();
            if events.total == count {
                assert_eq!(events.eventlogs[0].data["errorMessage"], json!(null));
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the certificate was not renewed for {days} days");
    };
    renewed(400, 1).await;
    renewed(0, 2).await;
    renewed(-400, 3).await;
}

/// Returns the time until the last minute of an hour of the day, UTC.
fn until_the_end_of_hour(hour: u64, since_1970: Duration) -> Duration {
    let (day, end) = (24 * 3600, hour * 3600 + 59 * 60);
    Duration::from_secs((day + end - since_1970.as_secs() % day) % day)
}
