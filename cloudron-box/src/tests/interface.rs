//! Rules for every route.

use serde_json::{Value, json};

use super::machine::Machine;
use crate::api::{Config, ProgressReport, Status};

const NEED_A_TOKEN: &[(&str, &str)] = &[
    ("GET", "/api/v1/cloudron/config"),
    ("GET", "/api/v1/cloudron/progress"),
    ("GET", "/api/v1/backups"),
    ("POST", "/api/v1/backups"),
    ("POST", "/api/v1/backups/latest/download_url"),
    ("POST", "/api/v1/cloudron/update"),
    ("GET", "/api/v1/eventlog"),
    ("GET", "/api/v1/cloudron/logs"),
    ("POST", "/api/v1/cloudron/reboot"),
    ("POST", "/api/v1/cloudron/retire"),
    ("GET", "/api/v1/jobs/x"),
    ("GET", "/api/v1/sessions"),
    ("DELETE", "/api/v1/sessions"),
    ("DELETE", "/api/v1/sessions/current"),
    ("POST", "/api/v1/profile/password"),
];

#[tokio::test]
async fn the_status_tells_a_stranger_five_things_and_nothing_more() {
    let machine = Machine::new().await;
    let answer = machine.stranger().get("/api/v1/cloudron/status").await;
    assert_eq!(answer.status, 200);
    let keys: Vec<String> = answer.json::<serde_json::Map<String, Value>>().keys().cloned().collect();
    assert_eq!(keys, ["activated", "adminFqdn", "fqdn", "provider", "version"]);
    let status: Status = answer.json();
    assert_eq!((status.activated, status.admin_fqdn.as_str()), (false, "my.demo.localhost"));
    machine.activate().await;
    assert!(machine.stranger().get("/api/v1/cloudron/status").await.json::<Status>().activated);
}

#[tokio::test]
async fn every_other_route_needs_a_token_that_is_valid() {
    let machine = Machine::new().await;
    let wrong = machine.stranger().with(&cloudron_core::Secret::new("0".repeat(40)));
    let setup = machine.stranger().with(machine.installed.setup_token.as_ref().unwrap());
    for (method, path) in NEED_A_TOKEN {
        for client in [&machine.stranger(), &wrong, &setup] {
            let answer = client.ask(method, path, None, &[]).await;
            assert_eq!(answer.error(), (401, "token-invalid".into()), "{method} {path}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
        let in_address = format!("{path}?access_token=x");
        assert_eq!(machine.stranger().ask(method, &in_address, None, &[]).await.status, 401);
    }
}

#[tokio::test]
async fn a_token_made_on_the_machine_works_before_the_setup_and_expires() {
    let machine = Machine::new().await;
    let admin = machine.admin();
    let config: Config = admin.get("/api/v1/cloudron/config").await.json();
    assert_eq!((config.fqdn.as_str(), config.update, config.retired), ("demo.localhost", None, false));
    assert_eq!(
        admin.get("/api/v1/cloudron/progress").await.json::<ProgressReport>(),
        ProgressReport::default()
    );
    machine.clock.forward(std::time::Duration::from_secs(3601));
    assert_eq!(admin.get("/api/v1/cloudron/config").await.status, 401);
}

#[tokio::test]
async fn what_is_not_there_or_malformed_is_said_in_the_same_form() {
    let machine = Machine::new().await;
    let admin = machine.admin();
    for (method, path, status, code) in [
        ("GET", "/api/v1/nothing", 404, "no-such-object"),
        ("GET", "/api/v1/jobs/unknown", 404, "no-such-object"),
        ("DELETE", "/api/v1/cloudron/status", 405, "method-not-allowed"),
        ("GET", "/api/v1/cloudron/retire", 405, "method-not-allowed"),
        ("POST", "/api/v1/cloudron/update", 412, "no-update"),
        ("GET", "/api/v1/eventlog?page=0", 400, "bad-request"),
        ("GET", "/api/v1/eventlog?page=x", 400, "bad-request"),
        ("GET", "/api/v1/eventlog?per_page=1001", 400, "bad-request"),
        ("GET", "/api/v1/eventlog?since=yesterday", 400, "bad-request"),
        ("GET", "/api/v1/backups?per_page=0", 400, "bad-request"),
        ("GET", "/api/v1/backups", 503, "repository-missing"),
        ("GET", "/api/v1/cloudron/logs?lines=10001", 400, "bad-request"),
        ("POST", "/api/v1/backups/..%2F..%2Fetc%2Fpasswd/download_url", 400, "backup-id-invalid"),
    ] {
        let answer = admin.ask(method, path, None, &[]).await;
        assert_eq!(answer.error(), (status, code.into()), "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused() {
    let machine = Machine::new().await;
    let stranger = machine.stranger();
    let login = "/api/v1/cloudron/activate";
    for (body, kind, status, code) in [
        ("x".repeat(64 * 1024 + 1), "application/json", 413, "body-too-large"),
        ("{\"email\": canary".into(), "application/json", 400, "bad-request"),
        ("{}".into(), "application/json", 400, "bad-request"),
        ("{}".into(), "text/plain", 400, "bad-request"),
    ] {
        let answer = stranger.ask("POST", login, Some(body), &[("content-type", kind)]).await;
        assert_eq!(answer.error(), (status, code.into()));
        assert!(!answer.text().contains("canary"));
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_browsers_careful() {
    let machine = Machine::new().await;
    for path in ["/", "/api/v1/cloudron/status", "/nothing"] {
        let answer = machine.stranger().get(path).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert!(
            answer.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'")
        );
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
    let page = machine.stranger().get("/").await;
    assert!(page.text().contains("<form") && page.text().contains("location.hash"));
}

#[tokio::test]
async fn a_retired_server_answers_and_changes_nothing_until_that_is_taken_back() {
    let mut machine = Machine::new().await;
    let owner = machine.activate().await;
    let refused = owner.post("/api/v1/cloudron/retire", json!({})).await;
    assert_eq!(refused.error(), (403, "machine-only".into()), "a login is not enough");
    let on_the_machine = machine.admin();
    assert_eq!(on_the_machine.post("/api/v1/cloudron/retire", json!({})).await.status, 202);
    assert_eq!(on_the_machine.post("/api/v1/cloudron/retire", json!({})).await.status, 202);
    for path in ["/api/v1/backups", "/api/v1/cloudron/update"] {
        assert_eq!(on_the_machine.post(path, json!({})).await.error(), (409, "machine-retired".into()));
    }
    assert_eq!(owner.get("/api/v1/cloudron/config").await.status, 401, "its sessions end");
    machine.stop().await;
    machine.start().await;
    let on_the_machine = machine.admin();
    assert!(on_the_machine.get("/api/v1/cloudron/config").await.json::<Config>().retired);
    let events = on_the_machine.get("/api/v1/eventlog?action=cloudron.retire").await;
    assert_eq!(events.json::<crate::api::EventPage>().total, 1);

    // On the machine, while the server runs.
    assert!(crate::admin::retire(&machine.layout, false).unwrap());
    assert!(!crate::admin::retire(&machine.layout, false).unwrap());
    assert!(!on_the_machine.get("/api/v1/cloudron/config").await.json::<Config>().retired);
    let update = on_the_machine.post("/api/v1/cloudron/update", json!({})).await;
    assert_eq!(update.error(), (412, "no-update".into()));
}

#[tokio::test]
async fn an_address_that_is_no_text_is_refused_in_the_same_form() {
    let machine = Machine::new().await;
    for (method, path) in
        [("GET", "/api/v1/jobs/%ff"), ("DELETE", "/api/v1/sessions/%ff"), ("GET", "/api/v1/download/%ff/")]
    {
        let answer = machine.admin().ask(method, path, None, &[]).await;
        assert_eq!(answer.error(), (400, "bad-request".into()), "{path}");
    }
}

#[tokio::test]
async fn the_head_of_a_request_has_32_kib() {
    let machine = Machine::new().await;
    let status = async |size: usize| {
        let value = "x".repeat(size);
        machine.stranger().ask("GET", "/", None, &[("x-long", &value)]).await.status.as_u16()
    };
    assert_eq!(status(31 * 1024).await, 200);
    assert_eq!(status(33 * 1024).await, 431);
}

#[tokio::test]
async fn a_server_that_is_a_process_of_a_person_does_not_restart_their_computer() {
    let machine = Machine::new().await;
    let answer = machine.admin().post("/api/v1/cloudron/reboot", serde_json::json!({})).await;
    assert_eq!(answer.error(), (409, "no-helper".into()));
    let events: crate::api::EventPage =
        machine.admin().get("/api/v1/eventlog?action=helper.reboot").await.json();
    assert_eq!(events.total, 0);
}
