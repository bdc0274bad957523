//! The object `cloudron-backup.json`, which describes the repository.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloudron_core::{Error, Result, random};
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use crate::chunk::cut::Chunking;
use crate::encrypt::EncryptionLayer;
use crate::keys::sign::{self, verifying_key};
use crate::keys::{Identity, WriterKeys};
use crate::{codes, layout};

/// The version of the layout that this program reads and writes.
pub(crate) const VERSION: u32 = 2;
/// The older version that this program still reads.
pub(crate) const FIRST: u32 = 1;
/// The value that distinguishes the object from other JSON.
const FORMAT: &str = "cloudron-backup";
/// The start of the signed text.
const SIGNED: &[u8] = b"cloudron-backup config v2\n";
/// The start of the signed text in format 1.
const FIRST_SIGNED: &[u8] = b"cloudron-backup config v1\n";

/// The recipients of encrypted objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recipients {
    /// Recipients of all objects: the repository's identity first, then any others.
    pub(crate) data: Vec<String>,
    /// Additional recipients of index objects.
    pub(crate) index: Vec<String>,
}

/// The description of a repository. It contains no secrets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Config {
    format: String,
    pub(crate) version: u32,
    pub(crate) id: String,
    pub(crate) created: jiff::Timestamp,
    pub(crate) recipients: Recipients,
    /// The public key of the owner, in hex.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    owner: String,
    /// The public keys that sign summaries in format 1, in hex.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signing_keys: Vec<String>,
    pub(crate) chunker: Chunking,
    /// The SHA-256 of the files with instructions for restoring without this program, in hex, by name.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// The name of the layer if objects are not encrypted as plain age files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) encryption: Option<String>,
    #[serde(skip)]
    pub(crate) layer: Option<Arc<dyn EncryptionLayer>>,
    /// The object as stored, for checking the signature.
    #[serde(skip)]
    object: Vec<u8>,
}

impl Config {
    /// Creates the description of a new repository with this identity.
    pub(crate) fn new(
        identity: &Identity,
        files: &[(&str, &[u8])],
        layer: Option<Arc<dyn EncryptionLayer>>,
    ) -> Result<Self> {
        let (keys, owner) = (identity.writer_keys(), identity.owner_key());
        let mut config = Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            id: hex::encode(random::bytes::<16>()),
            created: whole_second(jiff::Timestamp::now()),
            recipients: Recipients {
                data: vec![keys.recipient.clone()],
                index: vec![keys.index_recipient()?],
            },
            owner: hex::encode(owner.verifying_key().as_bytes()),
            signing_keys: Vec::new(),
            chunker: Chunking::default(),
            files: files.iter().map(|(n, c)| (n.to_string(), layout::object_id(c))).collect(),
            encryption: layer.as_ref().map(|l| l.name().to_owned()),
            layer,
            object: Vec::new(),
        };
        config.object = sign::signed_json(&config, SIGNED, &owner);
        Ok(config)
    }

    /// Returns the description of the same repository in the current format, with new recovery files.
    pub(crate) fn upgraded(&self, identity: &Identity, files: &[(&str, &[u8])]) -> Self {
        let owner = identity.owner_key();
        let mut config = Self {
            version: VERSION,
            owner: hex::encode(owner.verifying_key().as_bytes()),
            signing_keys: Vec::new(),
            files: files.iter().map(|(n, c)| (n.to_string(), layout::object_id(c))).collect(),
            ..self.clone()
        };
        config.object = sign::signed_json(&config, SIGNED, &owner);
        config
    }

    /// Parses the object.
    pub(crate) fn parse(content: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let corrupt = |text: String| Error::new(&codes::REPOSITORY_CORRUPT, text);
        let unreadable = |e: serde_json::Error| corrupt(format!("cloudron-backup.json cannot be read: {e}"));
        let head: Head = serde_json::from_slice(content).map_err(unreadable)?;
        if head.format != FORMAT {
            return Err(corrupt(format!("cloudron-backup.json describes a {:?}", head.format)));
        }
        if head.version != VERSION && head.version != FIRST {
            let text = format!("the repository has format {}, this program knows {VERSION}", head.version);
            return Err(Error::new(&codes::REPOSITORY_NEWER, text).with_hint("update cloudron"));
        }
        let mut config: Self = serde_json::from_slice(content).map_err(unreadable)?;
        config.object = content.to_vec();
        let id_ok = config.id.len() == 32 && config.id.bytes().all(|b| b.is_ascii_hexdigit());
        let owned = config.version == FIRST || config.owner_key().is_some();
        if !id_ok || !owned || config.recipients.data.is_empty() || !config.chunker.is_sane() {
            return Err(corrupt("cloudron-backup.json holds values that make no sense".to_owned()));
        }
        Ok(config)
    }

    /// Returns the signed object.
    pub(crate) fn object(&self) -> &[u8] {
        &self.object
    }

    /// Returns the public key of the owner.
    pub(crate) fn owner_key(&self) -> Option<VerifyingKey> {
        verifying_key(&self.owner)
    }

    /// Returns the public keys that sign summaries in format 1.
    pub(crate) fn first_keys(&self) -> Vec<VerifyingKey> {
        self.signing_keys.iter().filter_map(|k| verifying_key(k)).collect()
    }

    /// Checks the signature of an object as the description of a repository. Without the identity, it is
    /// checked with the key in the object itself, which detects damage but no forgery.
    pub(crate) fn check_signature(content: &[u8], identity: Option<&Identity>) -> Result<()> {
        let config = Self::parse(content)?;
        let (context, key) = match (config.version, identity) {
            (FIRST, None) => (FIRST_SIGNED, config.first_keys().first().copied()),
            (FIRST, Some(identity)) => (FIRST_SIGNED, Some(identity.first_signing_key().verifying_key())),
            (_, None) => (SIGNED, config.owner_key()),
            (_, Some(identity)) => (SIGNED, Some(identity.owner_key().verifying_key())),
        };
        Self::check(content, context, key.as_ref())
    }

    fn check(content: &[u8], context: &[u8], key: Option<&VerifyingKey>) -> Result<()> {
        let value = serde_json::from_slice(content).unwrap_or_default();
        if key.is_some_and(|key| sign::is_signed(&value, context, key)) {
            return Ok(());
        }
        let text = "cloudron-backup.json was changed: its signature does not check";
        Err(Error::new(&codes::REPOSITORY_CORRUPT, text))
    }

    /// Refuses to write to a repository of format 1.
    ///
    /// # Errors
    /// `repository-old`.
    pub(crate) fn check_format(&self) -> Result<()> {
        if self.version == VERSION {
            return Ok(());
        }
        let text = format!("the repository {} has format {}, which can only be read", self.id, self.version);
        Err(Error::new(&codes::REPOSITORY_OLD, text))
    }

    /// Checks that a writer's keys belong to this repository, and that its owner signed the description. An
    /// attacker with write access to the store must not make a writer encrypt to another key.
    ///
    /// # Errors
    /// `repository-old`, `repository-other`, `repository-corrupt`, `identity-invalid`.
    pub(crate) fn check_writer(&self, keys: &WriterKeys) -> Result<()> {
        let ours = self.recipients.data.first() == Some(&keys.recipient)
            && self.recipients.index.contains(&keys.index_recipient()?);
        if !ours {
            let text =
                format!("the keys that this machine holds are not those of the repository {}", self.id);
            return Err(Error::new(&codes::REPOSITORY_OTHER, text));
        }
        self.check_format()?;
        keys.signer()?;
        Self::check(&self.object, SIGNED, Some(&keys.owner_key()?))
    }

    /// Checks whether an identity belongs to this repository.
    pub(crate) fn is_of(&self, identity: &Identity) -> bool {
        self.recipients.data.first() == Some(&identity.recipient())
    }

    /// Checks that an identity belongs to this repository, and that it signed the description.
    pub(crate) fn check_identity(&self, identity: &Identity) -> Result<()> {
        if !self.is_of(identity) {
            let text = format!("the identity is not that of the repository {}", self.id);
            return Err(Error::new(&codes::REPOSITORY_OTHER, text));
        }
        Self::check_signature(&self.object, Some(identity))
    }
}

pub(crate) fn whole_second(time: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_a_server_signed_is_refused_by_whoever_encrypts() {
        let identity = Identity::generate();
        let keys = identity.writer_keys();
        let mut config = Config::new(&identity, &[], None).unwrap();
        config.check_writer(&keys).unwrap();
        assert!(config.data_encryptor().is_ok() && config.index_encryptor().is_ok());
        config.recipients.data.push(Identity::generate().recipient());
        let object = sign::signed_json(&config, SIGNED, &keys.signing_key().unwrap());
        let error = Config::parse(&object).unwrap().check_writer(&keys).unwrap_err();
        assert!(error.is(&codes::REPOSITORY_CORRUPT), "a writer is not the owner");
        let object = sign::signed_json(&config, SIGNED, &identity.owner_key());
        let forged = Config::parse(&object).unwrap();
        forged.check_writer(&keys).unwrap();
        assert!(forged.data_encryptor().unwrap_err().is(&codes::REPOSITORY_CORRUPT));
        assert!(forged.index_encryptor().unwrap_err().is(&codes::REPOSITORY_CORRUPT));
    }

    #[test]
    fn members_that_a_later_program_wrote_are_covered_by_the_signature() {
        let identity = Identity::generate();
        let keys = identity.writer_keys();
        let config = Config::new(&identity, &[], None).unwrap();
        let mut value = serde_json::to_value(&config).unwrap();
        value["later"] = "unknown here".into();
        let object = sign::signed_json(&value, SIGNED, &identity.owner_key());
        Config::parse(&object).unwrap().check_writer(&keys).unwrap();
        let changed = String::from_utf8(object).unwrap().replace("unknown here", "changed");
        let error = Config::parse(changed.as_bytes()).unwrap().check_writer(&keys).unwrap_err();
        assert!(error.is(&codes::REPOSITORY_CORRUPT));
    }
}
