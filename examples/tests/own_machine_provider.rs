//! The custom provider of machines passes every check of the conformance kit.

#![allow(missing_docs, dead_code)]

#[path = "../src/bin/own_machine_provider.rs"]
mod own;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use cloudron_provision::CloudProvider;
use cloudron_provision::conformance::{Ground, check};
use cloudron_testkit::sshd::Sshd;
use own::Shelf;
use tempfile::TempDir;

/// A shelf with one server.
struct Room {
    server: Sshd,
    shelf: TempDir,
}

impl Room {
    fn new() -> Option<Self> {
        let server = Sshd::start()?;
        let shelf = tempfile::tempdir().unwrap();
        let line = format!("127.0.0.1 {} {} {}", server.port(), server.user(), server.host_public_key());
        fs::create_dir(shelf.path().join("free")).unwrap();
        fs::create_dir(shelf.path().join("taken")).unwrap();
        fs::write(shelf.path().join("free/one"), line).unwrap();
        Some(Self { server, shelf })
    }

    fn key(&self) -> String {
        self.server.key_path().display().to_string()
    }
}

#[async_trait]
impl Ground for Room {
    fn provider(&self) -> Arc<dyn CloudProvider> {
        Arc::new(Shelf::new(self.shelf.path(), self.key()))
    }

    async fn existing(&self) -> Vec<String> {
        let list = |folder: &Path| fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        let taken: Vec<_> = list(&self.shelf.path().join("taken"));
        taken.into_iter().map(|name| name.into_string().unwrap()).collect()
    }
}

#[tokio::test]
async fn it_passes_the_conformance_kit() {
    let Some(room) = Room::new() else { return };
    let runs = tempfile::tempdir().unwrap();
    let report = check(&room, runs.path()).await;
    assert_eq!(report.failed, [""; 0]);
    assert!(report.passed.len() > 5);
}

#[test]
fn it_takes_a_server_and_puts_it_back() {
    let Some(room) = Room::new() else { return };
    let mut program = Command::new(env!("CARGO_BIN_EXE_own_machine_provider"));
    let output = program.arg(room.shelf.path()).arg(room.key()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.starts_with("took 127.0.0.1 ") && printed.ends_with("and put it back\n"), "{printed}");
    assert!(room.shelf.path().join("free/one").exists());
}
