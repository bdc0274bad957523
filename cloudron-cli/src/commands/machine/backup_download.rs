//! `cloudron machine backup download`

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloudron_backup::{BackupStore, Repository, open_store};
use cloudron_core::{Cancel, Error, Result, codes as core_codes};
use serde_json::json;

use super::Which;
use crate::client::HttpStore;
use crate::codes;
use crate::connect::Session;
use crate::output::{Output, bytes};
use crate::runtime::block_on;
use crate::secrets;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine backup download example.com latest --decrypt -o example.tar --backup-key file:key
  cloudron machine backup download example.com --repository /mnt/disk/example.com

With --decrypt one backup becomes a plain tar; it is decrypted here, the server never sees the key.
With --repository every backup is copied as it is, encrypted, and later runs copy only what is new; the copy
can be listed, verified and restored from with --store, and needs no key to make.")]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// The backup's id, or latest
    #[arg(default_value = "latest", value_name = "ID")]
    id: String,
    #[command(flatten)]
    source: Source,
    /// Write one backup as a plain tar
    #[arg(long, required_unless_present = "repository", conflicts_with = "repository")]
    decrypt: bool,
    /// The tar's file, or - for standard output
    #[arg(short, long, value_name = "FILE", requires = "decrypt", id = "tar")]
    o: Option<PathBuf>,
    /// Copy the whole repository to this folder
    #[arg(long, value_name = "DIR")]
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

/// The repository of a machine: through its server, or straight from a store.
pub(super) async fn open(
    which: &Which,
    source: &Source,
    out: &Output,
) -> Result<(Option<Session>, Repository)> {
    if let Some(url) = &source.store {
        return Ok((None, Repository::open(open_store(url)?).await?));
    }
    let session = Session::open(&which.machine()?, out).await?;
    let store: Arc<dyn BackupStore> = Arc::new(HttpStore::new(session.client.clone()));
    let repository = Repository::open(store).await?;
    Ok((Some(session), repository))
}

pub(crate) fn run(options: Options, out: &Output) -> Result<()> {
    match &options.repository {
        Some(folder) => block_on(|cancel| copy(&options, folder, out, cancel)),
        None => {
            let key = secrets::backup_key(options.backup_key.as_deref(), out)?;
            block_on(|cancel| export(&options, &key, out, cancel))
        }
    }
}

/// Copies every object that the folder does not have yet.
async fn copy(options: &Options, folder: &Path, out: &Output, cancel: Cancel) -> Result<()> {
    let (_session, repository) = open(&options.which, &options.source, out).await?;
    crate::state::private_dir(folder)?;
    let to = open_store(&folder.to_string_lossy())?;
    let report = repository.copy_to(to, &out.progress(), &cancel).await?;
    out.data("copy", &report, || {
        format!("{}: {} objects copied, {}", folder.display(), report.copied, bytes(report.bytes))
    })
}

/// Writes one backup as a tar: to a temporary file that gets its name when it is whole.
async fn export(options: &Options, key: &cloudron_core::Secret, out: &Output, cancel: Cancel) -> Result<()> {
    let (_session, repository) = open(&options.which, &options.source, out).await?;
    let identity = repository.unlock(key).await?;
    let snapshot = repository.find(&options.id).await?;
    let target = options.o.clone().unwrap_or_else(|| PathBuf::from(format!("{}.tar", snapshot.id)));
    if target == Path::new("-") {
        let stdout = std::io::stdout();
        return repository
            .export_tar(&identity, &snapshot.id, stdout, &out.progress(), &cancel)
            .await
            .map(drop);
    }
    if target.exists() {
        return Err(Error::new(&codes::OUTPUT_EXISTS, format!("{} exists already", target.display()))
            .with_hint("choose another name with -o"));
    }
    let part = Part::create(&target)?;
    repository.export_tar(&identity, &snapshot.id, part.writer()?, &out.progress(), &cancel).await?;
    let size = part.keep(&target)?;
    out.data("download", &json!({ "id": snapshot.id, "file": target, "bytes": size }), || {
        format!("{} ({})", target.display(), bytes(size))
    })
}

/// A file that is removed unless it is kept.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn create(target: &Path) -> Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".part{}", std::process::id()));
        let path = PathBuf::from(name);
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
        Ok(Self { file: file.map_err(|e| Error::io(&path, e))?, path })
    }

    fn writer(&self) -> Result<impl Write + Send + 'static> {
        self.file.try_clone().map_err(|e| Error::io(&self.path, e))
    }

    fn keep(self, target: &Path) -> Result<u64> {
        let named = self.file.sync_all().and_then(|()| {
            // A file that appeared meanwhile is not replaced.
            std::fs::hard_link(&self.path, target)?;
            self.file.metadata()
        });
        let metadata = named.map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::new(&codes::OUTPUT_EXISTS, format!("{} exists already", target.display()))
            }
            _ => Error::io(target, e),
        })?;
        Ok(metadata.len())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(code = core_codes::IO.name, "{}: {error}", self.path.display());
        }
    }
}
