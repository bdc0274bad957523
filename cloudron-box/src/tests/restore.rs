//! A machine that is lost and restored.

use cloudron_core::{Cancel, Progress};
use cloudron_testkit::tree;

use super::machine::{EMAIL, Machine, PASSWORD, back_up, request};
use crate::api::{EventPage, JobState, Status};
use crate::install::install;
use crate::restore::{RestoreRequest, restore};
use crate::{Include, Layout, admin, codes};

fn asked(machine: &Machine, overwrite: bool) -> RestoreRequest {
    let paths = vec![machine.path("photos")];
    RestoreRequest { backup: "latest".into(), identity: machine.identity.to_secret(), overwrite, paths }
}

/// Returns a stopped machine with an owner, data, an included folder with a hook, and one backup of it all.
async fn lost() -> Machine {
    let include = Include { after: Some("true".into()), ..Include::new("photos") };
    let mut machine = Machine::with_repository(vec![include]).await;
    tree::generate(&machine.layout.data(), 1, 300_000).unwrap();
    tree::generate(&machine.path("photos"), 2, 300_000).unwrap();
    let owner = machine.activate().await;
    let job = back_up(&owner).await;
    assert_eq!(job.state, JobState::Done, "{job:?}");
    machine.stop().await;
    machine
}

/// Returns another machine with the same store, installed and not started.
fn successor(machine: &Machine) -> Layout {
    let layout = Layout::rooted(machine.path("successor"));
    let mut request = request(&machine.path("store"), &machine.identity);
    request.run = "run-2".into();
    request.includes = vec![Include::new(machine.path("more"))];
    install(&layout, &request).unwrap();
    layout
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_nobody_confirmed_is_not_written_to() {
    let machine = lost().await;
    std::fs::remove_dir_all(machine.path("photos")).unwrap();
    let layout = successor(&machine);
    let (progress, cancel) = (Progress::none(), Cancel::new());
    for paths in [vec![], vec![machine.path("phot")], vec![machine.path("")]] {
        let request = RestoreRequest { paths, ..asked(&machine, false) };
        let refused = restore(&layout, request, &progress, &cancel).await.unwrap_err();
        assert!(refused.is(&codes::RESTORE_UNCONFIRMED), "{refused}");
        assert!(!machine.path("photos").exists() && !layout.data().join("0").exists());
    }
    restore(&layout, asked(&machine, false), &progress, &cancel).await.unwrap();
    assert!(machine.path("photos").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_machine_has_the_users_events_data_and_folders_of_the_lost_one() {
    let mut machine = lost().await;
    let (data, photos) = (machine.layout.data(), machine.path("photos"));
    let before = [tree::digest(&data).unwrap(), tree::digest(&photos).unwrap()];
    std::fs::remove_dir_all(machine.layout.state()).unwrap();
    std::fs::remove_dir_all(&photos).unwrap();
    let layout = successor(&machine);
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let answer = restore(&layout, asked(&machine, false), &progress, &cancel).await.unwrap();
    assert!(answer.compared >= answer.files && answer.files > 2);
    let after = [tree::digest(&layout.data()).unwrap(), tree::digest(&photos).unwrap()];
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(tree::compare(before, after), Vec::<String>::new());
    }
    let includes = admin::include_list(&layout).unwrap();
    let paths: Vec<_> = includes.iter().map(|i| i.path.clone()).collect();
    assert_eq!(paths, [machine.path("more"), photos], "those of both machines");
    assert_eq!(includes[1].after.as_deref(), Some("true"));

    machine.layout = layout;
    machine.installed.ca_pem = std::fs::read_to_string(machine.layout.authority()).unwrap();
    machine.start().await;
    let stranger = machine.stranger();
    assert!(stranger.get("/api/v1/cloudron/status").await.json::<Status>().activated);
    let login = serde_json::json!({"username": EMAIL, "password": PASSWORD});
    assert_eq!(stranger.post("/api/v1/developer/login", login).await.status, 200);
    let events: EventPage = machine.admin().get("/api/v1/eventlog?per_page=100").await.json();
    let actions: Vec<&str> = events.eventlogs.iter().rev().map(|e| e.action.as_str()).collect();
    let expected = [
        "cloudron.install",
        "cloudron.start",
        "cloudron.activate",
        "backup.start",
        "backup.finish",
        "cloudron.restore",
        "cloudron.start",
        "user.login",
    ];
    let finish = events.eventlogs.iter().find(|e| e.action == "backup.finish").unwrap();
    assert_eq!(finish.data["id"], serde_json::json!(answer.backup), "the backup knows that it was made");
    assert_eq!(finish.data["errorMessage"], serde_json::Value::Null);
    let kept: Vec<&str> = expected.iter().copied().filter(|a| actions.contains(a)).collect();
    assert_eq!(kept, expected[..4].iter().chain(&expected[4..]).copied().collect::<Vec<_>>(), "{actions:?}");
    let job = back_up(&machine.admin()).await;
    assert_eq!(job.error.unwrap().code, "backup-incomplete", "the folder `more` does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_and_interrupted_jobs_of_the_lost_machine_do_not_come_back() {
    let mut machine = Machine::with_repository(Vec::new()).await;
    let owner = machine.activate().await;
    back_up(&owner).await;
    machine.stop().await;
    let layout = successor(&machine);
    restore(&layout, asked(&machine, false), &Progress::none(), &Cancel::new()).await.unwrap();
    machine.layout = layout;
    machine.installed.ca_pem = std::fs::read_to_string(machine.layout.authority()).unwrap();
    machine.start().await;
    let old = machine.stranger().with(owner.token.as_ref().unwrap());
    assert_eq!(old.get("/api/v1/cloudron/config").await.status, 401);
    let db = &machine.server.as_ref().unwrap().app.db;
    assert!(db.read(crate::db::jobs::active).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_different_file_is_not_overwritten_unless_told() {
    let machine = lost().await;
    std::fs::write(machine.path("photos/mine"), "precious").unwrap();
    let file = first_file(&machine.path("photos"));
    std::fs::write(&file, "changed since").unwrap();
    let layout = successor(&machine);
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let error = restore(&layout, asked(&machine, false), &progress, &cancel).await.unwrap_err();
    assert!(error.is(&cloudron_backup::codes::RESTORE_CONFLICT), "{error:?}");
    assert_eq!(std::fs::read(&file).unwrap(), b"changed since");
    assert!(admin::setup_token(&layout).is_ok(), "the machine is as new as before");
    restore(&layout, asked(&machine, true), &progress, &cancel).await.unwrap();
    assert_ne!(std::fs::read(&file).unwrap(), b"changed since");
    assert_eq!(std::fs::read(machine.path("photos/mine")).unwrap(), b"precious");
}

fn first_file(folder: &std::path::Path) -> std::path::PathBuf {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_file() && !p.is_symlink() && p.file_name().is_some_and(|n| n != "mine"))
        .collect();
    files.sort();
    files.swap_remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_can_be_repeated() {
    let machine = lost().await;
    let layout = successor(&machine);
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let first = restore(&layout, asked(&machine, false), &progress, &cancel).await.unwrap();
    let second = restore(&layout, asked(&machine, false), &progress, &cancel).await.unwrap();
    assert_eq!(first, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_refused_while_the_server_runs_or_with_a_wrong_key_or_id() {
    let mut machine = lost().await;
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let layout = successor(&machine);
    let unknown =
        RestoreRequest { backup: "backup_2020-01-01T00-00-00Z_v0.1.0".into(), ..asked(&machine, false) };
    let error = restore(&layout, unknown, &progress, &cancel).await.unwrap_err();
    assert!(error.is(&cloudron_backup::codes::BACKUP_UNKNOWN), "{error:?}");
    let other = cloudron_backup::Identity::generate().to_secret();
    let wrong = RestoreRequest { identity: other, ..asked(&machine, false) };
    assert!(restore(&layout, wrong, &progress, &cancel).await.is_err());
    machine.start().await;
    let error = restore(&machine.layout, asked(&machine, false), &progress, &cancel).await.unwrap_err();
    assert!(error.is(&codes::RESTORE_RUNNING), "{error:?}");
}
