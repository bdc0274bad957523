//! Secrets do not leak.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::machine::{EMAIL, Machine, PASSWORD, back_up};
use crate::api::DownloadUrl;

/// Returns every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn holds(path: &Path, secret: &str) -> bool {
    let content = std::fs::read(path).unwrap_or_default();
    content.windows(secret.len()).any(|w| w == secret.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_tokens_and_keys_are_in_no_file_but_those_meant_for_them() {
    let mut machine = Machine::with_repository(Vec::new()).await;
    let owner = machine.activate().await;
    let wrong = "canary-wrong-password";
    let login = json!({"username": EMAIL, "password": wrong});
    let refused = machine.stranger().post("/api/v1/developer/login", login).await;
    assert!(!refused.text().contains("canary"));
    let admin = machine.admin();
    back_up(&admin).await;
    let download: DownloadUrl = admin.post("/api/v1/backups/latest/download_url", json!({})).await.json();
    let download = download.url.expose().trim_end_matches('/').rsplit('/').next().unwrap().to_owned();
    machine.stranger().get(&format!("/api/v1/download/{download}/?list=")).await;
    let config = admin.get("/api/v1/cloudron/config").await.text();
    let keys = machine.identity.writer_keys();
    let own = [keys.index_identity.expose(), keys.chunk_key.expose(), keys.signing_seed.expose()];
    let never = [
        PASSWORD,
        wrong,
        machine.installed.setup_token.as_ref().unwrap().expose(),
        owner.token.as_ref().unwrap().expose(),
        admin.token.as_ref().unwrap().expose(),
        &download,
        machine.identity.to_secret().expose(),
        "canary backup key",
    ]
    .map(str::to_owned);
    machine.stop().await;
    let written = files(machine.home.path());
    assert!(written.iter().any(|p| p == &machine.layout.log()) && written.len() > 12);
    for path in &written {
        for secret in &never {
            assert!(!holds(path, secret), "{} holds {secret:.8}…", path.display());
        }
        for secret in own {
            let meant = path == &machine.layout.writer_keys();
            assert_eq!(holds(path, secret), meant, "{}", path.display());
            assert!(!config.contains(secret));
        }
    }
    let log = std::fs::read_to_string(machine.layout.log()).unwrap();
    assert!(log.contains("A login failed") && !log.contains("PRIVATE KEY"));
}
