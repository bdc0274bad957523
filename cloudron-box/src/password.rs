//! Passwords: their rules, hashing and checking. Argon2id with the parameters that the crate recommends
//! (19 MiB, two passes), which are those of OWASP's password storage cheat sheet.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use cloudron_core::{Secret, random};
use subtle::ConstantTimeEq;

use crate::{Error, Result, codes};

/// Maximum memory of a stored hash's parameters, in KiB, in case the hash is damaged.
const MOST_MEMORY: usize = 64 * 1024;

/// Checks that a text is a valid password.
///
/// # Errors
/// `bad-request` if it has less than 10 or more than 256 characters.
pub(crate) fn check(password: &Secret) -> Result<()> {
    let length = password.expose().chars().count();
    if (10..=256).contains(&length) {
        return Ok(());
    }
    Err(Error::new(&codes::BAD_REQUEST, "the password must have 10 to 256 characters"))
}

/// Hashes passwords one after the other in the same memory.
#[derive(Debug, Default)]
pub(crate) struct Workplace(Vec<Block>);

impl Workplace {
    /// Hashes a password, which takes some milliseconds and megabytes.
    pub(crate) fn hash(&mut self, password: &Secret) -> Result<String> {
        let made = self.hash_with(password, &Params::default(), &random::bytes::<16>());
        made.map(|hash| hash.to_string())
            .ok_or_else(|| Error::new(&cloudron_core::codes::FAILED, "the password could not be hashed"))
    }

    /// Returns true if a password matches a hash.
    pub(crate) fn verify(&mut self, password: &Secret, hash: &str) -> bool {
        let Ok(hash) = PasswordHash::new(hash) else { return false };
        let (Ok(params), Some(salt), Some(wanted)) = (Params::try_from(&hash), &hash.salt, &hash.hash) else {
            return false;
        };
        if hash.algorithm != Algorithm::Argon2id.ident() || hash.version != Some(Version::V0x13.into()) {
            return false;
        }
        let made = self.hash_with(password, &params, salt);
        made.and_then(|m| m.hash).is_some_and(|made| made.as_bytes().ct_eq(wanted.as_bytes()).into())
    }

    /// Takes as long as verifying a password, for a user that does not exist.
    pub(crate) fn pretend(&mut self, password: &Secret) {
        let _ = self.hash_with(password, &Params::default(), &[0; 16]);
    }

    fn hash_with(&mut self, password: &Secret, params: &Params, salt: &[u8]) -> Option<PasswordHash> {
        if params.block_count() > MOST_MEMORY {
            return None;
        }
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        self.0.resize(params.block_count(), Block::new());
        let mut out = [0; Output::MAX_LENGTH];
        let out = out.get_mut(..params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN))?;
        argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, out, &mut self.0).ok()?;
        Some(PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(params).ok()?,
            salt: Some(Salt::new(salt).ok()?),
            hash: Some(Output::new(out).ok()?),
        })
    }
}

/// Hashes a password outside a running server.
pub(crate) fn hash(password: &Secret) -> Result<String> {
    Workplace::default().hash(password)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher, PasswordVerifier};

    use super::*;

    #[test]
    fn only_the_right_password_fits_its_hash() {
        let (mut place, password) = (Workplace::default(), Secret::new("correct horse"));
        let hashed = place.hash(&password).unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert!(place.verify(&password, &hashed) && !place.verify(&Secret::new("correct horsf"), &hashed));
        assert!(!place.verify(&password, "") && !place.verify(&password, "$argon2id$garbage"));
        assert_ne!(place.hash(&password).unwrap(), hashed, "each hash has a salt of its own");
    }

    #[test]
    fn hashes_are_those_of_the_crate() {
        let (mut place, password) = (Workplace::default(), Secret::new("correct horse"));
        let theirs = Argon2::default().hash_password(b"correct horse").unwrap().to_string();
        assert!(place.verify(&password, &theirs));
        let ours = place.hash(&password).unwrap();
        Argon2::default().verify_password(b"correct horse", ours.as_str()).unwrap();
    }

    #[test]
    fn a_hash_that_asks_for_all_memory_fits_nothing() {
        let (mut place, password) = (Workplace::default(), Secret::new("correct horse"));
        let hashed = place.hash(&password).unwrap().replace("m=19456", "m=4194304");
        assert!(!place.verify(&password, &hashed));
        assert!(place.0.len() <= MOST_MEMORY);
    }

    #[test]
    fn a_password_has_ten_to_256_characters() {
        for (length, good) in [(9, false), (10, true), (256, true), (257, false)] {
            assert_eq!(check(&Secret::new("ä".repeat(length))).is_ok(), good, "{length}");
        }
    }
}
