//! The objects under `keys/`: the repository's identity, each wrapped with one key.

use bytes::Bytes;
use cloudron_core::{Error, Result, Secret};
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::encrypt::{AgeIdentities, AgePassphrase, AgeRecipients, Decryptor, Encryptor};
use crate::keys::{Identity, sign};
use crate::{codes, layout};

/// The start of the signed text of a statement.
const SIGNED: &[u8] = b"cloudron-backup key v2\n";
/// The folder of the second copies of key objects, each below its own key.
pub(crate) const COPIES: &str = "copies/";
/// The maximum length of a key's name.
const MAX_NAME: usize = 32;

/// The kind of key that opens a key object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// A backup key, stretched by scrypt with this work factor.
    Passphrase(u8),
    /// An X25519 identity.
    Paper,
}

/// Returns the kind of key, from the clear-text header of every age file. Returns `None` for other content.
pub(crate) fn lock_of(content: &[u8]) -> Option<Lock> {
    let mut lines =
        content.split(|b| *b == b'\n').take(32).map(|l| std::str::from_utf8(l).unwrap_or_default());
    if lines.next() != Some("age-encryption.org/v1") {
        return None;
    }
    let words: Vec<&str> = lines.next()?.split(' ').collect();
    match words[..] {
        ["->", "scrypt", _, factor] => Some(Lock::Passphrase(factor.parse().ok()?)),
        ["->", "X25519", _] => Some(Lock::Paper),
        _ => None,
    }
}

/// Returns the work factor for a backup key of unknown strength.
pub(crate) fn work_factor(asked: Option<u8>) -> u8 {
    asked.unwrap_or(AgePassphrase::WORK_FACTOR)
}

/// The owner's statement that an object is a key of the repository. It is stored beside the object.
#[derive(Serialize, Deserialize)]
struct Statement {
    key: u32,
    repository: String,
    /// The SHA-256 of the object, in hex.
    object: String,
}

/// Returns the signed statement on a key object.
pub(crate) fn statement(repository: &str, content: &[u8], owner: &SigningKey) -> Vec<u8> {
    let (repository, object) = (repository.to_owned(), layout::object_id(content));
    sign::signed_json(&Statement { key: 1, repository, object }, SIGNED, owner)
}

/// Checks that a statement on this object of this repository is signed by the owner.
pub(crate) fn check_statement(
    statement: &[u8],
    repository: &str,
    content: &[u8],
    owner: &VerifyingKey,
) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(statement) else { return false };
    let says = serde_json::from_value::<Statement>(value.clone())
        .is_ok_and(|s| s.key == 1 && s.repository == repository && s.object == layout::object_id(content));
    says && sign::is_signed(&value, SIGNED, owner)
}

/// Returns the key of the statement on a key object.
pub(crate) fn statement_key(object: &str) -> Option<String> {
    Some(format!("{}.json", object.strip_suffix(".age")?))
}

/// Returns the keys of the objects beside a key object: its second copy and its statement.
pub(crate) fn beside_keys(key: &str) -> Vec<String> {
    let statement = statement_key(key).unwrap_or_default();
    vec![format!("{COPIES}{key}"), statement]
}

/// Returns the objects stored beside a key object, by key.
pub(crate) fn beside(
    key: &str,
    repository: &str,
    content: &Bytes,
    owner: &SigningKey,
) -> impl Iterator<Item = (String, Bytes)> {
    let statement = Bytes::from(statement(repository, content, owner));
    beside_keys(key).into_iter().zip([content.clone(), statement])
}

/// Checks whether a key object's content does not match the hash in its name.
pub(crate) fn is_damaged(key: &str, content: &[u8]) -> bool {
    name_of(key).is_some() && !layout::is_key_sound(key, content)
}

/// Returns an age identity file for the repository's identity. The owner's public key lets a reader that
/// cannot derive it check the owner's signatures.
fn identity_file(identity: &Identity, created: jiff::Timestamp) -> Zeroizing<String> {
    let secret = identity.to_secret();
    let recipient = identity.recipient();
    let owner = hex::encode(identity.owner_key().verifying_key().as_bytes());
    Zeroizing::new(format!(
        "# created: {created}\n# public key: {recipient}\n# owner key: {owner}\n{}\n",
        secret.expose()
    ))
}

/// Wraps the identity with a backup key. Takes about a second, by the design of scrypt.
pub(crate) fn wrap(
    identity: &Identity,
    backup_key: Secret,
    work_factor: u8,
    created: jiff::Timestamp,
) -> Result<Vec<u8>> {
    let text = identity_file(identity, created);
    AgePassphrase::new(backup_key, work_factor).seal_bytes(text.as_bytes())
}

/// Wraps the identity for a paper key, given its public half.
pub(crate) fn wrap_for(identity: &Identity, recipient: &str, created: jiff::Timestamp) -> Result<Vec<u8>> {
    AgeRecipients::parse([recipient])?.seal_bytes(identity_file(identity, created).as_bytes())
}

/// Opens an object.
///
/// # Errors
/// `backup-key-wrong` when it does not open, `object-corrupt` when it is damaged.
pub(crate) fn open(content: &[u8], unlock: &crate::keys::Unlock) -> Result<Identity> {
    let plain = match (unlock, lock_of(content)) {
        (crate::keys::Unlock::BackupKey(key), Some(Lock::Passphrase(_))) => {
            AgePassphrase::new(key.clone(), AgePassphrase::WORK_FACTOR).open_bytes(content)?
        }
        (crate::keys::Unlock::Paper(key), Some(Lock::Paper)) => {
            AgeIdentities::parse([key])?.open_bytes(content)?
        }
        (_, None) => return Err(Error::new(&codes::OBJECT_CORRUPT, "it is no age file of a known kind")),
        _ => return Err(Error::new(&codes::BACKUP_KEY_WRONG, "it opens in another way")),
    };
    identity_in(&Zeroizing::new(plain))
}

/// Returns the identity in an identity file: the line that is neither empty nor a comment.
fn identity_in(text: &[u8]) -> Result<Identity> {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let line = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#'));
    Identity::parse(&Secret::new(line.unwrap_or_default()))
}

/// Returns the name of a key from the key of its object, `keys/<name>-<16 hex>.age`.
pub(crate) fn name_of(object: &str) -> Option<&str> {
    let object = object.strip_prefix(COPIES).unwrap_or(object);
    let (name, hash) = object.strip_prefix(layout::KEYS)?.strip_suffix(".age")?.rsplit_once('-')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    (is_hash && !name.is_empty()).then_some(name)
}

/// Checks the name of a new key.
///
/// # Errors
/// `backup-key-name`.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if plain && !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('-') && !name.ends_with('-') {
        return Ok(());
    }
    Err(Error::new(&codes::BACKUP_KEY_NAME, format!("{name:?} cannot be the name of a key")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Unlock;

    #[test]
    fn the_header_says_how_a_key_opens() {
        let (identity, paper) = (Identity::generate(), Identity::generate());
        let now = jiff::Timestamp::UNIX_EPOCH;
        let key = Secret::new("a backup key");
        let object = wrap(&identity, key.clone(), 3, now).unwrap();
        assert_eq!(lock_of(&object), Some(Lock::Passphrase(3)));
        let on_paper = wrap_for(&identity, &paper.recipient(), now).unwrap();
        assert_eq!(lock_of(&on_paper), Some(Lock::Paper));
        assert_eq!(lock_of(b"no age file"), None);
        let (key, paper) = (Unlock::BackupKey(key), Unlock::Paper(paper.to_secret()));
        assert_eq!(open(&object, &key).unwrap().recipient(), identity.recipient());
        assert_eq!(open(&on_paper, &paper).unwrap().recipient(), identity.recipient());
        for (object, unlock) in [(&object, &paper), (&on_paper, &key)] {
            assert!(open(object, unlock).unwrap_err().is(&codes::BACKUP_KEY_WRONG));
        }
    }

    #[test]
    fn a_statement_counts_for_its_object_and_its_repository_alone() {
        let (identity, other) = (Identity::generate().owner_key(), Identity::generate().owner_key());
        let owner = identity.verifying_key();
        let text = statement("ab", b"object", &identity);
        assert!(check_statement(&text, "ab", b"object", &owner));
        assert!(!check_statement(&text, "ab", b"another", &owner));
        assert!(!check_statement(&text, "cd", b"object", &owner));
        assert!(!check_statement(&statement("ab", b"object", &other), "ab", b"object", &owner));
        assert!(!check_statement(b"[", "ab", b"object", &owner));
        assert_eq!(statement_key("keys/main-00.age").unwrap(), "keys/main-00.json");
    }

    #[test]
    fn names_are_plain_and_stand_before_the_hash() {
        assert_eq!(name_of("keys/my-laptop-0123456789abcdef.age"), Some("my-laptop"));
        assert_eq!(name_of("keys/my-laptop.age"), None);
        assert_eq!(name_of("keys/-0123456789abcdef.age"), None);
        for bad in ["", "A", "a b", "../a", "-a", "a-", "ä", &"a".repeat(33)] {
            assert!(check_name(bad).unwrap_err().is(&codes::BACKUP_KEY_NAME), "{bad:?}");
        }
        check_name("my-laptop2").unwrap();
    }
}
