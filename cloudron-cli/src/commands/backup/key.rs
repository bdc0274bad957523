//! `cloudron backup key`

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Subcommand;
use cloudron_backup::keys::GENERATED_WORK_FACTOR;
use cloudron_backup::keys::Unlock;
use cloudron_backup::{KeepOfRevoked, KeyInfo, WriterInfo, WriterLimits};
use cloudron_core::{Result, atomic};
use serde_json::json;

use super::place::{Owned, Place};
use crate::output::Output;
use crate::runtime::{block_on, interruptible};
use crate::secrets;

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
    /// List who may make backups
    Writers(List),
    /// Revoke the keys of a machine, for instance of one that was stolen
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
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
pub(crate) struct Change {
    #[command(flatten)]
    owned: Owned,
    /// The new backup key; without it one is generated and shown once
    #[arg(long, value_name = "SECRET")]
    new_key: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Remove {
    /// The key's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    owned: Owned,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Writer {
    #[command(flatten)]
    owned: Owned,
    /// The name of the writer
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Count only backups of the server of this domain
    #[arg(long, value_name = "DOMAIN", requires = "name")]
    domain: Option<String>,
    /// Count only backups of this host
    #[arg(long, value_name = "HOST", requires = "name")]
    host: Option<String>,
    /// Count only backups of this folder and what is below it (repeatable)
    #[arg(long, value_name = "PATH", requires = "name")]
    path: Vec<String>,
    /// The file to write, which must not exist
    #[arg(short, long, value_name = "FILE")]
    out_file: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("kept").required(true)))]
pub(crate) struct Revoke {
    /// The name or the id of the writer
    #[arg(value_name = "WRITER")]
    writer: String,
    #[command(flatten)]
    owned: Owned,
    /// Keep all of its backups that are in the list now
    #[arg(long, group = "kept")]
    keep_all: bool,
    /// Keep its backups that were stored before this time, by the store's clock
    #[arg(long, value_name = "TIME", group = "kept")]
    keep_before: Option<jiff::Timestamp>,
    /// Keep this backup (repeatable)
    #[arg(long, value_name = "ID", group = "kept")]
    keep: Vec<String>,
    /// Keep none of its backups
    #[arg(long, group = "kept")]
    keep_none: bool,
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
            Self::Writers(options) => writers(&options, out),
            Self::Revoke(options) => revoke(&options, out),
        }
    }
}

fn list(options: &List, out: &Output) -> Result<()> {
    let keys = interruptible(async { options.place.open().await?.keys().await })?;
    out.data("keys", &keys, || KeyInfo::table(&keys).render())
}

fn add(options: &Add, out: &Output) -> Result<()> {
    secrets::one_stdin(&[options.owned.key.backup_key.as_ref(), options.new_key.as_ref()])?;
    let added = interruptible(async {
        let (repository, identity) = options.owned.unlock(out).await?;
        let (new, work_factor) = new_key(options.new_key.as_deref(), out)?;
        repository.add_backup_key(&identity, &options.name, &new, work_factor).await
    })?;
    show(&added, "opens the repository now", out)
}

fn paper(options: &Paper, out: &Output) -> Result<()> {
    let made = interruptible(async {
        let (repository, identity) = options.owned.unlock(out).await?;
        repository.add_paper_key(&identity, &options.name, options.recipient.as_deref()).await
    })?;
    let Some(secret) = &made.secret else { return show(&made.info, "opens the repository now", out) };
    out.say("Write this down and lock it away. It is shown once, and opens every backup of the repository:");
    out.data("key", &json!({ "name": made.info.name, "secret": secret.expose() }), || secret.expose().into())
}

fn change(options: &Change, out: &Output) -> Result<()> {
    secrets::one_stdin(&[options.owned.key.backup_key.as_ref(), options.new_key.as_ref()])?;
    let changed = interruptible(async {
        let repository = options.owned.place.open().await?;
        let old = options.owned.key.read(out)?;
        // A wrong key is refused before a new one is shown.
        repository.unlock(&old).await?;
        let (new, work_factor) = new_key(options.new_key.as_deref(), out)?;
        repository.change_backup_key(&old, &new, work_factor).await
    })?;
    show(&changed, "has a new backup key; the old one opens the repository no more", out)
}

fn remove(options: &Remove, out: &Output) -> Result<()> {
    let question = format!("Remove the key {}? It will no longer open the repository.", options.name);
    out.agreed(&question, "nothing was removed")?;
    interruptible(async {
        let repository = options.owned.place.open().await?;
        repository.remove_key(&options.name, &Unlock::new(&options.owned.key.read(out)?)).await
    })?;
    out.data("removed", &options.name, || format!("{} is removed.", options.name))
}

/// Returns the new key, and the work factor if the key was generated here.
fn new_key(option: Option<&str>, out: &Output) -> Result<(cloudron_core::Secret, Option<u8>)> {
    match option {
        Some(reference) => Ok((secrets::resolve(reference, "--new-key", out)?, None)),
        // Shown before the old key is removed.
        None => {
            let key = cloudron_backup::generate_backup_key();
            super::show_new_key(&key, out);
            Ok((key, Some(GENERATED_WORK_FACTOR)))
        }
    }
}

fn show(key: &KeyInfo, what: &str, out: &Output) -> Result<()> {
    out.data("key", key, || format!("{} {what}.", key.name))
}

fn writer(options: &Writer, out: &Output) -> Result<()> {
    let keys = interruptible(async {
        let (repository, identity) = options.owned.unlock(out).await?;
        let Some(name) = &options.name else { return Ok(identity.writer_keys()) };
        let mut limits = WriterLimits::default();
        (limits.fqdn, limits.host) = (options.domain.clone(), options.host.clone());
        limits.paths = Some(options.path.clone()).filter(|paths| !paths.is_empty());
        repository.add_writer(&identity, name, &limits).await
    })?;
    atomic::create_private(&options.out_file, &keys.to_json()?)?;
    out.data("file", &options.out_file, || options.out_file.display().to_string())
}

fn writers(options: &List, out: &Output) -> Result<()> {
    let writers = interruptible(async { options.place.open().await?.writers().await })?;
    out.data("writers", &writers, || WriterInfo::table(&writers).render())
}

fn revoke(options: &Revoke, out: &Output) -> Result<()> {
    let keep = match options.keep_before {
        Some(time) => KeepOfRevoked::WrittenBefore(time.try_into().unwrap_or(SystemTime::UNIX_EPOCH)),
        None if options.keep_none => KeepOfRevoked::Nothing,
        None if options.keep_all => KeepOfRevoked::All,
        None => KeepOfRevoked::These(options.keep.iter().map(|id| id.parse()).collect::<Result<_>>()?),
    };
    let question = format!("Revoke the keys of {}? That cannot be undone.", options.writer);
    out.agreed(&question, "nothing was revoked")?;
    let report = block_on(|cancel| async move {
        let (repository, identity) = options.owned.unlock(out).await?;
        repository.revoke_writer(&identity, &options.writer, keep, &out.progress(), &cancel).await
    })?;
    out.data("revoked", &report, || {
        let dropped: String = report.dropped.iter().map(|id| format!("counts no longer: {id}\n")).collect();
        format!("{dropped}{} is revoked; {} of its backups are kept", options.writer, report.kept.len())
    })
}
