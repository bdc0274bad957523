//! An attacker with a stolen session token, and an owner who ends the session.

use serde_json::json;

use super::client::{HOME, stranger};
use super::{DEMO, EMAIL, PASSWORD, owned, runtime};

const NEW: &str = "canary owner password 2";

#[test]
fn a_stolen_session_retires_nothing_and_ends() {
    let (home, server) = owned();
    runtime().block_on(async {
        let stolen =
            server.log_in(stranger(1), EMAIL, PASSWORD).await.body["token"].as_str().unwrap().to_owned();
        let ask =
            async |method, path| server.ask(stranger(1), (method, path), Some(&stolen), None).await.unwrap();
        assert_eq!(ask("POST", "/api/v1/cloudron/retire").await.code(), (403, "machine-only"));
        home.ok(&["machine", "backup", "create", DEMO]);
        assert_eq!(ask("GET", "/api/v1/cloudron/config").await.status, 200);

        let listed = home.json(&["machine", "sessions", DEMO]);
        let theirs = listed["sessions"].as_array().unwrap().iter();
        let theirs: Vec<_> = theirs.filter(|s| s["address"] == stranger(1).to_string().as_str()).collect();
        assert_eq!(theirs.len(), 1, "{listed}");
        let id = theirs[0]["id"].as_str().unwrap();
        home.ok(&["machine", "sessions", DEMO, "--revoke", id]);
        assert_eq!(ask("GET", "/api/v1/cloudron/config").await.code(), (401, "token-invalid"));
        home.run(&["machine", "sessions", DEMO, "--revoke", id]).failed(3, "session-unknown", id);
    });
}

#[test]
fn a_forgotten_password_is_reset_and_all_sessions_end() {
    let (home, server) = owned();
    std::fs::write(home.path("new"), NEW).unwrap();
    runtime().block_on(async {
        let token = server.log_in(HOME, EMAIL, PASSWORD).await.body["token"].as_str().unwrap().to_owned();
        let reset = home.ok(&["machine", "reset-password", DEMO, "--password", "file:new"]);
        assert!(reset.contains(EMAIL), "{reset}");
        let config = ("GET", "/api/v1/cloudron/config");
        assert_eq!(server.ask(HOME, config, Some(&token), None).await.unwrap().status, 401);
        assert_eq!(server.log_in(HOME, EMAIL, PASSWORD).await.status, 401);
        assert_eq!(server.log_in(HOME, EMAIL, NEW).await.status, 200);
        std::fs::write(home.path("short"), "short").unwrap();
        home.run(&["machine", "reset-password", DEMO, "--password", "file:short"]).failed(
            2,
            "bad-request",
            "10",
        );
        let all = home.ok(&["machine", "sessions", DEMO, "--all"]);
        assert!(all.contains("1 session ended"), "{all}");
        let none = home.ok(&["machine", "sessions", DEMO]);
        assert!(none.contains("Nobody"), "{none}");
    });
}

#[test]
fn a_machine_is_retired_on_the_machine_and_that_is_taken_back() {
    let (home, server) = owned();
    home.run(&["machine", "retire", DEMO]).failed(2, "needs-answer", "--yes");
    home.ok(&["machine", "retire", DEMO, "--yes"]);
    home.run(&["machine", "backup", "create", DEMO]).failed(5, "machine-retired", "");
    assert!(home.ok(&["machine", "status", DEMO]).contains("retired"));
    home.ok(&["machine", "unretire", DEMO]);
    home.ok(&["machine", "backup", "create", DEMO]);
    runtime().block_on(async {
        let token = server.log_in(HOME, EMAIL, PASSWORD).await.body["token"].as_str().unwrap().to_owned();
        let body = json!({"password": PASSWORD, "newPassword": NEW});
        let path = ("POST", "/api/v1/profile/password");
        assert_eq!(server.ask(HOME, path, Some(&token), Some(body)).await.unwrap().status, 200);
        assert_eq!(server.log_in(HOME, EMAIL, NEW).await.status, 200);
    });
}
