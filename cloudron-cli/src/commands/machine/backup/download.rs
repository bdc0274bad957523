//! `cloudron machine backup download`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloudron_backup::{BackupStore, FsStore, Repository, SnapshotFilter, open_store};
use cloudron_core::{Cancel, Result, Secret};
use cloudron_machine::Found;
use cloudron_machine::client::HttpStore;
use cloudron_machine::state_dir::private_dir;

use super::super::Which;
use crate::commands::backup::copy::all_copied;
use crate::commands::backup::export::{To, show};
use crate::commands::backup::{find, open_repository};
use crate::machines;
use crate::output::{Output, bytes};
use crate::runtime::block_on;
use crate::secrets;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// The backup's id, or latest
    #[arg(default_value = "latest", value_name = "ID")]
    id: String,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    to: To,
    /// Copy the whole repository to this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["decrypt", "recipient", "file"])]
    repository: Option<PathBuf>,
    /// The backup key
    #[arg(long, value_name = "SECRET")]
    backup_key: Option<String>,
}

/// Where the backups are read.
#[derive(Debug, clap::Args)]
pub(crate) struct Source {
    /// Read this store rather than ask the server
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

/// Opens the repository of a machine: through its server, directly from a store, or where a destroyed machine
/// left it.
pub(super) async fn open(which: &Which, source: &Source, out: &Output) -> Result<Repository> {
    if let Some(url) = &source.store {
        // The copy may be older than the machine's own repository, so no cache is used.
        return Repository::open(open_store(url)?).await;
    }
    let machine = match which.readable()? {
        Found::Machine(machine) => machine,
        Found::Kept(kept) => return machines::manager(out)?.kept_repository(&kept).await,
    };
    let client = machines::client(&machine, out).await?;
    let store: Arc<dyn BackupStore> = Arc::new(HttpStore::new(client));
    open_repository(store).await
}

pub(crate) fn run(options: Options, out: &Output) -> Result<()> {
    match &options.repository {
        Some(folder) => block_on(|cancel| copy(&options, folder, out, cancel)),
        None => {
            let key = secrets::backup_key(options.backup_key.as_deref(), out)?;
            block_on(|cancel| write(&options, &key, out, cancel))
        }
    }
}

/// Copies every object that the folder does not have yet.
async fn copy(options: &Options, folder: &Path, out: &Output, cancel: Cancel) -> Result<()> {
    let repository = open(&options.which, &options.source, out).await?;
    private_dir(folder)?;
    let to = Arc::new(FsStore::new(folder)?);
    let report = repository.copy_to(to, &out.progress(), &cancel).await?;
    if options.source.store.is_none() {
        machines::manager(out)?.remember_copy(&options.which.domain()?, folder)?;
    }
    out.data("copy", &report, || {
        format!("{}: {} objects copied, {}", folder.display(), report.copied, bytes(report.bytes))
    })?;
    all_copied(&report, out)
}

/// Writes one backup to one file.
async fn write(options: &Options, key: &Secret, out: &Output, cancel: Cancel) -> Result<()> {
    let repository = open(&options.which, &options.source, out).await?;
    let identity = repository.unlock(key).await?;
    let id = find(&repository, &options.id, &SnapshotFilter::all(), out).await?.id;
    let report = options.to.write((&repository, &identity), &id, out, &cancel).await?;
    report.map_or(Ok(()), |report| show(&report, out))
}
