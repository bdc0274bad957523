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

/// A login that has neither ended nor expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its name, to end it by. It says nothing of the token.
    pub id: String,
    /// Who logged in.
    pub username: Option<String>,
    /// When that was.
    pub created_at: Timestamp,
    /// When it stops being valid.
    pub expires_at: Timestamp,
    /// When it was last used, within ten minutes.
    pub used_at: Option<Timestamp>,
    /// The address from which it was last used.
    pub address: Option<String>,
    /// Whether it is the one that asks.
    #[serde(default)]
    pub current: bool,
}

/// `GET /api/v1/sessions`: the user's own, newest first; to a token made on the machine, those of all users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionList {
    /// The sessions.
    pub sessions: Vec<Session>,
}

/// `DELETE /api/v1/sessions` and `DELETE /api/v1/sessions/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionsEnded {
    /// How many ended.
    pub ended: usize,
}

/// `POST /api/v1/profile/password`. All other sessions of the user end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PasswordRequest {
    /// The password until now.
    pub password: Secret,
    /// The new one: 10 to 256 characters.
    pub new_password: Secret,
}
