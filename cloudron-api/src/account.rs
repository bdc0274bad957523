use cloudron_core::Secret;
use cloudron_core::table::Table;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /api/v1/cloudron/activate`, with the one-time setup token as bearer token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivateRequest {
    /// The owner's e-mail address, accepted as a login name.
    pub email: String,
    /// The owner's password: 10 to 256 characters.
    pub password: Secret,
    /// An additional login name: 2 to 64 letters, digits, dots, hyphens or underscores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The owner's display name.
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

/// The answer to activation and login: a bearer token for the other routes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenAnswer {
    /// The token, for the header `Authorization: Bearer …`.
    pub token: Secret,
    /// Time at which it expires.
    pub expires_at: Timestamp,
}

/// A login session that has neither ended nor expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// ID by which it can be ended. It reveals nothing about the token.
    pub id: String,
    /// Name of the user who logged in.
    pub username: Option<String>,
    /// Time of the login.
    pub created_at: Timestamp,
    /// Time at which it expires.
    pub expires_at: Timestamp,
    /// Time of the last use, to within ten minutes.
    pub used_at: Option<Timestamp>,
    /// Address of the last use.
    pub address: Option<String>,
    /// True for the session that sent this request.
    #[serde(default)]
    pub current: bool,
}

/// `GET /api/v1/sessions`: the user's own sessions, newest first; for a token made on the machine, those of
/// all users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionList {
    /// The sessions.
    pub sessions: Vec<Session>,
}

impl SessionList {
    /// Returns a table of the sessions.
    pub fn table(&self) -> Table {
        let mut table = Table::new(["Id", "User", "Since", "Last used", "From", "Until"]);
        let time = |t: &Timestamp| t.strftime("%Y-%m-%d %H:%MZ").to_string();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        for session in &self.sessions {
            table.row([
                session.id.clone(),
                or_none(session.username.clone()),
                time(&session.created_at),
                or_none(session.used_at.as_ref().map(time)),
                or_none(session.address.clone()),
                time(&session.expires_at),
            ]);
        }
        table
    }
}

/// `DELETE /api/v1/sessions` and `DELETE /api/v1/sessions/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionsEnded {
    /// The number of sessions ended.
    pub ended: usize,
}

/// `POST /api/v1/profile/password`. All other sessions of the user end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PasswordRequest {
    /// The current password.
    pub password: Secret,
    /// The new password: 10 to 256 characters.
    pub new_password: Secret,
}
