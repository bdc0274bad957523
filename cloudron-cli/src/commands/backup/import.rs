//! `cloudron backup import`

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cloudron_backup::{ImportRequest, Summary, cache_dir};
use cloudron_core::{BackupId, Cancel, Error, Result, Version};

use super::place::{Place, Writing};
use crate::output::Output;
use crate::runtime::block_on;
use crate::secrets;

#[derive(Debug, clap::Args)]
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
    out.data("backup", &summary, || summary.to_string())
}

async fn import(options: &Options, out: &Output, cancel: Cancel) -> Result<Summary> {
    let old_key = options.old_key.as_ref().map(|k| secrets::resolve(k, "--old-key", out)).transpose()?;
    let (mut request, file) = match options.file == Path::new("-") {
        true => (ImportRequest::named("-", BackupId::new(SystemTime::now(), &Version::current())), None),
        false => {
            let file = File::open(&options.file).map_err(|e| Error::io(&options.file, e))?;
            (ImportRequest::of_file(&options.file)?, Some(file))
        }
    };
    request.key = old_key;
    request.fqdn.clone_from(&options.fqdn);
    request.cache_dir = cache_dir();
    if let Some(below) = &options.below {
        request.target.clone_from(below);
    }
    let repository = options.place.open().await?;
    let keys = options.writing.keys(&repository, out).await?;
    let progress = out.progress();
    match file {
        Some(file) => repository.import(&keys, request, file, &progress, &cancel).await,
        None => repository.import(&keys, request, std::io::stdin(), &progress, &cancel).await,
    }
}
