//! `cloudron backup key`

use std::path::PathBuf;

use clap::Subcommand;
use cloudron_backup::keys::GENERATED_WORK_FACTOR;
use cloudron_backup::keys::Unlock;
use cloudron_backup::{KeyInfo, KeyKind};
use cloudron_core::{Error, Result};
use serde_json::json;

use super::place::{Owned, Place};
use crate::codes;
use crate::commands::machine::generate_backup_key;
use crate::output::{Output, Table};
use crate::runtime::block_on;
use crate::secrets;
use crate::state::private_file;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the keys that open the repository; needs none
    List(List),
    /// Add a second backup key
    Add(Add),
    /// Make a key to keep on paper, or add the public half of one
    Paper(Paper),
    /// Replace the backup key; the backups stay as they are
    Change(Change),
    /// Remove a key, of which another one must be at hand
    Remove(Remove),
    /// Write the keys that another machine needs to make backups
    Writer(Writer),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron backup key list --store /mnt/disk/backups")]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron backup key add partner --store /mnt/disk/backups --new-key cmd:'pass show partner'

Without --new-key one is generated and shown once.")]
pub(crate) struct Add {
    /// What to call it
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    owned: Owned,
    /// The new backup key
    #[arg(long, value_name = "SECRET")]
    new_key: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron backup key paper vault --store /mnt/disk/backups
  cloudron backup key paper vault --store /mnt/disk/backups --recipient age1…

The secret half is printed once, on stdout, and kept nowhere: write it down and lock it away. Wherever a backup key is
asked for, it opens the repository too.")]
pub(crate) struct Paper {
    /// What to call it
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    owned: Owned,
    /// The public half of an age X25519 identity that you have
    #[arg(long, value_name = "age1…")]
    recipient: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron backup key change --store /mnt/disk/backups --backup-key file:old --new-key file:new

Whoever copied the store and knows the old key can still read that copy.")]
pub(crate) struct Change {
    #[command(flatten)]
    owned: Owned,
    /// The new backup key; without it one is generated and shown once
    #[arg(long, value_name = "SECRET")]
    new_key: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron backup key remove partner --store /mnt/disk/backups

The backup key that is given must be another one, so that the last key is never removed.")]
pub(crate) struct Remove {
    /// The key's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    owned: Owned,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron backup key writer --store s3://bucket/home -o writer-keys.json

Backups cannot be read with these keys; whoever has them can add backups, and tell whether a known content is
stored. The file has mode 0600.")]
pub(crate) struct Writer {
    #[command(flatten)]
    owned: Owned,
    /// The file to write, which must not exist
    #[arg(short, long, value_name = "FILE")]
    out_file: PathBuf,
}

impl Command {
    pub(crate) fn run(self, out: &Output) -> Result<()> {
        match self {
            Self::List(options) => list(&options, out),
            Self::Add(options) => add(&options, out),
            Self::Paper(options) => paper(&options, out),
            Self::Change(options) => change(&options, out),
            Self::Remove(options) => remove(&options, out),
            Self::Writer(options) => writer(&options, out),
        }
    }
}

fn list(options: &List, out: &Output) -> Result<()> {
    let keys = block_on(|_| async { options.place.open().await?.keys().await })?;
    out.data("keys", &keys, || {
        let mut table = Table::new(["Name", "Kind", "Made"]);
        for key in &keys {
            let made = key.created.map_or_else(|| "-".into(), |t| t.strftime("%Y-%m-%d").to_string());
            table.row([key.name.clone(), kind(key.kind).into(), made]);
        }
        table.render()
    })
}

fn kind(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::BackupKey => "backup key",
        KeyKind::Paper => "paper key",
        _ => "DAMAGED",
    }
}

fn add(options: &Add, out: &Output) -> Result<()> {
    secrets::one_stdin(&[options.owned.key.backup_key.as_ref(), options.new_key.as_ref()])?;
    let added = block_on(|_| async {
        let (repository, identity) = options.owned.unlock(out).await?;
        let (new, work_factor) = new_key(options.new_key.as_deref(), out)?;
        repository.add_backup_key(&identity, &options.name, &new, work_factor).await
    })?;
    show(&added, "opens the repository now", out)
}

fn paper(options: &Paper, out: &Output) -> Result<()> {
    let made = block_on(|_| async {
        let (repository, identity) = options.owned.unlock(out).await?;
        repository.add_paper_key(&identity, &options.name, options.recipient.as_deref()).await
    })?;
    let Some(secret) = &made.secret else { return show(&made.info, "opens the repository now", out) };
    out.say("Write this down and lock it away. It is shown once, and opens every backup of the repository:");
    out.data("key", &json!({ "name": made.info.name, "secret": secret.expose() }), || secret.expose().into())
}

fn change(options: &Change, out: &Output) -> Result<()> {
    secrets::one_stdin(&[options.owned.key.backup_key.as_ref(), options.new_key.as_ref()])?;
    let changed = block_on(|_| async {
        let repository = options.owned.place.open().await?;
        let old = options.owned.key.read(out)?;
        // A wrong key is noticed before a new one is shown.
        repository.unlock(&old).await?;
        let (new, work_factor) = new_key(options.new_key.as_deref(), out)?;
        repository.change_backup_key(&old, &new, work_factor).await
    })?;
    show(&changed, "has a new backup key; the old one opens the repository no more", out)
}

fn remove(options: &Remove, out: &Output) -> Result<()> {
    let question = format!("Remove the key {}? Whoever holds it reads no backup any more.", options.name);
    if !out.confirm(&question)? {
        return Err(Error::new(&cloudron_core::codes::INTERRUPTED, "nothing was removed"));
    }
    block_on(|_| async {
        let repository = options.owned.place.open().await?;
        repository.remove_key(&options.name, &Unlock::new(&options.owned.key.read(out)?)).await
    })?;
    out.data("removed", &options.name, || format!("{} is removed.", options.name))
}

/// The new key, and the work factor for one that was generated here.
fn new_key(option: Option<&str>, out: &Output) -> Result<(cloudron_core::Secret, Option<u8>)> {
    match option {
        Some(reference) => Ok((secrets::resolve(reference, "--new-key", out)?, None)),
        None => Ok((generate_backup_key(out), Some(GENERATED_WORK_FACTOR))),
    }
}

fn show(key: &KeyInfo, what: &str, out: &Output) -> Result<()> {
    out.data("key", key, || format!("{} {what}.", key.name))
}

fn writer(options: &Writer, out: &Output) -> Result<()> {
    let (_, identity) = block_on(|_| options.owned.unlock(out))?;
    let text = serde_json::to_vec(&identity.writer_keys())
        .map_err(|_| Error::new(&codes::WRITER_KEYS, "the keys cannot be written as JSON"))?;
    private_file(&options.out_file, &text)?;
    out.data("file", &options.out_file, || options.out_file.display().to_string())
}
