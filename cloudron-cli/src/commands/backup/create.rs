//! `cloudron backup create`

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cloudron_backup::{BackupRequest, Repository, Source, Summary, WriterKeys};
use cloudron_core::{BackupId, Cancel, Error, Result, Version};

use super::place::{Key, Place};
use crate::codes;
use crate::output::{Output, bytes};
use crate::runtime::block_on;
use crate::secrets;
use crate::state::{Dirs, Writers};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron backup create ~/Documents /etc --store /mnt/disk/backups --exclude .cache --exclude '*.tmp'
  cloudron backup create / --store s3://bucket/home --writer-keys file:/root/writer-keys.json

Only what is new is stored. An exclude that starts with / is matched against the whole path, another one against
every name on it. The keys for writing are those that `backup init` kept here, or --writer-keys, or follow from
--backup-key. Exit code 9 when files could not be read and are missing from the backup.")]
pub(crate) struct Options {
    /// What to back up
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    key: Key,
    /// The keys for writing, as `backup key writer` prints them
    #[arg(long, value_name = "SECRET", conflicts_with = "backup_key")]
    writer_keys: Option<String>,
    /// Leave out what this pattern fits (repeatable)
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Leave out what the patterns in this file fit: one a line, # begins a comment
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// The name of this computer in the list
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// A word by which to find the backup (repeatable)
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
}

/// So often a name that is taken is tried again: names carry the time to the second.
const NAMES: u32 = 3;

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let summary = block_on(|cancel| make(options, out, cancel))?;
    out.data("backup", &summary, || render(&summary))?;
    if summary.errors == 0 {
        return Ok(());
    }
    let text = format!("{} files or folders could not be read and are not in {}", summary.errors, summary.id);
    Err(Error::new(&codes::FILES_LEFT_OUT, text).with_hint("the warnings above name them"))
}

async fn make(options: &Options, out: &Output, cancel: Cancel) -> Result<Summary> {
    let sources = options.paths.iter().map(|p| source(p)).collect::<Result<Vec<_>>>()?;
    let excludes = excludes(options)?;
    let repository = options.place.open().await?;
    let keys = writer_keys(options, &repository, out).await?;
    for attempt in 1.. {
        let id = BackupId::new(SystemTime::now(), &Version::current());
        let mut request = BackupRequest::new(id, sources.clone()).with_cache_dir(Dirs::from_env()?.cache());
        request.excludes.clone_from(&excludes);
        request.tags.clone_from(&options.tag);
        request.host = options.host.clone().unwrap_or_else(host_name);
        match repository.backup(&keys, request, &out.progress(), &cancel).await {
            Err(e) if e.is(&cloudron_backup::codes::BACKUP_EXISTS) && attempt < NAMES => {
                tokio::time::sleep(Duration::from_millis(1100)).await;
            }
            other => return other,
        }
    }
    unreachable!("the last attempt returns")
}

/// A source by the path as it was typed.
fn source(path: &Path) -> Result<Source> {
    let absolute = std::path::absolute(path).map_err(|e| Error::io(path, e))?;
    let name = absolute.file_name().map_or("/".into(), |n| n.to_string_lossy().into_owned());
    Ok(Source::new(name, absolute))
}

fn excludes(options: &Options) -> Result<Vec<String>> {
    let mut patterns = options.exclude.clone();
    for file in &options.exclude_file {
        let text = std::fs::read_to_string(file).map_err(|e| Error::io(file, e))?;
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        patterns.extend(lines.map(str::to_owned));
    }
    Ok(patterns)
}

/// The keys for writing: given, or kept here, or from the backup key.
async fn writer_keys(options: &Options, repository: &Repository, out: &Output) -> Result<WriterKeys> {
    if let Some(reference) = &options.writer_keys {
        let text = secrets::resolve(reference, "--writer-keys", out)?;
        // The parser's message could quote a secret.
        return serde_json::from_str(text.expose()).map_err(|_| {
            Error::new(&codes::WRITER_KEYS, "what --writer-keys gives is not what `backup key writer` prints")
        });
    }
    let kept = match options.key.backup_key {
        Some(_) => None,
        None => Writers::at(Dirs::from_env()?.writers()).find(repository.id())?,
    };
    match kept {
        Some(keys) => Ok(keys),
        None => Ok(repository.unlock(&options.key.read(out)?).await?.writer_keys()),
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn render(summary: &Summary) -> String {
    format!(
        "{}\n{} files, {}; {} added in {:.1} s",
        summary.id,
        summary.files,
        bytes(summary.bytes),
        bytes(summary.added_bytes),
        summary.duration_ms as f64 / 1000.0
    )
}
