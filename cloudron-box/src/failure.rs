//! Errors on their way from one process of the server to another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, codes};

/// An error as a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failure {
    code: String,
    message: String,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    details: BTreeMap<String, String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().name.to_owned(),
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            details: error.details().clone(),
        }
    }
}

impl Failure {
    /// Returns the error again. One of a code that this program does not know has the code `otherwise`.
    pub(crate) fn into_error(self, otherwise: &'static cloudron_core::Code) -> Error {
        let known = codes::ALL.iter().chain(cloudron_core::codes::ALL).chain(cloudron_backup::codes::ALL);
        let code = known.copied().find(|c| c.name == self.code).unwrap_or(otherwise);
        let error = Error::new(code, self.message).with_details(self.details);
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
