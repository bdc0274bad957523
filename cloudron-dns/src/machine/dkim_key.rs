//! Generates DKIM keys with OpenSSL.

use cloudron_core::{ResultExt, Secret, SecretRef};
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use zeroize::Zeroizing;

use super::{Dkim, MIN_RSA_BITS};
use crate::{Error, Result, codes};

/// Key size in bits that every receiver verifies and that fits into a record everywhere (RFC 8301, section 3.2).
const BITS: u32 = 2048;

/// A DKIM key: its private half for the server, its public half for the zone.
#[derive(Debug, Clone)]
pub struct DkimKey {
    private: Secret,
    public: String,
    bits: usize,
}

impl DkimKey {
    /// Returns the public half of a key as a user names it: `SELECTOR=REFERENCE`, where the private half is, or
    /// `SELECTOR=BASE64`. What cannot be a public key is not quoted, since it may be a private one.
    ///
    /// # Errors
    /// `usage` for text of another form; `dns-dkim`; errors of reading the reference.
    pub fn find(text: &str) -> Result<Dkim> {
        let (selector, key) = text.split_once('=').ok_or_else(|| {
            let message = "a key for mail is a selector and a key, as SELECTOR=file:PATH or SELECTOR=BASE64";
            Error::new(&cloudron_core::codes::USAGE, message)
        })?;
        let reading = || format!("reading the key {selector} for mail");
        match SecretRef::parse(key) {
            reference @ (SecretRef::File(_) | SecretRef::Env(_) | SecretRef::Command(_)) => {
                let private = reference.resolve(&mut std::io::empty()).doing(reading)?;
                Ok(Self::from_pem(&private).doing(reading)?.dkim(selector))
            }
            _ => Dkim::from_public(selector, key).doing(reading),
        }
    }

    /// Generates a new RSA key of 2048 bits. This takes some tenths of a second of CPU time: call it outside the async
    /// runtime's threads.
    ///
    /// # Errors
    /// `dns-dkim` if OpenSSL fails or generates an unexpected key.
    pub fn generate() -> Result<Self> {
        let rsa = Rsa::generate(BITS).map_err(|e| failed("cannot be made", &e))?;
        let key = Self::of(rsa)?;
        if key.bits != BITS as usize {
            return Err(Error::new(&codes::DKIM, format!("a key of {} bits was made", key.bits)));
        }
        Ok(key)
    }

    /// Parses an existing key in PEM (PKCS #1 or PKCS #8, not encrypted).
    ///
    /// # Errors
    /// `dns-dkim` if it is not such a key, its parts do not match each other, or it has fewer than [`MIN_RSA_BITS`]
    /// bits.
    pub fn from_pem(pem: &Secret) -> Result<Self> {
        // A callback without a password, so that OpenSSL does not prompt on a terminal.
        let key = PKey::private_key_from_pem_callback(pem.expose().as_bytes(), |_| Ok(0));
        let rsa = key.and_then(|key| key.rsa()).map_err(|e| failed("is no RSA key in PEM", &e))?;
        if !rsa.check_key().map_err(|e| failed("cannot be checked", &e))? {
            return Err(Error::new(&codes::DKIM, "the parts of the private key do not fit each other"));
        }
        Self::of(rsa)
    }

    fn of(rsa: Rsa<Private>) -> Result<Self> {
        let bits = rsa.n().num_bits().unsigned_abs() as usize;
        if bits < MIN_RSA_BITS {
            let message = format!("the key has {bits} bits, and receivers accept none below {MIN_RSA_BITS}");
            return Err(Error::new(&codes::DKIM, message));
        }
        let public = rsa.public_key_to_der().map_err(|e| failed("has no public half", &e))?;
        let key = PKey::from_rsa(rsa).map_err(|e| failed("cannot be written", &e))?;
        let pem =
            Zeroizing::new(key.private_key_to_pem_pkcs8().map_err(|e| failed("cannot be written", &e))?);
        let private = Secret::new(String::from_utf8_lossy(&pem));
        Ok(Self { private, public: openssl::base64::encode_block(&public), bits })
    }

    /// Returns the private half, in PEM (PKCS #8).
    pub fn private_pem(&self) -> &Secret {
        &self.private
    }

    /// Returns the public half (SubjectPublicKeyInfo, DER) in base64, as in its record.
    pub fn public_key(&self) -> &str {
        &self.public
    }

    /// Returns the size in bits.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Returns the public half with its selector.
    pub fn dkim(&self, selector: impl Into<String>) -> Dkim {
        Dkim { selector: selector.into(), public_key: self.public.clone() }
    }
}

/// Converts an OpenSSL error; it contains no part of a key.
fn failed(what: &str, error: &openssl::error::ErrorStack) -> Error {
    Error::new(&codes::DKIM, format!("the private key {what}: {error}"))
}
