//! Creates a repository.

use std::sync::Arc;

use bytes::Bytes;
use cloudron_core::{Error, Progress, Result, Secret};

use crate::encrypt::EncryptionLayer;
use crate::format::config::Config;
use crate::format::key;
use crate::format::recovery::recovery_files;
use crate::format::traces::{self, Traces};
use crate::keys::{Identity, Unlock, check_backup_key};
use crate::runtime::blocking;
use crate::store::{BackupStore, get_at_most, requirements};
use crate::{codes, layout};

pub(super) async fn init(
    store: &Arc<dyn BackupStore>,
    backup_key: &Secret,
    options: &InitOptions,
    layer: Option<Arc<dyn EncryptionLayer>>,
) -> Result<(Config, Identity)> {
    check_backup_key(backup_key)?;
    for place in [layout::CONFIG.to_owned(), layout::copy_of(layout::CONFIG)] {
        if store.head(&place).await?.is_some() {
            return Err(exists(store));
        }
    }
    requirements::check_rules(&**store, &Progress::none()).await?;
    let begun = begun(store, backup_key).await?;
    let was_begun = begun.is_some();
    let identity = begun.as_ref().map_or_else(Identity::generate, |begun| begun.identity.clone());
    let recover = recovery_files();
    let config = Config::new(&identity, &recover, layer)?;
    let (key, wrapped) = match begun {
        Some(begun) => (begun.key, begun.content),
        None => {
            let work_factor = key::work_factor(options.work_factor);
            let (of, with, created) = (identity.clone(), backup_key.clone(), config.created);
            let wrapped =
                blocking(move || key::wrap(&of, with, work_factor, created).map(Bytes::from)).await?;
            (layout::key("main", &wrapped), wrapped)
        }
    };
    if !was_begun {
        store.put(&key, &wrapped).await?;
    }
    for (name, content) in recover {
        store.put(name, &Bytes::from_static(content)).await?;
    }
    // The repository exists once this object does; the caller that writes it has created the repository.
    let description = Bytes::copy_from_slice(config.object());
    if !store.put_new(layout::CONFIG, &description).await? {
        // The key stays: a concurrent `init` may rely on it.
        return Err(exists(store));
    }
    if let Err(e) = requirements::check_conditional(&**store, layout::CONFIG, &description).await {
        // Both objects were written by this call, and nothing relies on them yet.
        store.delete(layout::CONFIG).await?;
        if !was_begun {
            store.delete(&key).await?;
        }
        return Err(e);
    }
    store.put(&layout::copy_of(layout::CONFIG), &description).await?;
    for (beside, content) in key::beside(&key, &config.id, &wrapped, &identity.owner_key()) {
        store.put(&beside, &content).await?;
    }
    let certificate = Bytes::from(identity.writer_keys().certificate.object());
    store.put(&layout::certificate(&certificate), &certificate).await?;
    Ok((config, identity))
}

/// An `init` that was interrupted before the description was stored.
struct Begun {
    identity: Identity,
    key: String,
    content: Bytes,
}

/// Finds an interrupted `init` whose key object the backup key opens.
///
/// # Errors
/// `repository-lost` when there are objects that may belong to a repository, other than those of an
/// interrupted `init`.
async fn begun(store: &Arc<dyn BackupStore>, backup_key: &Secret) -> Result<Option<Begun>> {
    let keys = match traces::look(&**store).await? {
        Traces::Nothing => return Ok(None),
        Traces::Repository(object) => return Err(traces::lost_description(&**store, &object)),
        Traces::Keys(keys) => keys,
    };
    for key in &keys {
        let (content, unlock) =
            (get_at_most(&**store, key, layout::MOST_SMALL).await?, Unlock::BackupKey(backup_key.clone()));
        let wrapped = content.clone();
        if let Ok(identity) = blocking(move || key::open(&wrapped, &unlock)).await {
            return Ok(Some(Begun { identity, key: key.clone(), content }));
        }
    }
    Err(traces::other_key(&**store, keys.first().map_or("", String::as_str)))
}

pub(super) fn exists(store: &Arc<dyn BackupStore>) -> Error {
    let text = format!("there is a backup repository in {} already", store.url());
    Error::new(&codes::REPOSITORY_EXISTS, text).with_hint("use it, or choose another address")
}

/// Options for creating a repository.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// The logarithm of scrypt's N by which the backup key is stretched. By default 18, about a second. For a
    /// key from [`generate_backup_key`](crate::generate_backup_key), which cannot be guessed,
    /// [`GENERATED_WORK_FACTOR`](crate::keys::GENERATED_WORK_FACTOR) is enough.
    pub work_factor: Option<u8>,
}
