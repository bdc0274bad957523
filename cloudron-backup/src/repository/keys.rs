//! The keys of a repository: unwrapping its identity, and adding, changing and removing keys.

use std::fmt;

use bytes::Bytes;
use cloudron_core::table::Table;
use cloudron_core::{Error, Result, ResultExt, Secret};
use ed25519_dalek::VerifyingKey;
use serde::Serialize;

use super::Repository;
use super::candidates::Candidates;
use crate::format::config::whole_second;
use crate::format::key::{self, COPIES, Lock};
use crate::keys::{Identity, Unlock, check_backup_key};
use crate::runtime::blocking;
use crate::store::{ObjectMeta, get_at_most, requirements};
use crate::{codes, layout};

/// The kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeyKind {
    /// A backup key, typed or in a file.
    BackupKey,
    /// An age X25519 identity that is kept offline.
    Paper,
    /// The object cannot be used: it is damaged, or of a kind that this program does not know.
    Unusable,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BackupKey => "backup key",
            Self::Paper => "paper key",
            Self::Unusable => "DAMAGED",
        })
    }
}

/// Public information about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyInfo {
    /// The name of the key.
    pub name: String,
    /// The key of its object in the store.
    pub object: String,
    /// The kind of the key.
    pub kind: KeyKind,
    /// The logarithm of scrypt's N by which a backup key is stretched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_factor: Option<u8>,
    /// Time when its object was written, if the store reports it. A copy of a repository has other times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<jiff::Timestamp>,
}

impl KeyInfo {
    /// Returns a table of keys.
    pub fn table(keys: &[Self]) -> Table {
        let mut table = Table::new(["Name", "Kind", "Made"]);
        for key in keys {
            let made = key.created.map_or_else(|| "-".into(), |t| t.strftime("%Y-%m-%d").to_string());
            table.row([key.name.clone(), key.kind.to_string(), made]);
        }
        table
    }
}

/// A new paper key, and its secret if this program generated it.
#[derive(Debug, Clone)]
#[must_use = "the secret is shown now or never"]
pub struct PaperKey {
    /// The key.
    pub info: KeyInfo,
    /// The identity, `AGE-SECRET-KEY-1…`, unless only the public half was given. It is stored nowhere.
    pub secret: Option<Secret>,
}

impl KeyInfo {
    fn new(object: &ObjectMeta, content: &[u8]) -> Self {
        let sound = layout::is_key_sound(&object.key, content);
        let (kind, work_factor) = match key::lock_of(content).filter(|_| sound) {
            Some(Lock::Passphrase(factor)) => (KeyKind::BackupKey, Some(factor)),
            Some(Lock::Paper) => (KeyKind::Paper, None),
            None => (KeyKind::Unusable, None),
        };
        let plain = || layout::id_of(&object.key).unwrap_or(&object.key);
        let created = object.modified.and_then(|t| jiff::Timestamp::try_from(t).ok());
        Self {
            name: key::name_of(&object.key).unwrap_or_else(plain).to_owned(),
            object: object.key.clone(),
            kind,
            work_factor,
            created: created.map(whole_second),
        }
    }
}

impl Repository {
    /// Unwraps the identity with the backup key or with the identity of a paper key. Takes about a second, by
    /// the design of scrypt. See [`unlock_with`](Self::unlock_with).
    ///
    /// # Errors
    /// `backup-key-wrong`; `repository-corrupt` when the key objects are missing or damaged.
    pub async fn unlock(&self, secret: &Secret) -> Result<Identity> {
        self.unlock_with(&Unlock::new(secret)).await
    }

    /// Unwraps the identity.
    ///
    /// # Errors
    /// `backup-key-wrong`; `identity-invalid` for a mistyped paper key; `repository-corrupt` when the key
    /// objects are missing or damaged, or the description of the repository was forged.
    pub async fn unlock_with(&self, unlock: &Unlock) -> Result<Identity> {
        let opened = self.open_key(unlock, |_| true).await;
        opened.map(|(identity, _)| identity).doing(|| format!("opening {}", self.store.url()))
    }

    /// Opens one of the key objects selected by `meant`. Also returns that object, except for the
    /// repository's own identity, which needs none.
    async fn open_key(
        &self,
        unlock: &Unlock,
        meant: impl Fn(&str) -> bool,
    ) -> Result<(Identity, Option<String>)> {
        if let Unlock::Paper(secret) = unlock {
            let identity = Identity::parse(secret)?;
            if self.config.is_of(&identity) {
                self.check_description(&identity)?;
                return Ok((identity, None));
            }
        }
        let known = (self.config.id.as_str(), self.owner_key());
        let found = Candidates::read(&*self.store, unlock, known, meant).await?;
        let mut foreign = None;
        for candidate in &found.tried {
            let (content, with) = (candidate.content.clone(), unlock.clone());
            match blocking(move || key::open(&content, &with)).await {
                Ok(identity) if self.config.is_of(&identity) => {
                    self.check_description(&identity)?;
                    return Ok((identity, Some(candidate.object.clone())));
                }
                Ok(_) => foreign = Some(candidate.object.as_str()),
                Err(_) => {}
            }
        }
        Err(found.none_opens(unlock, foreign, &self.store.url()))
    }

    /// Checks that the description was signed with the identity. Anybody with write access can have added a
    /// second copy beside the description of a repository of format 1, which has none.
    fn check_description(&self, identity: &Identity) -> Result<()> {
        let checked = self.config.check_identity(identity);
        if self.problem.is_none() {
            return checked;
        }
        checked.map_err(|e| {
            let copy = crate::layout::copy_of(layout::CONFIG);
            e.with_hint(format!("somebody who does not have the keys put {copy} there: delete that object"))
        })
    }

    /// Returns the key that signs statements on key objects. Format 1 has none.
    fn owner_key(&self) -> Option<VerifyingKey> {
        self.config.owner_key()
    }

    /// Lists the keys that open the repository, by name. Needs no secret.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn keys(&self) -> Result<Vec<KeyInfo>> {
        let mut keys = Vec::new();
        for object in self.store.list(layout::KEYS).await?.into_iter().filter(|o| o.key.ends_with(".age")) {
            match get_at_most(&*self.store, &object.key, layout::MOST_SMALL).await {
                Ok(content) => keys.push(KeyInfo::new(&object, &content)),
                Err(e) if e.is(&codes::OBJECT_CORRUPT) => keys.push(KeyInfo::new(&object, &[])),
                // It was removed since it was listed.
                Err(e) if e.is(&codes::OBJECT_MISSING) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(keys)
    }

    /// Adds a further backup key.
    ///
    /// # Errors
    /// `backup-key-weak`; `backup-key-name`, also for a name that exists; errors of the store.
    pub async fn add_backup_key(
        &self,
        identity: &Identity,
        name: &str,
        backup_key: &Secret,
        work_factor: Option<u8>,
    ) -> Result<KeyInfo> {
        check_backup_key(backup_key)?;
        self.check_new_key(identity, name).await?;
        let content = self.wrapped(identity, backup_key, work_factor).await?;
        self.put_key(identity, name, &content, &Unlock::BackupKey(backup_key.clone())).await
    }

    /// Adds a paper key: an age identity kept offline, which opens the repository when the backup key is
    /// lost. Generates one unless the public half of an existing identity, `age1…`, is given. In that case
    /// the existence of the secret half cannot be checked.
    ///
    /// # Errors
    /// `recipient-invalid`; `backup-key-name`, also for a name that exists; errors of the store.
    pub async fn add_paper_key(
        &self,
        identity: &Identity,
        name: &str,
        recipient: Option<&str>,
    ) -> Result<PaperKey> {
        self.check_new_key(identity, name).await?;
        let secret = recipient.is_none().then(Identity::generate);
        let recipient = secret.as_ref().map(Identity::recipient).or_else(|| recipient.map(str::to_owned));
        let recipient = recipient.unwrap_or_default();
        let content = key::wrap_for(identity, &recipient, whole_second(jiff::Timestamp::now()))?.into();
        let secret = secret.map(|s| s.to_secret());
        let info = match &secret {
            Some(secret) => self.put_key(identity, name, &content, &Unlock::Paper(secret.clone())).await?,
            None => self.put_object(identity, name, &content).await?,
        };
        Ok(PaperKey { info, secret })
    }

    /// Removes all keys of this name. The secret in `keeping` must open another key, so that the caller is
    /// not locked out.
    ///
    /// A copy of the key's object can still be opened with the old secret, and then decrypts every backup of
    /// the repository, also later ones.
    ///
    /// # Errors
    /// `backup-key-unknown`; `backup-key-last` when `keeping` opens no other key; errors of the store.
    pub async fn remove_key(&self, name: &str, keeping: &Unlock) -> Result<()> {
        let named: Vec<String> =
            self.keys().await?.into_iter().filter(|k| k.name == name).map(|k| k.object).collect();
        if named.is_empty() {
            let text = format!("there is no key {name} in {}", self.store.url());
            return Err(Error::new(&codes::BACKUP_KEY_UNKNOWN, text));
        }
        match self.open_key(keeping, |object| !named.iter().any(|n| n == object)).await {
            Ok((_, Some(_))) => {}
            // The repository's own identity needs no key, but other people may only have that key.
            Ok((_, None))
                if self.keys().await?.iter().any(|k| k.name != name && k.kind != KeyKind::Unusable) => {}
            Ok((_, None)) | Err(_) => {
                let text =
                    format!("{name} is the only key that this secret opens, or none is left without it");
                return Err(Error::new(&codes::BACKUP_KEY_LAST, text)
                    .with_hint("add another key first, and give its secret"));
            }
        }
        for object in named {
            self.delete_object(&object).await?;
        }
        Ok(())
    }

    /// Changes a backup key. The new object is stored and read back before the old one is deleted: after an
    /// interruption the old key, the new key or both open the repository. A second call completes the change.
    ///
    /// The data is not changed. A copy of the old object can still be opened with the old key, and then
    /// decrypts every backup of the repository, also later ones.
    ///
    /// # Errors
    /// `backup-key-wrong`, `backup-key-weak`; errors of the store. When only the deletion fails, both keys
    /// open the repository.
    pub async fn change_backup_key(
        &self,
        old: &Secret,
        new: &Secret,
        work_factor: Option<u8>,
    ) -> Result<KeyInfo> {
        check_backup_key(new)?;
        let unlock = Unlock::BackupKey(old.clone());
        let (identity, object) = self.open_key(&unlock, |_| true).await?;
        let object = object.unwrap_or_default();
        let name = key::name_of(&object).unwrap_or("main");
        let content = self.wrapped(&identity, new, work_factor).await?;
        let info = self.put_key(&identity, name, &content, &Unlock::BackupKey(new.clone())).await?;
        // Also deletes those left by an interrupted change.
        let mut others = self.store.list(layout::KEYS).await?;
        others.extend(self.store.list(&format!("{COPIES}{}", layout::KEYS)).await?);
        let mut others: Vec<&str> =
            others.iter().map(|o| o.key.strip_prefix(COPIES).unwrap_or(&o.key)).collect();
        others.sort_unstable();
        others.dedup();
        for other in others.into_iter().filter(|o| *o != info.object && key::name_of(o) == Some(name)) {
            self.delete_object(other)
                .await
                .doing(|| format!("deleting the old key {other}; the new one opens already"))?;
        }
        Ok(info)
    }

    async fn check_new_key(&self, identity: &Identity, name: &str) -> Result<()> {
        self.config.check_identity(identity)?;
        key::check_name(name)?;
        if self.keys().await?.iter().any(|k| k.name == name) {
            return Err(Error::new(&codes::BACKUP_KEY_NAME, format!("there is a key {name} already")));
        }
        Ok(())
    }

    async fn wrapped(&self, identity: &Identity, key: &Secret, work_factor: Option<u8>) -> Result<Bytes> {
        let (identity, key, factor) = (identity.clone(), key.clone(), key::work_factor(work_factor));
        let now = whole_second(jiff::Timestamp::now());
        blocking(move || key::wrap(&identity, key, factor, now).map(Bytes::from)).await
    }

    /// Stores a key object with a statement and a second copy, and checks that the store returns it.
    async fn put_object(&self, identity: &Identity, name: &str, content: &Bytes) -> Result<KeyInfo> {
        let key = layout::key(name, content);
        self.store.put(&key, content).await?;
        let stored = get_at_most(&*self.store, &key, layout::MOST_SMALL).await?;
        if stored != content {
            let text = format!("{key} was stored, and came back different");
            return Err(Error::new(&codes::OBJECT_CORRUPT, text));
        }
        if let Err(e) = requirements::check_conditional(&*self.store, &key, content).await {
            self.store.delete(&key).await?;
            return Err(e);
        }
        for (beside, content) in key::beside(&key, &self.config.id, content, &identity.owner_key()) {
            self.store.put(&beside, &content).await?;
        }
        let meta = self.store.head(&key).await?;
        let meta = meta.unwrap_or_else(|| ObjectMeta::new(key, stored.len() as u64));
        Ok(KeyInfo::new(&meta, &stored))
    }

    /// Deletes a key object. Its statement and copies are deleted first, so that an interrupted call can be repeated.
    async fn delete_object(&self, key: &str) -> Result<()> {
        for beside in key::beside_keys(key) {
            if self.store.head(&beside).await?.is_some() {
                self.store.delete(&beside).await?;
            }
        }
        self.store.delete(key).await
    }

    /// Stores a key object and checks that the stored content can be opened.
    async fn put_key(
        &self,
        identity: &Identity,
        name: &str,
        content: &Bytes,
        unlock: &Unlock,
    ) -> Result<KeyInfo> {
        let info = self.put_object(identity, name, content).await?;
        let (content, unlock) = (content.clone(), unlock.clone());
        let opened = blocking(move || key::open(&content, &unlock)).await?;
        if self.config.is_of(&opened) {
            return Ok(info);
        }
        Err(Error::new(&codes::OBJECT_CORRUPT, format!("{} does not open the repository", info.object)))
    }
}
