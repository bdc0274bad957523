//! Reading the store through the server.

use std::time::Duration;

use serde_json::json;

use super::machine::{Machine, back_up};
use crate::api::{DownloadUrl, EventPage, StoreObject};

#[tokio::test(flavor = "multi_thread")]
async fn a_download_lists_and_reads_the_store_until_its_time_is_over() {
    let machine = Machine::with_repository(Vec::new()).await;
    let admin = machine.admin();
    let job = back_up(&admin).await;
    let id = job.backup_id.unwrap();
    let answer = admin.post(&format!("/api/v1/backups/{id}/download_url"), json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let download: DownloadUrl = answer.json();
    assert_eq!(download.id, id);
    let (url, stranger) = (download.url.expose().to_owned(), machine.stranger());
    let all: Vec<StoreObject> = stranger.get(&format!("{url}?list=")).await.json();
    assert!(all.iter().any(|o| o.key == format!("snapshots/{id}.json")));
    for object in &all {
        let answer = stranger.get(&format!("{url}{}", object.key)).await;
        assert_eq!((answer.status.as_u16(), answer.body.len() as u64), (200, object.size));
        let stored = std::fs::read(machine.path("store").join(&object.key)).unwrap();
        assert_eq!(answer.body, stored, "{}", object.key);
        let part =
            stranger.ask("GET", &format!("{url}{}", object.key), None, &[("range", "bytes=3-9")]).await;
        assert_eq!(part.status, 206);
        assert_eq!(part.body, stored[3..10]);
        assert_eq!(part.headers["content-range"], format!("bytes 3-9/{}", object.size));
    }
    let snapshots: Vec<StoreObject> = stranger.get(&format!("{url}?list=snapshots/")).await.json();
    assert!(!snapshots.is_empty() && snapshots.iter().all(|o| o.key.starts_with("snapshots/")));
    machine.clock.forward(Duration::from_secs(31 * 60));
    assert_eq!(stranger.get(&format!("{url}?list=")).await.error(), (401, "token-invalid".into()));
    let events: EventPage = machine.admin().get("/api/v1/eventlog?action=backup.download").await.json();
    assert_eq!(events.total, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_cannot_leave_the_store_or_write_to_it() {
    let machine = Machine::with_repository(Vec::new()).await;
    let admin = machine.admin();
    back_up(&admin).await;
    let download: DownloadUrl = admin.post("/api/v1/backups/latest/download_url", json!({})).await.json();
    let (url, stranger) = (download.url.expose().to_owned(), machine.stranger());
    for (path, status) in [
        ("..%2f..%2fmachine%2fconfig.json", 400),
        ("%2e%2e/machine/config.json", 400),
        (".hidden", 400),
        ("packs/no-such-object", 404),
        ("?list=../", 400),
        ("?list=..", 400),
        ("?list=.", 400),
        ("?list=packs/../../", 400),
    ] {
        assert_eq!(stranger.get(&format!("{url}{path}")).await.status, status, "{path}");
    }
    for method in ["PUT", "DELETE", "POST"] {
        let path = format!("{url}cloudron-backup.json");
        assert_eq!(stranger.ask(method, &path, None, &[]).await.status, 405);
    }
    let range = [("range", "bytes=99999999-")];
    let answer = stranger.ask("GET", &format!("{url}cloudron-backup.json"), None, &range).await;
    assert_eq!(answer.status, 416);
    let guess = format!("/api/v1/download/{}/", "0".repeat(40));
    assert_eq!(stranger.get(&format!("{guess}?list=")).await.status, 401);
    let unknown = "backup_2020-01-01T00-00-00Z_v0.1.0";
    let answer = admin.post(&format!("/api/v1/backups/{unknown}/download_url"), json!({})).await;
    assert_eq!(answer.error(), (404, "backup-unknown".into()));
}
