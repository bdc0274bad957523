//! `cloudron backup import`

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cloudron_backup::{ImportRequest, OldBackup, Summary};
use cloudron_core::{BackupId, Cancel, Error, Result, Version};

use super::create::render;
use super::place::{Place, Writing};
use crate::output::Output;
use crate::runtime::block_on;
use crate::secrets;
use crate::state::cache_dir;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron backup import backup_2016-12-01-030000000_v0.97.0.tar.gz --old-key file:old.key --store /mnt/disk/backups

Reads what the original Cloudron made: a .tar.gz, encrypted by OpenSSL with the server's backup key or not. It becomes
a backup of the repository, with its old time, below /imported. Nothing is unpacked on disk.")]
pub(crate) struct Options {
    /// The old backup's file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    writing: Writing,
    /// The backup key of the server that made it
    #[arg(long, value_name = "SECRET")]
    old_key: Option<String>,
    /// The path that its files get in the repository
    #[arg(long, value_name = "PATH")]
    below: Option<PathBuf>,
    /// The domain of the server that made it
    #[arg(long, value_name = "DOMAIN", default_value = "")]
    fqdn: String,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let summary = block_on(|cancel| import(options, out, cancel))?;
    out.data("backup", &summary, || render(&summary))
}

async fn import(options: &Options, out: &Output, cancel: Cancel) -> Result<Summary> {
    let old_key = options.old_key.as_ref().map(|k| secrets::resolve(k, "--old-key", out)).transpose()?;
    let from_stdin = options.file == Path::new("-");
    let mut request = request(&options.file);
    request.key = old_key;
    request.fqdn.clone_from(&options.fqdn);
    request.cache_dir = cache_dir();
    if let Some(below) = &options.below {
        request.target.clone_from(below);
    }
    let beside = options.file.with_file_name(format!("{}.json", request.name));
    if !from_stdin && beside.is_file() {
        request.config = Some(std::fs::read(&beside).map_err(|e| Error::io(&beside, e))?);
    }
    let file = match from_stdin {
        true => None,
        false => Some(File::open(&options.file).map_err(|e| Error::io(&options.file, e))?),
    };
    let repository = options.place.open().await?;
    let keys = options.writing.keys(&repository, out).await?;
    let progress = out.progress();
    match file {
        Some(file) => repository.import(&keys, request, file, &progress, &cancel).await,
        None => repository.import(&keys, request, std::io::stdin(), &progress, &cancel).await,
    }
}

/// Under the old name, or under one of this moment when the file is called something else.
fn request(file: &Path) -> ImportRequest {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match OldBackup::parse(&name) {
        Ok(old) => ImportRequest::new(&old),
        Err(_) => ImportRequest::named(&name, BackupId::new(SystemTime::now(), &Version::current())),
    }
}
