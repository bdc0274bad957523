//! Passwords: their rules, hashing and checking. Argon2id with the parameters that the crate recommends
//! (19 MiB, two passes), which are those of OWASP's password storage cheat sheet.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use cloudron_core::Secret;

use crate::{Error, Result, codes};

/// Checks that a text can be a password.
///
/// # Errors
/// `bad-request` when it has less than 10 or more than 256 characters.
pub(crate) fn check(password: &Secret) -> Result<()> {
    let length = password.expose().chars().count();
    if (10..=256).contains(&length) {
        return Ok(());
    }
    Err(Error::new(&codes::BAD_REQUEST, "the password must have 10 to 256 characters"))
}

/// Hashes a password, which takes some milliseconds and megabytes.
pub(crate) fn hash(password: &Secret) -> Result<String> {
    let hash = Argon2::default().hash_password(password.expose().as_bytes());
    hash.map(|h| h.to_string()).map_err(|e| {
        Error::new(&cloudron_core::codes::FAILED, format!("the password could not be hashed: {e}"))
    })
}

/// Whether a password is the one of a hash.
pub(crate) fn verify(password: &Secret, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok())
}

/// Takes as long as checking a password, for a user that does not exist.
pub(crate) fn pretend(password: &Secret) {
    let _ = hash(password);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_fits_its_hash() {
        let password = Secret::new("correct horse");
        let hashed = hash(&password).unwrap();
        assert!(hashed.starts_with("$argon2id$"));
        assert!(verify(&password, &hashed) && !verify(&Secret::new("correct horsf"), &hashed));
        assert!(!verify(&password, "") && !verify(&password, "$argon2id$garbage"));
    }

    #[test]
    fn a_password_has_ten_to_256_characters() {
        for (length, good) in [(9, false), (10, true), (256, true), (257, false)] {
            assert_eq!(check(&Secret::new("ä".repeat(length))).is_ok(), good, "{length}");
        }
    }
}
