//! Making a repository, and unwrapping its identity.

use std::sync::Arc;

use bytes::Bytes;
use cloudron_core::{Error, Result, Secret};
use zeroize::Zeroizing;

use super::InitOptions;
use super::config::Config;
use crate::encrypt::{AgePassphrase, Decryptor, Encryptor};
use crate::keys::{Identity, check_backup_key, looks_generated};
use crate::store::{BackupStore, blocking};
use crate::{codes, layout};

/// The work factor for a key that nobody can guess: fast on a small server.
const FAST_WORK_FACTOR: u8 = 15;

const RECOVER_MD: &str = include_str!("../../recover/RECOVER.md");
const RECOVER_PY: &str = include_str!("../../recover/recover.py");

pub(super) async fn init(
    store: &Arc<dyn BackupStore>,
    backup_key: &Secret,
    options: &InitOptions,
) -> Result<(Config, Identity)> {
    check_backup_key(backup_key)?;
    if store.head(layout::CONFIG).await?.is_some() {
        return Err(exists(store));
    }
    let identity = Identity::generate();
    let keys = identity.writer_keys();
    let recover = [(layout::RECOVER_MD, RECOVER_MD.as_bytes()), (layout::RECOVER_PY, RECOVER_PY.as_bytes())];
    let config = Config::new(&keys, &recover)?;
    let work_factor = options.work_factor.unwrap_or(match looks_generated(backup_key) {
        true => FAST_WORK_FACTOR,
        false => AgePassphrase::WORK_FACTOR,
    });
    let wrapped = wrap(&identity, backup_key, work_factor, config.created).await?;
    let key = layout::key("main", &wrapped);
    store.put(&key, &wrapped).await?;
    for (name, content) in recover {
        store.put(name, &Bytes::from_static(content)).await?;
    }
    // The repository exists once this object does, and whoever writes it has made it.
    if !store.put_new(layout::CONFIG, &config.sign(&keys.signing_key()?).into()).await? {
        store.delete(&key).await?;
        return Err(exists(store));
    }
    // What runs that died before this point left behind opens nothing.
    for other in store.list(layout::KEYS).await?.into_iter().filter(|o| o.key != key) {
        store.delete(&other.key).await?;
    }
    Ok((config, identity))
}

fn exists(store: &Arc<dyn BackupStore>) -> Error {
    let text = format!("there is a backup repository in {} already", store.url());
    Error::new(&codes::REPOSITORY_EXISTS, text)
}

/// An age identity file, wrapped with the backup key.
async fn wrap(
    identity: &Identity,
    backup_key: &Secret,
    work_factor: u8,
    created: jiff::Timestamp,
) -> Result<Bytes> {
    let (identity, backup_key) = (identity.clone(), backup_key.clone());
    blocking(move || {
        let secret = identity.to_secret();
        let text = Zeroizing::new(format!(
            "# created: {created}\n# public key: {}\n{}\n",
            identity.recipient(),
            secret.expose()
        ));
        AgePassphrase::new(backup_key, work_factor).seal_bytes(text.as_bytes()).map(Bytes::from)
    })
    .await
}

pub(super) async fn unlock(
    store: &Arc<dyn BackupStore>,
    config: &Config,
    backup_key: &Secret,
) -> Result<Identity> {
    let mut failure = None;
    for object in store.list(layout::KEYS).await? {
        let content = store.get(&object.key).await?;
        let passphrase = AgePassphrase::new(backup_key.clone(), AgePassphrase::WORK_FACTOR);
        let opened = blocking(move || passphrase.open_bytes(&content).map(Zeroizing::new)).await;
        match opened.and_then(|text| identity_in(&text)) {
            Ok(identity) if config.check_identity(&identity).is_ok() => return Ok(identity),
            Ok(_) => {
                let text = format!("{} belongs to another repository", object.key);
                failure = Some(Error::new(&codes::REPOSITORY_CORRUPT, text));
            }
            // A wrong key says less than a damaged object.
            Err(e) if e.is(&codes::BACKUP_KEY_WRONG) => failure = failure.or(Some(e)),
            Err(e) => failure = Some(Error::new(&codes::REPOSITORY_CORRUPT, format!("{}: {e}", object.key))),
        }
    }
    Err(failure.unwrap_or_else(|| {
        Error::new(&codes::REPOSITORY_CORRUPT, format!("there is no key in {}", store.url()))
    }))
}

/// The identity in an identity file: the line that is neither empty nor a comment.
fn identity_in(text: &[u8]) -> Result<Identity> {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let line = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#'));
    Identity::parse(&Secret::new(line.unwrap_or_default()))
}
