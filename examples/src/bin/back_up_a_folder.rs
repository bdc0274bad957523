//! Backs up and restores. Run: `cargo run -p cloudron-examples --bin back_up_a_folder FOLDER STORE TARGET KEY-FILE`

use cloudron_backup::{BackupRequest, InitOptions, Repository, RestoreRequest, Source, open_store};
use cloudron_core::{BackupId, Cancel, Error, Progress, Result, SecretRef, Version, codes};

#[tokio::main]
async fn main() -> Result<()> {
    let [folder, store, target, key_file] = arguments()?;
    let (progress, cancel) = (Progress::none(), Cancel::new());

    // The key opens the repository. It is read from a file, so that it appears in no argument list and no log.
    let backup_key = SecretRef::parse(&format!("file:{key_file}")).resolve(&mut std::io::empty())?;
    let (repository, identity) =
        Repository::init(open_store(&store)?, &backup_key, InitOptions::default()).await?;

    // Files are processed as one stream of small chunks: memory use does not grow with the folder.
    let id = BackupId::new(std::time::SystemTime::now(), &Version::current());
    let request = BackupRequest::new(id.clone(), vec![Source::new("folder", &folder)]);
    repository.backup(&identity.writer_keys(), request, &progress, &cancel).await?;
    for backup in repository.snapshots().await?.summaries {
        println!("{}: {} files, {} bytes", backup.id, backup.files, backup.bytes);
    }

    // Restore it elsewhere, then read back what was written and compare.
    let request = RestoreRequest::under(&target);
    let restored = repository.restore(&identity, &id, &request, &progress, &cancel).await?.complete()?;
    let compared = repository.compare(&identity, &id, &request, &progress, &cancel).await?.identical()?;
    println!("restored {} files to {target}: {} entries are identical", restored.files, compared.entries);
    Ok(())
}

fn arguments() -> Result<[String; 4]> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    given.try_into().map_err(|_| Error::new(&codes::USAGE, "give FOLDER STORE TARGET KEY-FILE"))
}
