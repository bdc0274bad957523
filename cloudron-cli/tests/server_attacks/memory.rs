//! Limits of a server's memory under load from attackers and the owner.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{HOME, Server, stranger, text};
use super::connections::many_stalled;
use super::{EMAIL, PASSWORD, owned, pid, rounds, runtime};

/// Maximum memory of a server, in MB.
const MOST: u64 = 80;

/// Returns the peak memory of a process in MB, and how much of its present memory is mapped from the
/// program's file, which is many times larger in a build for tests (proc_pid_status(5)).
fn memory(pid: i32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1000
    };
    (of("VmHWM:"), of("RssFile:"))
}

/// Logs in from many clients in parallel: with the right password from home, and with wrong ones from
/// elsewhere.
async fn logins(server: &Server, count: u32) -> Vec<u16> {
    let tries = (0..count).map(|n| {
        let server = server.clone();
        tokio::spawn(async move {
            let (from, password) =
                if n % 2 == 0 { (HOME, PASSWORD) } else { (stranger(n), "a wrong password") };
            let body = serde_json::json!({"username": EMAIL, "password": password});
            let answer = server.ask(from, ("POST", "/api/v1/developer/login"), None, Some(body)).await;
            // With this many connections at a time, some may be refused.
            answer.map_or(0, |a| a.status)
        })
    });
    let mut statuses = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        statuses.push(one.await.unwrap());
    }
    statuses
}

/// Sends requests over persistent connections.
async fn requests(server: &Server, count: u32) {
    let each = count / 50;
    let clients = (0..50).map(|n| {
        let server = server.clone();
        tokio::spawn(async move {
            let mut stream = server.connect(stranger(n), None).await.unwrap();
            let request = text(("GET", "/api/v1/cloudron/status"), None, None, "keep-alive");
            let mut answer = [0; 4096];
            for _ in 0..each {
                stream.write_all(&request).await.unwrap();
                let read = stream.read(&mut answer).await.unwrap();
                assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

/// 1,000 logins, 512 stalled connections and 200,000 requests with `CLOUDRON_TEST_ROUNDS=40`; fewer otherwise.
#[test]
#[expect(clippy::print_stderr, reason = "the long form is read by a person")]
fn logins_stalled_connections_and_requests_take_little_memory() {
    let (home, server) = owned();
    let (pid, rounds) = (pid(&home), rounds());
    let begun = Instant::now();
    let report = |what: &str| {
        let (most, file) = memory(pid);
        eprintln!(
            "{what}: at most {most} MB, {file} MB of a file, after {:.0} s",
            begun.elapsed().as_secs_f64()
        );
        let counted = if cfg!(debug_assertions) { most - file } else { most };
        assert!(counted <= MOST, "{what}: {counted} MB");
    };
    runtime().block_on(async {
        report("fresh");
        requests(&server, 5_000 * rounds).await;
        report("after requests");
        let statuses = logins(&server, if rounds > 1 { 1_000 } else { 120 }).await;
        let count = |wanted: u16| statuses.iter().filter(|s| **s == wanted).count();
        let counted = [200, 401, 429, 503, 0].map(|s| (s, count(s)));
        assert_eq!(counted.iter().map(|(_, n)| n).sum::<usize>(), statuses.len(), "{statuses:?}");
        assert!(count(200) > 0);
        report(&format!("after logins {counted:?}"));
        let held = many_stalled(&server, 512, 500).await;
        report(&format!("with {} stalled connections", held.len()));
        let again = logins(&server, if rounds > 1 { 500 } else { 60 }).await;
        assert!(again.iter().all(|s| [200, 401, 429, 503, 0].contains(s)), "{again:?}");
        report("with logins besides");
    });
}
