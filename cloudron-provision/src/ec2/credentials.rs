//! Authentication of requests.

use std::fmt;

use cloudron_core::Secret;

/// AWS credentials. `Debug` shows the key's ID only.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Access key ID.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: Secret,
    /// Session token of temporary credentials.
    pub session_token: Option<Secret>,
}

impl Credentials {
    /// Credentials that do not expire.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: Secret) -> Self {
        Self { access_key_id: access_key_id.into(), secret_access_key, session_token: None }
    }

    /// Replaces the secret parts in a text by `…`, also where they are percent-encoded.
    pub(super) fn redact(&self, text: &str) -> String {
        let secrets = [Some(&self.secret_access_key), self.session_token.as_ref()];
        let mut text = text.to_owned();
        for secret in secrets.into_iter().flatten().filter(|secret| !secret.is_empty()) {
            for form in [secret.expose().to_owned(), super::encode::percent(secret.expose())] {
                text = text.replace(&form, "…");
            }
        }
        text
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.session_token.is_some();
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("session", &session)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_in_either_form() {
        let session_token = Some(Secret::new("to+k/en=="));
        let credentials = Credentials { session_token, ..Credentials::new("AKID", Secret::new("se/cret")) };
        let text = "a se/cret, se%2Fcret, to+k/en==, to%2Bk%2Fen%3D%3D b";
        assert_eq!(credentials.redact(text), "a …, …, …, … b");
        let empty = Credentials::new("AKID", Secret::new(""));
        assert_eq!(empty.redact("a b"), "a b");
        let shown = format!("{credentials:?}");
        assert!(shown.contains("AKID") && !shown.contains("cret") && !shown.contains("to+k"), "{shown}");
    }
}
