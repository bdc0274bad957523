//! `cloudron backup init`

use cloudron_backup::keys::GENERATED_WORK_FACTOR;
use cloudron_backup::{InitOptions, KeptWriterKeys, Repository, WriterKeys, codes, generate_backup_key};
use cloudron_core::{Result, Secret};
use serde_json::json;

use super::place::{Key, Place};
use crate::output::Output;
use crate::runtime::interruptible;
use crate::secrets;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    key: Key,
    /// Keep nothing on this computer; `backup create` then needs --backup-key or --writer-keys
    #[arg(long)]
    forget: bool,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let given = secrets::given_backup_key(options.key.backup_key.as_deref(), out)?;
    if let Some(key) = &given {
        cloudron_backup::keys::check_backup_key(key)?;
    }
    let generated = given.is_none();
    let key = given.unwrap_or_else(generate_backup_key);
    let (repository, keys) = interruptible(async {
        let store = options.place.open_store()?;
        Repository::check_absent(&store, !generated).await.map_err(|e| {
            match e.is(&codes::REPOSITORY_LOST) {
                true if e.hint().is_none() => e.with_hint(
                    "give the key that was shown then with --backup-key, or choose another address",
                ),
                _ => e,
            }
        })?;
        let work_factor = generated.then_some(GENERATED_WORK_FACTOR);
        let (repository, identity) = Repository::init(store, &key, InitOptions { work_factor }).await?;
        if generated {
            show_new_key(&key, out);
        }
        Ok((repository, identity.writer_keys()))
    })?;
    if !options.forget {
        keep(repository.id(), &keys, out);
    }
    let url = repository.store().url();
    let shown = generated.then(|| key.expose());
    out.data("repository", &json!({ "id": repository.id(), "store": url, "backupKey": shown }), || {
        format!("Made the repository {} in {url}.", repository.id())
    })
}

/// Shows a key that was generated, once: it is written nowhere. Called when its repository exists, and before anything
/// is backed up.
pub(crate) fn show_new_key(key: &Secret, out: &Output) {
    out.say(&format!(
        "\nNo backup key specified.\nGenerated backup key:  {}\nRemember to keep the backup key in a safe \
         location. You will need it to restore your Cloudron!\n",
        key.expose()
    ));
}

/// Stores the writer keys on this computer. A failure is a warning, since the repository was made and can be
/// used without them.
pub(crate) fn keep(repository: &str, keys: &WriterKeys, out: &Output) {
    let kept = KeptWriterKeys::of_this_user().ok_or_else(|| "HOME is not set".to_owned());
    let kept = kept.and_then(|kept| kept.put(repository, keys).map_err(|e| e.to_string()));
    if let Err(why) = kept {
        out.warn(&format!(
            "the keys for writing are not kept on this computer, and `backup create` needs --backup-key: {why}"
        ));
    }
}
