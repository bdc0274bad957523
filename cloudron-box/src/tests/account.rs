//! First-time setup and login.

use std::time::Duration;

use cloudron_core::Secret;
use serde_json::json;

use super::client::{Answered, Client};
use super::machine::{EMAIL, Machine, PASSWORD, log_in_from};
use crate::admin;
use crate::api::{Config, EventPage, Status, TokenAnswer};

const ACTIVATE: &str = "/api/v1/cloudron/activate";
const LOGIN: &str = "/api/v1/developer/login";

async fn log_in(client: &Client, name: &str, password: &str) -> super::client::Answered {
    client.post(LOGIN, json!({"username": name, "password": password})).await
}

#[tokio::test]
async fn the_setup_needs_the_token_and_happens_once() {
    let machine = Machine::new().await;
    let body = json!({"email": EMAIL, "password": PASSWORD, "username": "owner", "displayName": "The Owner"});
    assert_eq!(
        machine.stranger().post(ACTIVATE, body.clone()).await.error(),
        (403, "setup-token-invalid".into())
    );
    let wrong = machine.stranger().with(&Secret::new("0".repeat(32)));
    assert_eq!(wrong.post(ACTIVATE, body.clone()).await.error(), (403, "setup-token-invalid".into()));
    assert!(!machine.stranger().get("/api/v1/cloudron/status").await.json::<Status>().activated);
    let right = machine.stranger().with(machine.installed.setup_token.as_ref().unwrap());
    let answer = right.post(ACTIVATE, body.clone()).await;
    assert_eq!(answer.status, 201);
    let token: TokenAnswer = answer.json();
    let owner = machine.stranger().with(&token.token);
    assert_eq!(owner.get("/api/v1/cloudron/config").await.status, 200);
    assert_eq!(right.post(ACTIVATE, body).await.error(), (409, "already-activated".into()));
    assert!(admin::setup_token(&machine.layout).unwrap_err().is(&crate::codes::ALREADY_ACTIVATED));
    let events: EventPage = owner.get("/api/v1/eventlog?action=cloudron.activate").await.json();
    assert_eq!(events.eventlogs[0].source.username.as_deref(), Some("owner"));
    assert_eq!(events.eventlogs[0].source.ip.as_deref(), Some("127.0.0.1"));
    for name in [EMAIL, "OWNER@EXAMPLE.COM", "owner"] {
        assert_eq!(log_in(&machine.stranger(), name, PASSWORD).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn of_many_setups_at_the_same_time_one_wins() {
    let machine = Machine::new().await;
    let client = machine.stranger().with(machine.installed.setup_token.as_ref().unwrap());
    let tries = (0..4).map(|n| {
        let (client, email) = (client.clone(), format!("owner{n}@example.com"));
        tokio::spawn(async move {
            client.post(ACTIVATE, json!({"email": email, "password": PASSWORD})).await.status.as_u16()
        })
    });
    let mut statuses = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
}

#[tokio::test]
async fn setup_input_is_checked_before_the_token_is_used_up() {
    let machine = Machine::new().await;
    let client = machine.stranger().with(machine.installed.setup_token.as_ref().unwrap());
    for (email, password, username) in [
        ("nobody", PASSWORD, "ok"),
        (EMAIL, "short", "ok"),
        (EMAIL, &"x".repeat(257), "ok"),
        (EMAIL, PASSWORD, "a b"),
        (EMAIL, PASSWORD, "x"),
    ] {
        let body = json!({"email": email, "password": password, "username": username});
        let answer = client.post(ACTIVATE, body).await;
        assert_eq!(answer.error(), (400, "bad-request".into()));
    }
    machine.activate().await;
}

#[tokio::test]
async fn setup_tokens_can_be_tried_five_times_a_minute() {
    let machine = Machine::new().await;
    let body = json!({"email": EMAIL, "password": PASSWORD});
    for _ in 0..5 {
        assert_eq!(machine.stranger().post(ACTIVATE, body.clone()).await.status, 403);
    }
    let answer = machine.stranger().post(ACTIVATE, body).await;
    assert_eq!(answer.error(), (429, "too-many-tries".into()));
    let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    machine.clock.forward(Duration::from_secs(wait));
    assert_eq!(
        machine.stranger().post(ACTIVATE, json!({"email": EMAIL, "password": PASSWORD})).await.status,
        403
    );
}

#[tokio::test]
async fn a_setup_token_ends_after_a_day_and_a_new_one_replaces_it() {
    let machine = Machine::new().await;
    let body = json!({"email": EMAIL, "password": PASSWORD});
    machine.clock.forward(Duration::from_secs(24 * 3600 + 1));
    let old = machine.stranger().with(machine.installed.setup_token.as_ref().unwrap());
    assert_eq!(old.post(ACTIVATE, body.clone()).await.status, 403);
    let first = admin::setup_token(&machine.layout).unwrap();
    let second = admin::setup_token(&machine.layout).unwrap();
    assert!(second.page.starts_with("https://my.demo.localhost:"));
    // The test's clock is ahead of the command line's.
    machine.clock.forward(Duration::ZERO);
    let fresh = Machine::new().await;
    let newest = admin::setup_token(&fresh.layout).unwrap();
    let stale = fresh.stranger().with(fresh.installed.setup_token.as_ref().unwrap());
    assert_eq!(stale.post(ACTIVATE, body.clone()).await.status, 403);
    assert_eq!(fresh.stranger().with(&newest.token).post(ACTIVATE, body).await.status, 201);
    assert_ne!(first.token, second.token);
}

#[tokio::test]
async fn nobody_logs_in_before_the_setup() {
    let machine = Machine::new().await;
    assert_eq!(log_in(&machine.stranger(), EMAIL, PASSWORD).await.error(), (403, "not-activated".into()));
}

#[tokio::test]
async fn failed_logins_make_the_next_one_wait() {
    let machine = Machine::new().await;
    machine.activate().await;
    let stranger = machine.stranger();
    let log_in = async |password| log_in_from(&stranger, [127, 0, 7, 1], EMAIL, password).await;
    for _ in 0..4 {
        assert_eq!(log_in("wrong password").await.error(), (401, "login-failed".into()));
    }
    let answer = log_in(PASSWORD).await;
    assert_eq!(answer.error(), (429, "too-many-tries".into()));
    let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(wait, 1);
    machine.clock.forward(Duration::from_secs(wait));
    assert_eq!(log_in(PASSWORD).await.status, 200);
    assert_eq!(log_in("wrong password").await.status, 401);
    let events: EventPage = machine.admin().get("/api/v1/eventlog?action=user.login.failed").await.json();
    assert_eq!(events.total, 1, "one entry for the address and hour");
    for _ in 0..100 {
        let events: EventPage = machine.admin().get("/api/v1/eventlog?action=user.login.failed").await.json();
        if events.eventlogs[0].data["count"] == 5 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the number of failures was not stored");
}

#[tokio::test]
async fn who_guesses_from_many_addresses_does_not_keep_the_owner_out() {
    let machine = Machine::new().await;
    machine.activate().await;
    let stranger = machine.stranger();
    let mut statuses = Vec::new();
    for n in 1..40 {
        let answer = log_in_from(&stranger, [127, 40, 0, n], EMAIL, "wrong password").await;
        statuses.push(answer.status.as_u16());
        if n % 5 == 0 {
            machine.clock.forward(Duration::from_secs(1));
            // From the network of the setup, with either name.
            assert_eq!(log_in(&stranger, EMAIL, PASSWORD).await.status, 200, "{statuses:?}");
        }
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    // From a new address the stated wait is sufficient, although refused attempts came in between.
    let wait = |answer: &Answered| answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
    let new = || log_in_from(&stranger, [127, 41, 0, 1], EMAIL, PASSWORD);
    while let answer = log_in_from(&stranger, [127, 40, 1, 1], EMAIL, "wrong password").await
        && answer.status == 401
    {}
    let said = wait(&new().await);
    for n in 1..20 {
        log_in_from(&stranger, [127, 40, 2, n], EMAIL, "wrong password").await;
        log_in_from(&stranger, [127, 41, 0, 1], EMAIL, "wrong password").await;
    }
    machine.clock.forward(Duration::from_secs(said));
    assert_eq!(new().await.status, 200);
}

#[tokio::test]
async fn who_guesses_setup_tokens_keeps_nobody_from_the_setup() {
    let machine = Machine::new().await;
    let body = json!({"email": EMAIL, "password": PASSWORD});
    let statuses = async |n: usize| {
        let mut statuses = Vec::new();
        for _ in 0..n {
            let wrong = machine.stranger().with(&Secret::new("a".repeat(32)));
            statuses.push(wrong.post(ACTIVATE, body.clone()).await.status.as_u16());
        }
        statuses
    };
    assert_eq!(statuses(7).await, [403, 403, 403, 403, 403, 429, 429]);
    // From the same address, in the same second.
    machine.activate().await;
}

#[tokio::test]
async fn one_address_cannot_try_account_after_account() {
    let machine = Machine::new().await;
    machine.activate().await;
    let mut statuses = Vec::new();
    for n in 0..8 {
        let answer = log_in_from(&machine.stranger(), [127, 0, 7, 1], &format!("user{n}"), PASSWORD).await;
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 429, 429]);
}

#[tokio::test]
async fn a_login_ends_after_a_week() {
    let machine = Machine::new().await;
    let owner = machine.activate().await;
    machine.clock.forward(Duration::from_secs(7 * 24 * 3600 - 5));
    assert_eq!(owner.get("/api/v1/cloudron/config").await.status, 200);
    machine.clock.forward(Duration::from_secs(5));
    assert_eq!(owner.get("/api/v1/cloudron/config").await.status, 401);
    let token: TokenAnswer = log_in(&machine.stranger(), EMAIL, PASSWORD).await.json();
    let config = machine.stranger().with(&token.token).get("/api/v1/cloudron/config").await;
    assert_eq!(config.json::<Config>().fqdn, "demo.localhost");
}
