//! `cloudron machine backup list`

use std::time::SystemTime;

use cloudron_api::BackupEntry;
use cloudron_backup::{Repository, UnreadableSummary, open_store, open_store_with};
use cloudron_core::Result;
use cloudron_machine::Found;
use cloudron_machine::backups::{ListedBackup, entries};
use cloudron_machine::clouds::Provider;

use super::super::Which;
use crate::codes;
use crate::commands::cloud::account::{Account, provider};
use crate::commands::machine::create::Bucket;
use crate::machines;
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// Read the list from this store; without a value, from the one a local machine uses
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "", conflicts_with = "backup_bucket")]
    store: Option<String>,
    /// The cloud that has the bucket of --backup-bucket, which is read without the server
    #[arg(long, value_name = "CLOUD", value_parser = provider(), requires = "backup_bucket")]
    provider: Option<Provider>,
    #[command(flatten)]
    bucket: Bucket,
    #[command(flatten)]
    account: Account,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let (domain, place) = (options.which.domain()?, &options.account.place);
    let amazon = options.provider.is_none_or(Provider::is_amazon);
    let backups = match (options.bucket.store(&domain, place, amazon, out)?, &options.store) {
        (Some((url, owner)), _) => interruptible(async {
            read(&Repository::open(open_store_with(&url, &owner)?).await?, out).await
        })?,
        (None, store) => {
            options.account.unused()?;
            match store {
                Some(store) => interruptible(from_store(options, store, out))?,
                None => interruptible(from_server(options, out))?,
            }
        }
    };
    let rows: Vec<ListedBackup> = backups.into_iter().map(ListedBackup::from).collect();
    out.data("backups", &rows, || match rows.is_empty() {
        true => "No backups have been made.".into(),
        false => ListedBackup::table(&rows, SystemTime::now()).render(),
    })
}

/// The server's list, newest first.
async fn from_server(options: &Options, out: &Output) -> Result<Vec<BackupEntry>> {
    let machine = match options.which.readable()? {
        Found::Machine(machine) => machine,
        Found::Kept(kept) => return read(&machines::manager(out)?.kept_repository(&kept).await?, out).await,
    };
    machines::client(&machine, out).await?.backups().await.map_err(|e| {
        match e.is(&codes::SERVER_REFUSED) && e.hint().is_none() {
            true => e.with_hint("`--store URL` reads the list from the store, without the server"),
            false => e,
        }
    })
}

/// The list that the store itself gives, newest first.
async fn from_store(options: &Options, store: &str, out: &Output) -> Result<Vec<BackupEntry>> {
    let url = match store {
        "" => machines::manager(out)?.local_store(&options.which.domain()?)?,
        url => url.to_owned(),
    };
    read(&Repository::open(open_store(&url)?).await?, out).await
}

async fn read(repository: &Repository, out: &Output) -> Result<Vec<BackupEntry>> {
    let (entries, unreadable) = entries(repository).await?;
    for UnreadableSummary { object, error } in unreadable {
        out.warn(&format!("{object}: {error}"));
    }
    Ok(entries)
}
