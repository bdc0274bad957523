#![allow(clippy::print_stderr, reason = "a program prints")]
//! Restores the newest backup below a folder and compares: `restore_folder STORE TARGET [--no-compare]`, with
//! the backup key in a file named by CLOUDRON_BACKUP_KEY_FILE.

use cloudron_backup::{Repository, RestoreRequest, Result, open_store};
use cloudron_core::{Cancel, Progress, SecretRef};

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, target, rest @ ..] = &args[..] else {
        panic!("usage: restore_folder STORE TARGET [--no-compare]")
    };
    let key =
        std::env::var("CLOUDRON_BACKUP_KEY_FILE").expect("CLOUDRON_BACKUP_KEY_FILE names the key's file");
    let key = SecretRef::parse(&format!("file:{key}")).resolve(&mut std::io::stdin().lock())?;
    let repository = Repository::open(open_store(url)?).await?;
    let identity = repository.unlock(&key).await?;
    let id = repository.find("latest").await?.id;
    let request = RestoreRequest::under(target);
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let report = repository.restore(&identity, &id, &request, &progress, &cancel).await?.complete()?;
    eprintln!("{id}: {} files, {} bytes", report.files, report.bytes);
    if rest.is_empty() {
        let compared = repository.compare(&identity, &id, &request, &progress, &cancel).await?.identical()?;
        eprintln!("{} entries compared, identical", compared.entries);
    }
    Ok(())
}
