//! Making a repository.

use std::sync::Arc;

use bytes::Bytes;
use cloudron_core::{Error, Progress, Result, Secret};

use super::InitOptions;
use super::config::Config;
use crate::encrypt::EncryptionLayer;
use crate::keys::{Identity, check_backup_key, object};
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
    if store.head(layout::CONFIG).await?.is_some() {
        return Err(exists(store));
    }
    guard::check_rules(&**store, &Progress::none()).await?;
    let identity = Identity::generate();
    let recover = recovery_files();
    let config = Config::new(&identity, &recover, layer)?;
    let work_factor = object::work_factor(options.work_factor);
    let (wrapped, with, created) = (identity.clone(), backup_key.clone(), config.created);
    let wrapped =
        blocking(move || object::wrap(&wrapped, with, work_factor, created).map(Bytes::from)).await?;
    let key = layout::key("main", &wrapped);
    store.put(&key, &wrapped).await?;
    for (beside, content) in object::beside(&key, &config.id, &wrapped, &identity.owner_key()) {
        store.put(&beside, &content).await?;
    }
    for (name, content) in recover {
        store.put(name, &Bytes::from_static(content)).await?;
    }
    let certificate = Bytes::from(identity.writer_keys().certificate.object());
    store.put(&layout::certificate(&certificate), &certificate).await?;
    // The repository exists once this object does, and whoever writes it has made it.
    let description = Bytes::copy_from_slice(config.object());
    if !store.put_new(layout::CONFIG, &description).await? {
        remove_key(store, &key).await?;
        return Err(exists(store));
    }
    if let Err(e) = guard::check_conditional(&**store, layout::CONFIG, &description).await {
        store.delete(layout::CONFIG).await?;
        remove_key(store, &key).await?;
        return Err(e);
    }
    store.put(&copies::key_of(layout::CONFIG), &description).await?;
    // What runs that died before this point left behind opens nothing.
    for other in store.list(layout::KEYS).await?.into_iter().filter(|o| o.key != key) {
        store.delete(&other.key).await?;
    }
    Ok((config, identity))
}

/// Removes a key object and what is beside it.
async fn remove_key(store: &Arc<dyn BackupStore>, key: &str) -> Result<()> {
    for beside in object::beside_keys(key) {
        store.delete(&beside).await?;
    }
    store.delete(key).await
}

fn exists(store: &Arc<dyn BackupStore>) -> Error {
    let text = format!("there is a backup repository in {} already", store.url());
    Error::new(&codes::REPOSITORY_EXISTS, text).with_hint("use it, or choose another address")
}
