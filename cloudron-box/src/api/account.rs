use cloudron_core::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/cloudron/activate`, with the one-time setup token as bearer token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivateRequest {
    /// The owner's e-mail address, which is a name to log in with.
    pub email: String,
    /// The owner's password: 10 to 256 characters.
    pub password: Secret,
    /// Another name to log in with: 2 to 64 letters, digits, dots, hyphens or underscores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The owner's name as people write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// `POST /api/v1/developer/login`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoginRequest {
    /// The e-mail address or the user name.
    #[serde(alias = "email")]
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// What activation and login answer: a bearer token for the other routes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenAnswer {
    /// The token, for the header `Authorization: Bearer …`.
    pub token: Secret,
    /// When it stops being valid.
    pub expires_at: Timestamp,
}
