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
}
