//! Sessions: listed, ended, and ended by a new password.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::json;

use super::client::Client;
use super::machine::{EMAIL, Machine, PASSWORD, back_up};
use crate::admin;
use crate::api::{DownloadUrl, EventPage, SessionList, SessionsEnded, TokenAnswer};

const CONFIG: &str = "/api/v1/cloudron/config";
const LOGIN: &str = "/api/v1/developer/login";
const NEW: &str = "canary-another-password";

async fn log_in(machine: &Machine, password: &str) -> Client {
    let body = json!({"username": EMAIL, "password": password});
    let answer = machine.stranger().post(LOGIN, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    machine.stranger().with(&answer.json::<TokenAnswer>().token)
}

async fn sessions(client: &Client) -> Vec<crate::api::Session> {
    client.get("/api/v1/sessions").await.json::<SessionList>().sessions
}

#[tokio::test]
async fn sessions_are_listed_and_end_one_by_one_or_all() {
    let machine = Machine::new().await;
    let owner = machine.activate().await;
    let (laptop, phone) = (log_in(&machine, PASSWORD).await, log_in(&machine, PASSWORD).await);
    let listed = sessions(&laptop).await;
    assert_eq!(listed.iter().map(|s| s.current).collect::<Vec<_>>(), [false, true, false]);
    assert!(listed.iter().all(|s| s.username.as_deref() == Some(EMAIL)));
    assert!(listed.iter().all(|s| s.address.as_deref() == Some("127.0.0.1")));
    assert_eq!(listed[0].expires_at - listed[0].created_at, jiff::SignedDuration::from_hours(7 * 24));

    // A stolen session is ended from another one.
    assert_eq!(laptop.delete(&format!("/api/v1/sessions/{}", listed[0].id)).await.status, 200);
    assert_eq!(phone.get(CONFIG).await.error(), (401, "token-invalid".into()));
    let again = laptop.delete(&format!("/api/v1/sessions/{}", listed[0].id)).await;
    assert_eq!(again.error(), (404, "session-unknown".into()));
    // Logging out.
    assert_eq!(laptop.delete("/api/v1/sessions/current").await.status, 200);
    assert_eq!(laptop.get(CONFIG).await.status, 401);
    assert_eq!(sessions(&owner).await.len(), 1);
    let tablet = log_in(&machine, PASSWORD).await;
    assert_eq!(owner.delete("/api/v1/sessions").await.json::<SessionsEnded>().ended, 2);
    for client in [&owner, &tablet] {
        assert_eq!(client.get(CONFIG).await.status, 401);
    }

    // On the machine, while the server runs.
    let tablet = log_in(&machine, PASSWORD).await;
    let listed = admin::sessions(&machine.layout).unwrap();
    assert_eq!(listed, sessions(&machine.admin()).await);
    assert_eq!(admin::end_sessions(&machine.layout, Some(&listed[0].id)).unwrap(), 1);
    assert_eq!(tablet.get(CONFIG).await.status, 401);
    assert!(admin::end_sessions(&machine.layout, Some("x")).unwrap_err().is(&crate::codes::SESSION_UNKNOWN));
    let current = machine.admin().delete("/api/v1/sessions/current").await;
    assert_eq!(current.error(), (404, "session-unknown".into()), "a token of the machine is no session");
}

#[tokio::test]
async fn a_new_password_needs_the_old_one_and_ends_all_other_sessions() {
    let machine = Machine::new().await;
    let (owner, stolen) = (machine.activate().await, log_in(&machine, PASSWORD).await);
    let change = async |old: &str, new: &str| {
        owner.post("/api/v1/profile/password", json!({"password": old, "newPassword": new})).await
    };
    assert_eq!(change("wrong password", NEW).await.error(), (401, "login-failed".into()));
    assert_eq!(change(PASSWORD, "short").await.error(), (400, "bad-request".into()));
    assert_eq!(stolen.get(CONFIG).await.status, 200);
    assert_eq!(change(PASSWORD, NEW).await.json::<SessionsEnded>().ended, 1);
    assert_eq!(
        (owner.get(CONFIG).await.status.as_u16(), stolen.get(CONFIG).await.status.as_u16()),
        (200, 401)
    );
    let old = machine.stranger().post(LOGIN, json!({"username": EMAIL, "password": PASSWORD})).await;
    assert_eq!(old.error(), (401, "login-failed".into()));
    log_in(&machine, NEW).await;
    let events: EventPage = owner.get("/api/v1/eventlog?action=user.password").await.json();
    assert_eq!((events.total, events.eventlogs[0].source.username.as_deref()), (1, Some(EMAIL)));
    let on_the_machine = machine.admin();
    let body = json!({"password": NEW, "newPassword": NEW});
    let refused = on_the_machine.post("/api/v1/profile/password", body).await;
    assert_eq!(refused.error(), (400, "bad-request".into()));
}

#[tokio::test]
async fn guesses_of_the_old_password_are_slowed_down_like_logins() {
    let machine = Machine::new().await;
    let owner = machine.activate().await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        let body = json!({"password": "wrong password", "newPassword": NEW});
        statuses.push(owner.post("/api/v1/profile/password", body).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 429, 429]);
}

#[tokio::test]
async fn a_forgotten_password_is_reset_on_the_machine() {
    let machine = Machine::new().await;
    let password = cloudron_core::Secret::new(NEW);
    let early = admin::reset_password(&machine.layout, &password).unwrap_err();
    assert!(early.is(&crate::codes::NOT_ACTIVATED) && early.hint().unwrap().contains("setup-link"));
    let owner = machine.activate().await;
    let short = admin::reset_password(&machine.layout, &cloudron_core::Secret::new("short")).unwrap_err();
    assert!(short.is(&crate::codes::BAD_REQUEST));
    assert_eq!(admin::reset_password(&machine.layout, &password).unwrap(), EMAIL);
    assert_eq!(owner.get(CONFIG).await.status, 401);
    let old = machine.stranger().post(LOGIN, json!({"username": EMAIL, "password": PASSWORD})).await;
    assert_eq!(old.status, 401);
    log_in(&machine, NEW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_began_ends_with_it() {
    let machine = Machine::with_repository(Vec::new()).await;
    let owner = machine.activate().await;
    back_up(&owner).await;
    let download: DownloadUrl = owner.post("/api/v1/backups/latest/download_url", json!({})).await.json();
    let list = format!("{}?list=", download.url.expose());
    assert_eq!(machine.stranger().get(&list).await.status, 200);
    let mut log = owner.open("GET", "/api/v1/cloudron/logs?lines=1&follow=true", None, &[]).await.into_body();
    assert!(log.frame().await.unwrap().is_ok());
    owner.delete("/api/v1/sessions/current").await;
    assert_eq!(machine.stranger().get(&list).await.error(), (401, "token-invalid".into()));
    let ended = async { while let Some(Ok(_)) = log.frame().await {} };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the log is no longer followed");
}

#[tokio::test]
async fn a_token_that_expired_stays_so_when_the_clock_is_set_back() {
    let mut machine = Machine::new().await;
    machine.activate().await;
    let admin = machine.admin();
    assert_eq!(admin.get(CONFIG).await.status, 200);
    machine.clock.set_off(2 * 3600);
    assert_eq!(admin.get(CONFIG).await.status, 401);
    machine.clock.set_off(0);
    assert_eq!(admin.get(CONFIG).await.status, 401, "the clock is back");
    // The command line gets a new valid token, after one retry at most.
    let new = async |machine: &Machine| {
        machine.admin().get(CONFIG).await;
        machine.admin().get(CONFIG).await.status.as_u16()
    };
    assert_eq!(new(&machine).await, 200);
    // Also over a restart, after a clock that was a year ahead.
    machine.clock.set_off(365 * 24 * 3600);
    let ahead = log_in(&machine, PASSWORD).await;
    assert_eq!(ahead.get(CONFIG).await.status, 200);
    machine.stop().await;
    machine.clock.set_off(0);
    machine.start().await;
    assert_eq!(ahead.get(CONFIG).await.status, 200);
    machine.clock.forward(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(ahead.get(CONFIG).await.status, 401, "it lives for a week, not for a year");
    assert_eq!(new(&machine).await, 200);
}
