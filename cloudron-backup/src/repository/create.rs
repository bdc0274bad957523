//! Making a repository.

use std::sync::Arc;

use bytes::Bytes;
use cloudron_core::{Error, Progress, Result, Secret};

use super::InitOptions;
use super::config::Config;
use super::traces::{self, Traces};
use crate::encrypt::EncryptionLayer;
use crate::keys::{Identity, Unlock, check_backup_key, object};
use crate::store::{BackupStore, blocking};
use crate::{codes, copies, guard, layout};

const RECOVER_MD: &str = include_str!("../../recover/RECOVER.md");
const RECOVER_PY: &str = include_str!("../../recover/recover.py");
const RECOVER_SH: &str = include_str!("../../recover/recover.sh");

/// The files on how to restore without this program, by name.
pub(crate) fn recovery_files() -> [(&'static str, &'static [u8]); 3] {
    [
        (layout::RECOVER_MD, RECOVER_MD.as_bytes()),
        (layout::RECOVER_PY, RECOVER_PY.as_bytes()),
        (layout::RECOVER_SH, RECOVER_SH.as_bytes()),
    ]
}

pub(super) async fn init(
    store: &Arc<dyn BackupStore>,
    backup_key: &Secret,
    options: &InitOptions,
    layer: Option<Arc<dyn EncryptionLayer>>,
) -> Result<(Config, Identity)> {
    check_backup_key(backup_key)?;
    for place in [layout::CONFIG.to_owned(), copies::key_of(layout::CONFIG)] {
        if store.head(&place).await?.is_some() {
            return Err(exists(store));
        }
    }
    guard::check_rules(&**store, &Progress::none()).await?;
    let begun = begun(store, backup_key).await?;
    let was_begun = begun.is_some();
    let identity = begun.as_ref().map_or_else(Identity::generate, |begun| begun.identity.clone());
    let recover = recovery_files();
    let config = Config::new(&identity, &recover, layer)?;
    let (key, wrapped) = match begun {
        Some(begun) => (begun.key, begun.content),
        None => {
            let work_factor = object::work_factor(options.work_factor);
            let (of, with, created) = (identity.clone(), backup_key.clone(), config.created);
            let wrapped =
                blocking(move || object::wrap(&of, with, work_factor, created).map(Bytes::from)).await?;
            (layout::key("main", &wrapped), wrapped)
        }
    };
    if !was_begun {
        store.put(&key, &wrapped).await?;
    }
    for (name, content) in recover {
        store.put(name, &Bytes::from_static(content)).await?;
    }
    // The repository exists once this object does, and whoever writes it has made it.
    let description = Bytes::copy_from_slice(config.object());
    if !store.put_new(layout::CONFIG, &description).await? {
        // The key stays: who was faster may have taken it over.
        return Err(exists(store));
    }
    if let Err(e) = guard::check_conditional(&**store, layout::CONFIG, &description).await {
        // Both are of this call, and nobody relies on them yet.
        store.delete(layout::CONFIG).await?;
        if !was_begun {
            store.delete(&key).await?;
        }
        return Err(e);
    }
    store.put(&copies::key_of(layout::CONFIG), &description).await?;
    for (beside, content) in object::beside(&key, &config.id, &wrapped, &identity.owner_key()) {
        store.put(&beside, &content).await?;
    }
    let certificate = Bytes::from(identity.writer_keys().certificate.object());
    store.put(&layout::certificate(&certificate), &certificate).await?;
    Ok((config, identity))
}

/// An `init` that was cut off before the description was stored.
struct Begun {
    identity: Identity,
    key: String,
    content: Bytes,
}

/// The `init` that was cut off here, when the backup key opens what it left.
///
/// # Errors
/// `repository-lost` when something is there that may be of a repository, and is not of that kind.
async fn begun(store: &Arc<dyn BackupStore>, backup_key: &Secret) -> Result<Option<Begun>> {
    let keys = match traces::look(&**store).await? {
        Traces::Nothing => return Ok(None),
        Traces::Repository(object) => return Err(traces::lost_description(&**store, &object)),
        Traces::Keys(keys) => keys,
    };
    for key in &keys {
        let (content, unlock) = (store.get(key).await?, Unlock::BackupKey(backup_key.clone()));
        let wrapped = content.clone();
        if let Ok(identity) = blocking(move || object::open(&wrapped, &unlock)).await {
            return Ok(Some(Begun { identity, key: key.clone(), content }));
        }
    }
    Err(traces::other_key(&**store, keys.first().map_or("", String::as_str)))
}

fn exists(store: &Arc<dyn BackupStore>) -> Error {
    let text = format!("there is a backup repository in {} already", store.url());
    Error::new(&codes::REPOSITORY_EXISTS, text).with_hint("use it, or choose another address")
}
