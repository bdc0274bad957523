use std::collections::BTreeMap;

use cloudron_core::{Code, Error};
use serde::{Deserialize, Serialize};

/// The body of an error response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The problem, as a sentence without secrets.
    pub message: String,
    /// The stable error code, described by `cloudron explain`.
    pub code: String,
    /// Advice for the user, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Values by their names, for a program that says more about what helps: the details of the error.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

impl ApiError {
    /// Returns the same error with a code of the caller, which knows what `code` stands for there.
    pub fn with_code(self, code: &'static Code) -> Error {
        let error = Error::new(code, self.message).with_details(self.details);
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
