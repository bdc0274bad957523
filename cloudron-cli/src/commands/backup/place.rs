//! The location of a repository, and the keys that open it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use cloudron_backup::keys::backup_key_in_environment;
use cloudron_backup::store::{ConditionalWrites, StoreOptions};
use cloudron_backup::{
    BackupStore, Identity, KeptWriterKeys, Repository, SnapshotFilter, Summary, WriterKeys, absolute_path,
    cache_dir, codes, open_store_with,
};
use cloudron_core::{Error, Result, ResultExt, Secret};
use cloudron_machine::backups;

use crate::hints;
use crate::output::Output;
use crate::secrets;

/// The store that a command works on.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The store: a folder, file:///folder or s3://bucket/prefix
    #[arg(long, value_name = "URL", env = "CLOUDRON_BACKUP_STORE")]
    pub store: String,
    #[command(flatten)]
    pub service: Service,
}

/// How an object store is spoken to. Its credentials come from the variables and the file that Amazon's own
/// tools read.
#[derive(Debug, Args)]
pub(crate) struct Service {
    /// The address of a service other than Amazon's
    #[arg(help_heading = "Object stores", long, value_name = "[s3=]URL")]
    endpoint: Option<String>,
    /// The region of the bucket; otherwise AWS_REGION, or us-east-1
    #[arg(help_heading = "Object stores", long, value_name = "REGION")]
    region: Option<String>,
    /// The class that packs are stored in, such as STANDARD_IA
    #[arg(help_heading = "Object stores", long, value_name = "CLASS")]
    storage_class: Option<String>,
    /// Encryption by the service on top of the repository's own: AES256, aws:kms or aws:kms:KEY
    #[arg(help_heading = "Object stores", long, value_name = "HOW")]
    server_side_encryption: Option<String>,
    /// For a service without conditional writes: look before writing. Only one computer may use the store then
    #[arg(help_heading = "Object stores", long)]
    no_conditional_writes: bool,
    /// A file of certificates in PEM to trust besides those of the system: of a private authority, or of a service that
    /// signed its own
    #[arg(help_heading = "Object stores", long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl Service {
    /// Opens the store at an address.
    pub(crate) fn open(&self, url: &str) -> Result<Arc<dyn BackupStore>> {
        open_store_with(url, &self.options(url)?)
    }

    fn options(&self, url: &str) -> Result<StoreOptions> {
        let mut options = match url.starts_with("s3://") {
            true => StoreOptions::from_env()?,
            false => StoreOptions::default(),
        };
        let endpoint = self.endpoint.as_deref().map(|url| url.strip_prefix("s3=").unwrap_or(url).to_owned());
        options.endpoint = endpoint.or(options.endpoint);
        options.region = self.region.clone().or(options.region);
        options.storage_class = self.storage_class.clone().or(options.storage_class);
        options.ca_file = self.ca_file.clone().or(options.ca_file);
        if let Some(how) = &self.server_side_encryption {
            options.server_side_encryption = Some(how.parse()?);
        }
        if self.no_conditional_writes {
            options.conditional_writes = ConditionalWrites::LookFirst;
        }
        Ok(options)
    }
}

impl Place {
    /// Opens the store, whether or not it contains a repository.
    pub(crate) fn open_store(&self) -> Result<Arc<dyn BackupStore>> {
        self.service.open(&self.store)
    }

    /// Opens the repository in the store.
    pub(crate) async fn open(&self) -> Result<Repository> {
        open_repository(self.open_store()?).await
    }
}

/// Opens the repository in a store with the local cache, so that a store that returns an older list is
/// detected.
pub(crate) async fn open_repository(store: Arc<dyn BackupStore>) -> Result<Repository> {
    let repository = Repository::open(store).await?;
    Ok(match cache_dir() {
        Some(dir) => repository.with_cache_dir(dir),
        None => repository,
    })
}

/// Which of the backups of several computers are meant.
#[derive(Debug, Args)]
pub(crate) struct Pick {
    /// Those of this computer
    #[arg(help_heading = "Which backups", long, value_name = "NAME")]
    host: Option<String>,
    /// Those of the server of this domain
    #[arg(help_heading = "Which backups", long, value_name = "DOMAIN")]
    fqdn: Option<String>,
    /// Those with this tag (repeatable: with all of them)
    #[arg(help_heading = "Which backups", long, value_name = "TAG")]
    tag: Vec<String>,
    /// Those that this path was backed up for
    #[arg(help_heading = "Which backups", long, value_name = "PATH")]
    path: Option<PathBuf>,
}

impl Pick {
    pub(crate) fn filter(&self) -> Result<SnapshotFilter> {
        let mut filter = SnapshotFilter::all();
        filter.host.clone_from(&self.host);
        filter.fqdn.clone_from(&self.fqdn);
        filter.tags.clone_from(&self.tag);
        filter.path = self.path.as_deref().map(absolute_path).transpose()?;
        Ok(filter)
    }
}

/// Finds the backup with this ID, or for `latest` the last one that matches the filter. Warns of ignored
/// objects, which may hide a later one.
pub(crate) async fn find(
    repository: &Repository,
    id: &str,
    filter: &SnapshotFilter,
    out: &Output,
) -> Result<Summary> {
    backups::find(repository, id, filter, |text| out.warn(&text)).await
}

/// Refuses paths in a backup that are not absolute.
pub(crate) fn check_only(only: &[PathBuf]) -> Result<()> {
    let Some(relative) = only.iter().find(|p| !p.is_absolute()) else { return Ok(()) };
    let text = format!("{} is not an absolute path", relative.display());
    Err(Error::new(&cloudron_core::codes::USAGE, text).with_hint("`backup ls` shows the paths in a backup"))
}

/// The backup key, for commands that read backups.
#[derive(Debug, Args)]
pub(crate) struct Key {
    /// The backup key or a paper key; otherwise CLOUDRON_BACKUP_KEY_FILE, CLOUDRON_BACKUP_KEY, or a question
    #[arg(long, value_name = "SECRET")]
    pub backup_key: Option<String>,
}

impl Key {
    /// Returns the key, and asks for it if it was not given.
    pub(crate) fn read(&self, out: &Output) -> Result<Secret> {
        secrets::backup_key(self.backup_key.as_deref(), out)
    }
}

/// A repository and what opens it, for commands that read backups.
#[derive(Debug, Args)]
pub(crate) struct Owned {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub key: Key,
}

impl Owned {
    /// Opens the repository and unlocks it.
    pub(crate) async fn unlock(&self, out: &Output) -> Result<(Repository, Identity)> {
        // The store is opened first, so that a wrong address is reported before a key is asked for.
        let repository = self.place.open().await?;
        if let Some(problem) = repository.description_problem() {
            out.warn(&format!("the description of the repository was read from its second copy: {problem}"));
        }
        let identity = repository.unlock(&self.key.read(out)?).await?;
        Ok((repository, identity))
    }
}

/// The keys for making backups: given, or kept on this computer, or following from the backup key.
#[derive(Debug, Args)]
pub(crate) struct Writing {
    #[command(flatten)]
    key: Key,
    /// The keys for writing, as `backup key writer` writes them
    #[arg(long, value_name = "SECRET", conflicts_with = "backup_key")]
    writer_keys: Option<String>,
}

impl Writing {
    /// The keys for a repository. Kept ones that cannot be read are not missed when the backup key is given.
    pub(crate) async fn keys(&self, repository: &Repository, out: &Output) -> Result<WriterKeys> {
        if let Some(reference) = &self.writer_keys {
            return given(reference, "--writer-keys", out);
        }
        let kept = match self.key.backup_key {
            Some(_) => None,
            None => match kept(repository) {
                Err(e) if backup_key_in_environment().is_some() => {
                    out.warn(&format!("the backup key is used, for the keys for writing cannot be: {e}"));
                    None
                }
                kept => kept.hint(|| "give the backup key with --backup-key file:PATH".to_owned())?,
            },
        };
        match kept {
            Some(keys) => Ok(keys),
            None => Ok(repository.unlock(&self.key.read(out)?).await?.writer_keys()),
        }
    }
}

/// The keys that are kept on this computer.
fn kept(repository: &Repository) -> Result<Option<WriterKeys>> {
    let Some(kept) = KeptWriterKeys::of_this_user() else { return Ok(None) };
    kept.find(repository.id())
        .map_err(hints::on(&codes::WRITER_KEYS, "remove it, and give --backup-key or --writer-keys"))
}

fn given(reference: &str, option: &str, out: &Output) -> Result<WriterKeys> {
    let text = secrets::resolve(reference, option, out)?;
    // The parser's message could contain a secret.
    serde_json::from_str(text.expose()).map_err(|_| {
        let text = format!("what {option} gives is not what `backup key writer` writes");
        Error::new(&codes::WRITER_KEYS, text)
    })
}

/// The keys for making backups in the repository that a copy goes to.
#[derive(Debug, Args)]
pub(crate) struct ToWriting {
    /// Its backup key
    #[arg(help_heading = "The other repository", long, value_name = "SECRET")]
    #[arg(conflicts_with = "to_writer_keys")]
    to_backup_key: Option<String>,
    /// Its keys for writing, as `backup key writer` writes them
    #[arg(help_heading = "The other repository", long, value_name = "SECRET")]
    to_writer_keys: Option<String>,
}

impl ToWriting {
    pub(crate) async fn keys(&self, repository: &Repository, out: &Output) -> Result<WriterKeys> {
        let option = "--to-backup-key";
        if let Some(reference) = &self.to_writer_keys {
            return given(reference, "--to-writer-keys", out);
        }
        let key = match &self.to_backup_key {
            Some(reference) => secrets::resolve(reference, option, out)?,
            None => match kept(repository)
                .hint(|| format!("give the key of that repository with {option} file:PATH"))?
            {
                Some(keys) => return Ok(keys),
                None => out.ask_secret("The backup key of the other repository", option)?,
            },
        };
        Ok(repository.unlock(&key).await?.writer_keys())
    }
}
