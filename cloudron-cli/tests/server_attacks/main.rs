//! Effects of attackers, stolen tokens and broken disks on a server, tested with the program.

#[path = "../common/mod.rs"]
mod common;

mod client;
mod connections;
mod guesses;
mod memory;
mod root;
mod state;
mod thieves;

use client::Server;
use common::Home;

const DEMO: &str = "demo.localhost";
const EMAIL: &str = "owner@example.com";
const PASSWORD: &str = "canary owner password 1";

/// Returns a machine whose owner did the first-time setup from [`client::HOME`].
fn owned() -> (Home, Server) {
    let home = Home::new();
    std::fs::write(home.path("password"), PASSWORD).unwrap();
    let owner = ["--admin-email", EMAIL, "--admin-password", "file:password"];
    let run = home.create(DEMO, &owner);
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    let server = Server::of(&home.root(DEMO));
    (home, server)
}

/// Returns the process ID of the server.
fn pid(home: &Home) -> i32 {
    let out = home.ok(&["box", "status", "--root", home.root(DEMO).to_str().unwrap()]);
    let status: serde_json::Value = serde_json::from_str(&out).unwrap();
    i32::try_from(status["pid"].as_i64().unwrap()).unwrap()
}

/// Returns the number of rounds for the long form of a test, at most 40. The default is 1.
fn rounds() -> u32 {
    std::env::var("CLOUDRON_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1).min(40)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
