#![allow(clippy::print_stderr, reason = "a program prints")]
//! Backs up a folder: `backup_folder STORE FOLDER [CACHE]`, with the backup key in a file named by
//! CLOUDRON_BACKUP_KEY_FILE. The first run creates the repository. For a generated key,
//! CLOUDRON_WORK_FACTOR=15 makes unlocking fast.

use cloudron_backup::{BackupRequest, InitOptions, Repository, Result, Source, codes, open_store};
use cloudron_core::{BackupId, Cancel, Progress, SecretRef, Version};

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, folder, cache @ ..] = &args[..] else { panic!("usage: backup_folder STORE FOLDER [CACHE]") };
    let key =
        std::env::var("CLOUDRON_BACKUP_KEY_FILE").expect("CLOUDRON_BACKUP_KEY_FILE names the key's file");
    let key = SecretRef::parse(&format!("file:{key}")).resolve(&mut std::io::stdin().lock())?;
    let work_factor = std::env::var("CLOUDRON_WORK_FACTOR").ok().and_then(|factor| factor.parse().ok());
    let store = open_store(url)?;
    let (repository, identity) = match Repository::open(store.clone()).await {
        Err(e) if e.is(&codes::REPOSITORY_MISSING) => {
            Repository::init(store, &key, InitOptions { work_factor }).await?
        }
        opened => {
            let repository = opened?;
            let identity = repository.unlock(&key).await?;
            (repository, identity)
        }
    };
    let id = BackupId::new(std::time::SystemTime::now(), &Version::current());
    let mut request = BackupRequest::new(id, vec![Source::new("folder", folder)]);
    request.cache_dir = cache.first().map(Into::into);
    let keys = identity.writer_keys(); // a server would hold these, and not the key
    let made = repository.backup(&keys, request, &Progress::none(), &Cancel::new()).await?;
    eprintln!("{}: {} files, {} bytes, {} stored", made.id, made.files, made.bytes, made.added_bytes);
    Ok(())
}
