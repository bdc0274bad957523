//! `cloudron box sessions`, `end-sessions`, `reset-password`, `retire` and `unretire`: what the owner of the machine
//! does on it with its users.

use cloudron_box::admin;
use cloudron_box::api::{SessionList, SessionsEnded};
use cloudron_core::{Result, Secret};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Place, Request, value};

/// What `box end-sessions` reads: which session ends, or all without an id.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EndSessions {
    #[serde(default)]
    pub(crate) id: Option<String>,
}

/// What `box reset-password` reads.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ResetPassword {
    pub(crate) password: Secret,
}

/// What `box reset-password` answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PasswordReset {
    /// The owner's e-mail address.
    pub(crate) email: String,
}

/// What `box retire` and `box unretire` answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Retired {
    pub(crate) retired: bool,
    /// Whether it was different before.
    pub(crate) changed: bool,
}

pub(super) fn sessions(place: &Place) -> Result<Value> {
    value(SessionList { sessions: admin::sessions(&place.layout())? })
}

pub(super) fn end_sessions(request: &Request) -> Result<Value> {
    let which: EndSessions = request.read()?;
    value(SessionsEnded { ended: admin::end_sessions(&request.place.layout(), which.id.as_deref())? })
}

pub(super) fn reset_password(request: &Request) -> Result<Value> {
    let new: ResetPassword = request.read()?;
    value(PasswordReset { email: admin::reset_password(&request.place.layout(), &new.password)? })
}

pub(super) fn retire(place: &Place, retired: bool) -> Result<Value> {
    value(Retired { retired, changed: admin::retire(&place.layout(), retired)? })
}
