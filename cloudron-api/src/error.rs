use std::collections::BTreeMap;

use cloudron_core::{Code, Error};
use serde::{Deserialize, Serialize};

/// How the interface says that something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, a sentence without secrets.
    pub message: String,
    /// The stable code, which `cloudron explain` describes.
    pub code: String,
    /// What helps, where something is known to.
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
