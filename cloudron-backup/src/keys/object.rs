//! The objects under `keys/`: the repository's identity, wrapped for one way to open it.

use cloudron_core::{Error, Result, Secret};
use zeroize::Zeroizing;

use super::Identity;
use crate::encrypt::{AgeIdentities, AgePassphrase, AgeRecipients, Decryptor, Encryptor};
use crate::{codes, layout};

/// The work factor for a key that nobody can guess: fast on a small server.
const FAST_WORK_FACTOR: u8 = 15;
/// The longest name of a key.
const MAX_NAME: usize = 32;

/// How a key object opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// With a backup key, stretched by scrypt with that work factor.
    Passphrase(u8),
    /// With an X25519 identity.
    Paper,
}

/// How an object opens, from the clear header that every age file has. Nothing for what is none.
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

/// The work factor that suits a backup key when none is asked for.
pub(crate) fn work_factor(backup_key: &Secret, asked: Option<u8>) -> u8 {
    asked.unwrap_or(match super::looks_generated(backup_key) {
        true => FAST_WORK_FACTOR,
        false => AgePassphrase::WORK_FACTOR,
    })
}

/// An age identity file of the repository's identity.
fn identity_file(identity: &Identity, created: jiff::Timestamp) -> Zeroizing<String> {
    let secret = identity.to_secret();
    let recipient = identity.recipient();
    Zeroizing::new(format!("# created: {created}\n# public key: {recipient}\n{}\n", secret.expose()))
}

/// Wraps the identity with a backup key. Takes a second of computing on purpose.
pub(crate) fn wrap(
    identity: &Identity,
    backup_key: Secret,
    work_factor: u8,
    created: jiff::Timestamp,
) -> Result<Vec<u8>> {
    let text = identity_file(identity, created);
    AgePassphrase::new(backup_key, work_factor).seal_bytes(text.as_bytes())
}

/// Wraps the identity for a paper key, of which the public half is enough.
pub(crate) fn wrap_for(identity: &Identity, recipient: &str, created: jiff::Timestamp) -> Result<Vec<u8>> {
    AgeRecipients::parse([recipient])?.seal_bytes(identity_file(identity, created).as_bytes())
}

/// Opens an object.
///
/// # Errors
/// `backup-key-wrong` when it does not open, `object-corrupt` when it is damaged.
pub(crate) fn open(content: &[u8], unlock: &super::Unlock) -> Result<Identity> {
    let plain = match (unlock, lock_of(content)) {
        (super::Unlock::BackupKey(key), Some(Lock::Passphrase(_))) => {
            AgePassphrase::new(key.clone(), AgePassphrase::WORK_FACTOR).open_bytes(content)?
        }
        (super::Unlock::Paper(key), Some(Lock::Paper)) => AgeIdentities::parse([key])?.open_bytes(content)?,
        (_, None) => return Err(Error::new(&codes::OBJECT_CORRUPT, "it is no age file of a known kind")),
        _ => return Err(Error::new(&codes::BACKUP_KEY_WRONG, "it opens in another way")),
    };
    identity_in(&Zeroizing::new(plain))
}

/// The identity in an identity file: the line that is neither empty nor a comment.
fn identity_in(text: &[u8]) -> Result<Identity> {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let line = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#'));
    Identity::parse(&Secret::new(line.unwrap_or_default()))
}

/// The name of a key in the key of its object, `keys/<name>-<16 hex>.age`.
pub(crate) fn name_of(object: &str) -> Option<&str> {
    let (name, hash) = object.strip_prefix(layout::KEYS)?.strip_suffix(".age")?.rsplit_once('-')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    (is_hash && !name.is_empty()).then_some(name)
}

/// Checks what a key is to be called.
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
