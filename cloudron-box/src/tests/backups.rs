//! Backups over the HTTP API.

use std::time::Duration;

use serde_json::json;

use super::machine::{Machine, back_up, over};
use crate::Include;
use crate::api::{BackupPage, EventPage, Job, JobState, ProgressReport};

fn hooked(path: &str, before: &str, after: &str) -> Include {
    Include { path: path.into(), before: Some(before.into()), after: Some(after.into()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_holds_state_data_and_includes_and_is_listed_newest_first() {
    let machine = Machine::with_repository(vec![Include::new("photos")]).await;
    std::fs::write(machine.layout.data().join("note"), "remember").unwrap();
    std::fs::write(machine.path("photos/one.jpg"), "smile").unwrap();
    let owner = machine.activate().await;
    assert_eq!(owner.get("/api/v1/backups").await.json::<BackupPage>().total, 0);
    let first = back_up(&owner).await;
    assert_eq!(first.state, JobState::Done, "{first:?}");
    assert_eq!((first.percent, first.error), (100, None));
    machine.clock.forward(Duration::from_secs(60));
    let second = back_up(&owner).await;
    let page: BackupPage = owner.get("/api/v1/backups?per_page=1").await.json();
    assert_eq!((page.total, page.backups.len()), (2, 1));
    assert_eq!(Some(&page.backups[0].id), second.backup_id.as_ref());
    let photos = machine.path("photos").to_str().unwrap().to_owned();
    assert_eq!(page.backups[0].sources, ["state", "data", &photos]);
    assert_eq!(page.backups[0].files, 3);
    let page: BackupPage = owner.get("/api/v1/backups?per_page=1&page=2").await.json();
    assert_eq!(Some(&page.backups[0].id), first.backup_id.as_ref());
    let events: EventPage = owner.get("/api/v1/eventlog?action=backup.finish").await.json();
    assert_eq!(events.total, 2);
    assert_eq!(events.eventlogs[0].data["id"], json!(second.backup_id));
    assert_eq!(events.eventlogs[0].data["errorMessage"], json!(null));
    assert_eq!(events.eventlogs[0].source.username.as_deref(), Some("owner@example.com"));
    assert!(!machine.layout.cache().join("staging/state").exists(), "the copy of the database is not left");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_backups_in_one_second_have_two_ids() {
    let machine = Machine::with_repository(Vec::new()).await;
    let admin = machine.admin();
    let (first, second) = (back_up(&admin).await, back_up(&admin).await);
    assert_eq!((first.state, second.state), (JobState::Done, JobState::Done), "{second:?}");
    assert_ne!(first.backup_id, second.backup_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_job_is_refused_while_one_runs() {
    let machine =
        Machine::with_repository(vec![hooked("db", "while [ ! -e go ]; do sleep 0.05; done", "true")]).await;
    let admin = machine.admin();
    let job: Job = admin.post("/api/v1/backups", json!({})).await.json();
    assert_eq!(admin.post("/api/v1/backups", json!({})).await.error(), (409, "job-busy".into()));
    let progress: ProgressReport = admin.get("/api/v1/cloudron/progress").await.json();
    assert_eq!(progress.backup.unwrap().id, job.id);
    std::fs::write(machine.path("db/go"), "").unwrap();
    assert_eq!(over(&admin, &job.id).await.state, JobState::Done);
    assert_eq!(
        admin.get("/api/v1/cloudron/progress").await.json::<ProgressReport>(),
        ProgressReport::default()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_around_the_backup_and_what_they_dump_is_in_it() {
    let machine =
        Machine::with_repository(vec![hooked("db", "echo rows > dump.sql", "rm dump.sql; touch after")])
            .await;
    let job = back_up(&machine.admin()).await;
    assert_eq!(job.state, JobState::Done, "{job:?}");
    assert!(!machine.path("db/dump.sql").exists() && machine.path("db/after").exists());
    let page: BackupPage = machine.admin().get("/api/v1/backups").await.json();
    assert_eq!(page.backups[0].files, 2, "the database and the dump");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_hook_fails_the_job_loudly_and_the_folders_are_backed_up_all_the_same() {
    let includes = vec![hooked("bad", "echo why >&2; exit 7", "touch after"), hooked("good", "true", "true")];
    let machine = Machine::with_repository(includes).await;
    for name in ["bad/file", "good/file"] {
        std::fs::write(machine.path(name), "x").unwrap();
    }
    let admin = machine.admin();
    let job = back_up(&admin).await;
    assert_eq!(job.state, JobState::Failed);
    let error = job.error.unwrap();
    assert_eq!(error.code, "backup-incomplete");
    assert!(
        error.message.contains("/bad") && error.message.contains('7') && !error.message.contains("/good")
    );
    assert!(machine.path("bad/after").exists(), "the command after is owed");
    let page: BackupPage = admin.get("/api/v1/backups").await.json();
    assert_eq!((page.total, page.backups[0].files), (1, 3));
    let events: EventPage = admin.get("/api/v1/eventlog?action=backup.finish").await.json();
    assert!(events.eventlogs[0].data["errorMessage"].as_str().unwrap().contains("/bad"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_included_folder_that_is_gone_fails_the_job_and_the_rest_is_saved() {
    let machine = Machine::with_repository(vec![Include::new("gone")]).await;
    std::fs::remove_dir(machine.path("gone")).unwrap();
    let admin = machine.admin();
    let job = back_up(&admin).await;
    assert_eq!(job.error.unwrap().code, "backup-incomplete");
    assert_eq!(admin.get("/api/v1/backups").await.json::<BackupPage>().total, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_fails_the_job_with_the_reason_and_the_server_lives_on() {
    let machine = Machine::with_repository(Vec::new()).await;
    std::fs::rename(machine.path("store"), machine.path("elsewhere")).unwrap();
    let admin = machine.admin();
    let job = back_up(&admin).await;
    let error = job.error.unwrap();
    assert_eq!((job.state, error.code.as_str()), (JobState::Failed, "repository-missing"));
    let config: crate::api::Config = admin.get("/api/v1/cloudron/config").await.json();
    let store = config.health.checks.iter().find(|c| c.name == "store").unwrap();
    assert!(!config.health.ok && !store.ok);
    // A missing folder is not created: its disk may only be unmounted.
    std::fs::rename(machine.path("elsewhere"), machine.path("store")).unwrap();
    assert_eq!(back_up(&admin).await.state, JobState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_server_stops_the_job_that_runs() {
    let machine = Machine::with_repository(vec![hooked("db", "sleep 600", "touch after")]).await;
    let admin = machine.admin();
    let job: Job = admin.post("/api/v1/backups", json!({})).await.json();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(admin.post("/api/v1/cloudron/retire", json!({})).await.status, 202);
    let job = over(&admin, &job.id).await;
    assert_eq!((job.state, job.error.unwrap().code.as_str()), (JobState::Failed, "interrupted"));
    assert!(machine.path("db/after").exists());
}
