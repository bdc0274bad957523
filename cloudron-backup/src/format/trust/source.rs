//! Determines the signer of an object.

use serde_json::Value;

use super::{Source, Trust};
use crate::keys::sign;
use crate::keys::signer::CERTIFICATE;

impl Trust {
    /// Returns the signer of an object: the writer of the certificate in it, else the owner. Returns `None`
    /// without a valid signature. A revoked writer counts as the signer.
    pub(crate) fn source(&self, value: &Value, context: &[u8]) -> Option<Source> {
        match value.get(CERTIFICATE) {
            Some(certificate) => {
                let (writer, key) = self.signer_of(certificate)?;
                sign::is_signed(value, context, &key).then_some(Source::Writer(writer))
            }
            None => sign::is_signed(value, context, self.owner()?).then_some(Source::Owner),
        }
    }

    /// As [`source`](Self::source), for a signature over bytes with the certificate beside them.
    pub(crate) fn source_of_bytes(
        &self,
        certificate: Option<&Value>,
        text: &[u8],
        signature: &str,
    ) -> Option<Source> {
        match certificate {
            Some(certificate) => {
                let (writer, key) = self.signer_of(certificate)?;
                sign::checks(text, signature, &key).then_some(Source::Writer(writer))
            }
            None => sign::checks(text, signature, self.owner()?).then_some(Source::Owner),
        }
    }
}
