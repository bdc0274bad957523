//! `cloudron box sessions`, `end-sessions`, `reset-password`, `retire` and `unretire`: administration by the
//! machine's owner.

use std::io::Read;

use cloudron_api::owner::{EndSessions, PasswordReset, ResetPassword, Retired};
use cloudron_api::{SessionList, SessionsEnded};
use cloudron_core::Result;
use serde_json::Value;

use super::{request, value};
use crate::{Layout, admin};

pub(super) fn sessions(layout: &Layout) -> Result<Value> {
    value(SessionList { sessions: admin::sessions(layout)? })
}

pub(super) fn end_sessions(layout: &Layout, input: impl Read) -> Result<Value> {
    let which: EndSessions = request(input)?;
    value(SessionsEnded { ended: admin::end_sessions(layout, which.id.as_deref())? })
}

pub(super) fn reset_password(layout: &Layout, input: impl Read) -> Result<Value> {
    let new: ResetPassword = request(input)?;
    value(PasswordReset { email: admin::reset_password(layout, &new.password)? })
}

pub(super) fn retire(layout: &Layout, retired: bool) -> Result<Value> {
    value(Retired { retired, changed: admin::retire(layout, retired)? })
}
