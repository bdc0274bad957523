//! Signers: the owner, or a writer with its certificate.

use ed25519_dalek::SigningKey;
use serde::Serialize;

use super::{Certificate, WriterId};
use crate::keys::sign;

/// The field of a writer's certificate.
pub(crate) const CERTIFICATE: &str = "certificate";

/// A signing key, with the certificate of a writer.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) key: SigningKey,
    pub(crate) certificate: Option<Certificate>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Signer {
    /// Creates the signer of the owner.
    pub(crate) fn owner(key: SigningKey) -> Self {
        Self { key, certificate: None }
    }

    /// Returns the id of the writer, or `None` for the owner.
    pub(crate) fn writer(&self) -> Option<WriterId> {
        self.certificate.as_ref().map(Certificate::writer)
    }

    /// Returns the object with the certificate in it, signed.
    pub(crate) fn sign(&self, object: &impl Serialize, context: &[u8]) -> Vec<u8> {
        let mut value = serde_json::to_value(object).expect("the object is plain JSON");
        if let (Some(object), Some(certificate)) = (value.as_object_mut(), &self.certificate) {
            let certificate = serde_json::to_value(certificate).expect("a certificate is plain JSON");
            object.insert(CERTIFICATE.to_owned(), certificate);
        }
        sign::signed_json(&value, context, &self.key)
    }
}
