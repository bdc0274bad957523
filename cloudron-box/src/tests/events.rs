//! The event log over the HTTP API.

use super::machine::Machine;
use crate::api::EventPage;
use crate::{Include, admin};

#[tokio::test]
async fn what_changes_anything_is_in_the_event_log() {
    let machine = Machine::new().await;
    let owner = machine.activate().await;
    let folder = machine.path("photos");
    let include = Include { before: Some("echo canary".into()), ..Include::new(&folder) };
    admin::include_add(&machine.layout, include.clone()).unwrap();
    admin::include_add(&machine.layout, include).unwrap();
    assert_eq!(admin::include_list(&machine.layout).unwrap().len(), 1);
    admin::include_remove(&machine.layout, &folder).unwrap();
    let error = admin::include_remove(&machine.layout, &folder).unwrap_err();
    assert!(error.is(&crate::codes::INCLUDE_MISSING));
    let page: EventPage = owner.get("/api/v1/eventlog").await.json();
    let actions: Vec<&str> = page.eventlogs.iter().rev().map(|e| e.action.as_str()).collect();
    let expected = [
        "cloudron.install",
        "cloudron.start",
        "cloudron.activate",
        "include.add",
        "include.update",
        "include.remove",
    ];
    assert_eq!(actions, expected);
    assert!(!serde_json::to_string(&page).unwrap().contains("canary"), "a command may hold a password");
}

#[tokio::test]
async fn pages_and_filters_work_over_the_interface() {
    let machine = Machine::new().await;
    let admin = machine.admin();
    let db = machine.server.as_ref().unwrap().app.db.clone();
    db.transaction(|c| {
        for n in 0..30 {
            let source = crate::db::events::system("cron");
            crate::db::events::add(c, n, "certificate.renew", &source, &serde_json::json!({"n": n}))?;
        }
        Ok(())
    })
    .unwrap();
    let page = |query: &'static str| {
        let admin = admin.clone();
        async move { admin.get(&format!("/api/v1/eventlog{query}")).await.json::<EventPage>() }
    };
    assert_eq!(page("").await.eventlogs.len(), 25);
    assert_eq!(page("?page=2").await.eventlogs.len(), 7);
    assert_eq!(page("?per_page=10&action=certificate.renew&page=3").await.eventlogs.len(), 10);
    assert_eq!(page("?search=%22n%22:29").await.total, 1);
    assert_eq!(page("?since=1971-01-01T00:00:00Z").await.total, 2);
    assert_eq!(page("?until=1971-01-01T00:00:00Z").await.total, 30);
}
