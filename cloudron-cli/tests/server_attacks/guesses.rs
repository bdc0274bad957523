//! Attackers who guess passwords, and an owner who must still be able to log in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::client::{HOME, Server, stranger};
use super::{DEMO, EMAIL, PASSWORD, owned, runtime};
use crate::common::Home;

/// Returns the token in a setup link.
fn token(link: &str) -> &str {
    link.split("#setup=").nth(1).unwrap().trim()
}

#[test]
fn who_has_the_setup_token_gets_in_while_others_guess() {
    let home = Home::new();
    assert_eq!(home.create(DEMO, &[]).code, 0);
    let server = Server::of(&home.root(DEMO));
    let link = home.ok(&["machine", "setup-link", DEMO]);
    runtime().block_on(async {
        let mut seen = Vec::new();
        for n in 0..60 {
            // Also from the owner's own address.
            let from = if n % 2 == 0 { HOME } else { stranger(n) };
            seen.push(server.activate(from, &"a".repeat(32), "x@evil.example", PASSWORD).await.status);
        }
        assert!(seen.contains(&429) && seen.iter().all(|s| [403, 429].contains(s)), "{seen:?}");
        assert_eq!(server.activate(HOME, token(&link), EMAIL, PASSWORD).await.status, 201);
    });
}

#[test]
fn strangers_cannot_have_a_machine_undone_while_it_is_made() {
    let home = Home::new();
    std::fs::write(home.path("password"), PASSWORD).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let attack = {
        let (over, root) = (over.clone(), home.root(DEMO));
        std::thread::spawn(move || {
            let mut tries = 0;
            while !over.load(Ordering::SeqCst) {
                if !root.join("run/listen.json").exists() {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                let server = Server::of(&root);
                runtime().block_on(async {
                    while !over.load(Ordering::SeqCst) {
                        let body = serde_json::json!({"email": "x@evil.example", "password": PASSWORD});
                        let path = ("POST", "/api/v1/cloudron/activate");
                        let wrong = "b".repeat(32);
                        tries += u32::from(server.ask(HOME, path, Some(&wrong), Some(body)).await.is_ok());
                    }
                });
            }
            tries
        })
    };
    let owner = ["--admin-email", EMAIL, "--admin-password", "file:password"];
    let run = home.create(DEMO, &owner);
    over.store(true, Ordering::SeqCst);
    assert!(attack.join().unwrap() > 0, "nothing was tried");
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    assert_eq!(home.json(&["machine", "status", DEMO])["machines"][0]["status"]["activated"], true);
}

#[test]
fn the_owner_logs_in_while_strangers_guess_from_everywhere() {
    let (_home, server) = owned();
    let over = Arc::new(AtomicBool::new(false));
    runtime().block_on(async {
        let attackers: Vec<_> = (0..8)
            .map(|k| {
                let (server, over) = (server.clone(), over.clone());
                tokio::spawn(async move {
                    let mut statuses = Vec::new();
                    for n in (0..60_000).step_by(8).map(|n| n + k) {
                        if over.load(Ordering::SeqCst) {
                            break;
                        }
                        statuses.push(server.log_in(stranger(n), EMAIL, "a wrong password").await.status);
                    }
                    statuses
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(2)).await;
        for _ in 0..5 {
            let begun = Instant::now();
            let answer = server.log_in(HOME, EMAIL, PASSWORD).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        over.store(true, Ordering::SeqCst);
        let mut all = Vec::new();
        for attacker in attackers {
            all.extend(attacker.await.unwrap());
        }
        assert!(all.contains(&401) && all.iter().all(|s| [401, 429, 503].contains(s)), "{all:?}");
    });
}

#[test]
fn refused_tries_do_not_make_the_owner_wait_longer() {
    let (_home, server) = owned();
    runtime().block_on(async {
        let from = stranger(7);
        let wait = loop {
            let answer = server.log_in(from, EMAIL, "a wrong password").await;
            if let Some(wait) = answer.retry_after {
                assert_eq!(answer.code(), (429, "too-many-tries"));
                break wait;
            }
        };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(wait) {
            server.log_in(from, EMAIL, "a wrong password").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            if begun.elapsed() + Duration::from_millis(150) > Duration::from_secs(wait) {
                break;
            }
        }
        tokio::time::sleep(Duration::from_secs(wait + 1).saturating_sub(begun.elapsed())).await;
        assert_eq!(server.log_in(from, EMAIL, PASSWORD).await.status, 200);
    });
}
