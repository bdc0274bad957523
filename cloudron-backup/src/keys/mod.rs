//! Keys: the repository's identity, and the keys of writers derived from it.

mod certificate;
mod kept;
pub(crate) mod sign;
pub(crate) mod signer;
mod unlock;

use std::fmt;
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use bech32::{Bech32, Hrp};
use cloudron_core::{Error, Result, Secret, random};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub(crate) use self::certificate::check_name as check_writer_name;
pub use self::certificate::{Certificate, WriterId, WriterLimits};
pub use self::kept::KeptWriterKeys;
pub(crate) use self::signer::Signer;
pub use self::unlock::Unlock;
use crate::codes;
use crate::keys::sign::verifying_key;

/// The name of the writer that every repository has.
pub(crate) const MAIN: &str = "main";
/// The shortest backup key, in characters.
pub const MIN_BACKUP_KEY: usize = 12;
/// The longest backup key, in bytes: a terminal accepts lines up to about this length.
pub const MAX_BACKUP_KEY: usize = 1000;

/// The work factor for a key from [`generate_backup_key`], which cannot be guessed: fast on a small machine.
/// Not for a key that a person chose, whatever it looks like.
pub const GENERATED_WORK_FACTOR: u8 = 15;

/// The contexts of `blake3::derive_key` that derive the other keys from the identity. They are part of the format.
mod context {
    pub(super) const INDEX: &str = "cloudron-backup 2026-11 v1 index identity";
    pub(super) const CHUNK: &str = "cloudron-backup 2026-11 v1 chunk id key";
    pub(super) const OWNER: &str = "cloudron-backup 2026-11 v1 owner signing seed";
    /// The key that all writers of a repository of format 1 share.
    pub(super) const FIRST_SIGNING: &str = "cloudron-backup 2026-11 v1 snapshot signing seed";
    pub(super) const WRITER: &str = "cloudron-backup 2026-11 v2 writer signing seed";
}

/// Says where the environment says that the backup key is, as a reference: in the file that `CLOUDRON_BACKUP_KEY_FILE` names,
/// or in `CLOUDRON_BACKUP_KEY` itself.
#[must_use]
pub fn backup_key_in_environment() -> Option<String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match set("CLOUDRON_BACKUP_KEY_FILE") {
        Some(path) => Some(format!("file:{path}")),
        None => set("CLOUDRON_BACKUP_KEY").map(|_| "env:CLOUDRON_BACKUP_KEY".to_owned()),
    }
}

/// A repository's own X25519 identity, which can decrypt every backup.
#[derive(Clone)]
pub struct Identity(age::x25519::Identity);

impl Identity {
    /// Generates a new identity.
    pub fn generate() -> Self {
        Self(age::x25519::Identity::generate())
    }

    /// Reads an identity from its text form, `AGE-SECRET-KEY-1…`.
    ///
    /// # Errors
    /// `identity-invalid`.
    pub fn parse(text: &Secret) -> Result<Self> {
        // The parser's message is left out: it may quote the secret.
        age::x25519::Identity::from_str(text.expose().trim())
            .map(Self)
            .map_err(|_| Error::new(&codes::IDENTITY_INVALID, "the text is not an age X25519 identity"))
    }

    /// Returns the text form, `AGE-SECRET-KEY-1…`, which `age -d -i` accepts in a file.
    pub fn to_secret(&self) -> Secret {
        Secret::new(self.0.to_string().expose_secret())
    }

    /// Returns the public key, `age1…`.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// Returns the keys for making backups, which cannot decrypt them. They belong to the writer `main`,
    /// which every repository has and which may sign backups of any machine.
    pub fn writer_keys(&self) -> WriterKeys {
        self.certified(MAIN, &WriterLimits::default())
    }

    /// Returns the keys of another writer, with its own signing key.
    ///
    /// # Errors
    /// `writer-name` for a name that is not allowed.
    pub fn writer(&self, name: &str, limits: &WriterLimits) -> Result<WriterKeys> {
        check_writer_name(name)?;
        Ok(self.certified(name, limits))
    }

    fn certified(&self, name: &str, limits: &WriterLimits) -> WriterKeys {
        let own = self.scalar();
        let derive = |context: &str| Zeroizing::new(blake3::derive_key(context, &own[..]));
        let hex = |key: Zeroizing<[u8; 32]>| Secret::new(hex::encode(&key[..]));
        let named = Zeroizing::new([&own[..], name.as_bytes()].concat());
        let seed = Zeroizing::new(blake3::derive_key(context::WRITER, &named));
        let key = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
        let owner = self.owner_key();
        WriterKeys {
            recipient: self.recipient(),
            index_identity: identity_text(&derive(context::INDEX)),
            chunk_key: hex(derive(context::CHUNK)),
            signing_seed: hex(seed),
            owner: hex::encode(owner.verifying_key().as_bytes()),
            certificate: Certificate::new(name, &key, limits, &owner),
        }
    }

    /// Returns the key that all writers of a repository of format 1 share.
    pub(crate) fn first_signing_key(&self) -> ed25519_dalek::SigningKey {
        let seed = Zeroizing::new(blake3::derive_key(context::FIRST_SIGNING, &self.scalar()[..]));
        ed25519_dalek::SigningKey::from_bytes(&seed)
    }

    /// Returns the owner as a signer.
    pub(crate) fn owner_signer(&self) -> Signer {
        Signer::owner(self.owner_key())
    }

    /// Returns the owner's signing key. Writers do not have it.
    pub(crate) fn owner_key(&self) -> ed25519_dalek::SigningKey {
        let seed = Zeroizing::new(blake3::derive_key(context::OWNER, &self.scalar()[..]));
        ed25519_dalek::SigningKey::from_bytes(&seed)
    }

    /// Returns the 32 bytes of the secret key.
    fn scalar(&self) -> Zeroizing<[u8; 32]> {
        let text = self.to_secret();
        let (_, bytes) = bech32::decode(text.expose()).expect("age writes identities in bech32");
        let bytes = Zeroizing::new(bytes);
        Zeroizing::new(bytes[..].try_into().expect("an X25519 key has 32 bytes"))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("recipient", &self.recipient()).finish_non_exhaustive()
    }
}

/// Returns the text form of an identity, as age's format prescribes: bech32 in upper case.
fn identity_text(scalar: &[u8; 32]) -> Secret {
    let prefix = Hrp::parse("age-secret-key-").expect("the prefix is valid");
    let text = Zeroizing::new(bech32::encode::<Bech32>(prefix, scalar).expect("32 bytes are not too long"));
    Secret::new(text.to_uppercase())
}

/// The keys that a machine needs to make backups. They allow adding to the repository, and finding out which
/// chunks exist; they cannot decrypt a backup.
///
/// Serializes with its secrets in clear text: only write it to a file of mode 0600 or an encrypted channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterKeys {
    /// The repository's public key, `age1…`, to which everything is encrypted.
    pub recipient: String,
    /// A second identity, `AGE-SECRET-KEY-1…`, which opens the index objects and nothing else.
    pub index_identity: Secret,
    /// The key of chunk ids: 32 bytes in hex.
    pub chunk_key: Secret,
    /// The seed of the writer's ed25519 signing key: 32 bytes in hex.
    pub signing_seed: Secret,
    /// The public key of the owner, with which the writer checks signatures: 32 bytes in hex.
    pub owner: String,
    /// The owner's certificate for the signing key.
    pub certificate: Certificate,
}

impl WriterKeys {
    /// Returns the public key of the index identity, `age1…`.
    ///
    /// # Errors
    /// `identity-invalid` when these keys were not created by this program.
    pub fn index_recipient(&self) -> Result<String> {
        Ok(Identity::parse(&self.index_identity)?.recipient())
    }

    /// The keys as text for a file of mode 0600.
    ///
    /// # Errors
    /// `writer-keys`.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|_| Error::new(&codes::WRITER_KEYS, "the keys cannot be written as JSON"))
    }

    pub(crate) fn chunk_key(&self) -> Result<Zeroizing<[u8; 32]>> {
        key_bytes(&self.chunk_key)
    }

    pub(crate) fn signing_key(&self) -> Result<ed25519_dalek::SigningKey> {
        Ok(ed25519_dalek::SigningKey::from_bytes(&*key_bytes(&self.signing_seed)?))
    }

    /// Returns the id of the writer.
    pub fn writer(&self) -> WriterId {
        self.certificate.writer()
    }

    pub(crate) fn owner_key(&self) -> Result<ed25519_dalek::VerifyingKey> {
        let invalid = || Error::new(&codes::IDENTITY_INVALID, "the owner's key is not an ed25519 key in hex");
        verifying_key(&self.owner).ok_or_else(invalid)
    }

    /// Returns the writer as a signer.
    ///
    /// # Errors
    /// `identity-invalid` when the certificate is for another signing key.
    pub(crate) fn signer(&self) -> Result<Signer> {
        let key = self.signing_key()?;
        if WriterId::of(&key.verifying_key()) != self.writer() {
            let text = "the certificate is not that of the writer's signing key";
            return Err(Error::new(&codes::IDENTITY_INVALID, text));
        }
        Ok(Signer { key, certificate: Some(self.certificate.clone()) })
    }
}

fn key_bytes(text: &Secret) -> Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.expose(), &mut key[..])
        .map_err(|_| Error::new(&codes::IDENTITY_INVALID, "a writer's key is not 32 bytes in hex"))?;
    Ok(key)
}

/// Generates a random backup key: 40 characters, 200 bits.
pub fn generate_backup_key() -> Secret {
    Secret::new(random::token(40))
}

/// Checks that a text is allowed as a backup key.
///
/// # Errors
/// `backup-key-weak`.
pub fn check_backup_key(key: &Secret) -> Result<()> {
    let text = key.expose();
    let weak = |why: &str| Err(Error::new(&codes::BACKUP_KEY_WEAK, format!("the backup key {why}")));
    if text.chars().any(|c| c.is_control() || c == '\u{feff}') {
        return weak("is not one line of text without control characters");
    }
    if text.chars().count() < MIN_BACKUP_KEY {
        return weak(&format!("has less than {MIN_BACKUP_KEY} characters"));
    }
    if text.len() > MAX_BACKUP_KEY {
        return weak(&format!("has more than {MAX_BACKUP_KEY} bytes"));
    }
    if matches!(Unlock::new(key), Unlock::Paper(_)) {
        return weak("is an age identity: that is what a paper key is for");
    }
    if text.trim() != text {
        return weak("starts or ends with a blank, which gets lost too easily");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_keys_follow_from_the_identity_and_never_change() {
        let text = "AGE-SECRET-KEY-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0S0EHRLS";
        let identity = Identity::generate();
        assert_eq!(identity.writer_keys(), Identity::parse(&identity.to_secret()).unwrap().writer_keys());
        let scalar: Vec<u8> = (0..32).collect();
        let fixed = identity_text(&scalar.try_into().unwrap());
        assert_eq!(fixed.expose().len(), text.len());
        let keys = Identity::parse(&fixed).unwrap().writer_keys();
        assert_eq!(keys, Identity::parse(&fixed).unwrap().writer_keys());
        assert_ne!(keys.index_recipient().unwrap(), keys.recipient);
    }

    #[test]
    fn debug_shows_no_secret() {
        let identity = Identity::generate();
        let text = format!("{identity:?} {:?}", identity.writer_keys());
        assert!(!text.contains("AGE-SECRET-KEY"));
        assert!(!text.contains(identity.writer_keys().chunk_key.expose()));
    }

    #[test]
    fn a_backup_key_is_one_line_of_twelve_characters() {
        for bad in
            ["", "elevenchars", "two lines\nof text", "tab\tin the key", " starts blank", "ends blank\n"]
        {
            let error = check_backup_key(&Secret::new(bad)).unwrap_err();
            assert!(error.is(&codes::BACKUP_KEY_WEAK), "{bad:?}");
            assert!(bad.is_empty() || !error.to_string().contains(bad), "the key is not in the message");
        }
        assert!(check_backup_key(&Secret::new("zwölf Zeiche")).is_ok());
        assert!(check_backup_key(&generate_backup_key()).is_ok());
    }
}
