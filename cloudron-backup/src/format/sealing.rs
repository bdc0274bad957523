//! Selects the keys that encrypt and decrypt the objects of a repository.

use std::sync::Arc;

use cloudron_core::{Error, Result, Secret};

use super::config::Config;
use crate::codes;
use crate::encrypt::{AgeIdentities, AgeRecipients, Decryptor, EncryptionLayer, Encryptor};
use crate::keys::Identity;

impl Config {
    fn encryptor(&self, age: AgeRecipients) -> Arc<dyn Encryptor> {
        let age = Arc::new(age);
        self.layer.as_ref().map_or(age.clone(), |layer| layer.encryptor(age))
    }

    fn decryptor(&self, key: &Secret) -> Result<Arc<dyn Decryptor>> {
        let age = Arc::new(AgeIdentities::parse([key])?);
        Ok(self.layer.as_ref().map_or(age.clone(), |layer| layer.decryptor(age)))
    }

    /// Refuses additional recipients, which this program never adds.
    fn check_readers(&self) -> Result<()> {
        if (self.recipients.data.len(), self.recipients.index.len()) == (1, 1) {
            return Ok(());
        }
        let text = "cloudron-backup.json names readers that this program was not told of";
        Err(Error::new(&codes::REPOSITORY_CORRUPT, text).with_hint(
            "find out who can write to the store, and restore the file from a copy of the repository",
        ))
    }

    /// Returns the encryptor of packs and manifests.
    pub(crate) fn data_encryptor(&self) -> Result<Arc<dyn Encryptor>> {
        self.check_readers()?;
        Ok(self.encryptor(AgeRecipients::parse(&self.recipients.data)?))
    }

    /// Returns the encryptor of index objects.
    pub(crate) fn index_encryptor(&self) -> Result<Arc<dyn Encryptor>> {
        self.check_readers()?;
        let all = self.recipients.data.iter().chain(&self.recipients.index);
        Ok(self.encryptor(AgeRecipients::parse(all)?))
    }

    /// Returns the decryptor of all objects.
    pub(crate) fn owner_decryptor(&self, identity: &Identity) -> Result<Arc<dyn Decryptor>> {
        self.decryptor(&identity.to_secret())
    }

    /// Returns the decryptor of index objects, for the writer's index identity.
    pub(crate) fn index_decryptor(&self, index_identity: &Secret) -> Result<Arc<dyn Decryptor>> {
        self.decryptor(index_identity)
    }

    /// Sets the layer that the repository was created with.
    ///
    /// # Errors
    /// `repository-layer` for another layer, for a missing one, and for an unneeded one.
    pub(crate) fn with_layer(mut self, layer: Option<Arc<dyn EncryptionLayer>>) -> Result<Self> {
        let (needed, given) = (self.encryption.as_deref(), layer.as_ref().map(|l| l.name()));
        if needed == given {
            self.layer = layer;
            return Ok(self);
        }
        let name = |layer: Option<&str>| layer.map_or("plain age".to_owned(), |l| format!("{l:?}"));
        let text = format!("the repository is encrypted with {}, not with {}", name(needed), name(given));
        Err(Error::new(&codes::REPOSITORY_LAYER, text))
    }
}
