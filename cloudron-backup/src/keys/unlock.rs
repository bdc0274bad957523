//! What opens a repository.

use cloudron_core::Secret;

/// How the text of every age X25519 identity starts.
pub(crate) const IDENTITY_PREFIX: &str = "AGE-SECRET-KEY-1";

/// What opens a repository: the backup key, or the identity of a paper key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlock {
    /// The backup key, a text that a person chose or the program generated.
    BackupKey(Secret),
    /// An age X25519 identity, `AGE-SECRET-KEY-1…`: that of a paper key, or the repository's own.
    Paper(Secret),
}

impl Unlock {
    /// Tells the two apart by how the text starts: a backup key never starts with `AGE-SECRET-KEY-1`.
    pub fn new(secret: &Secret) -> Self {
        let text = secret.expose().trim();
        match text.get(..IDENTITY_PREFIX.len()) {
            // People type it in small letters too; age takes it in capital ones only.
            Some(start) if start.eq_ignore_ascii_case(IDENTITY_PREFIX) => {
                Self::Paper(Secret::new(text.to_ascii_uppercase()))
            }
            _ => Self::BackupKey(secret.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Identity, generate_backup_key};

    #[test]
    fn an_identity_is_told_from_a_backup_key_by_its_start() {
        let identity = Identity::generate().to_secret();
        let small = Secret::new(format!(" {}\n", identity.expose().to_lowercase()));
        assert_eq!(Unlock::new(&small), Unlock::Paper(identity));
        let key = generate_backup_key();
        assert_eq!(Unlock::new(&key), Unlock::BackupKey(key));
        assert!(matches!(Unlock::new(&Secret::new("ü")), Unlock::BackupKey(_)));
    }
}
