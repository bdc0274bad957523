//! The helper of root: a dozen typed verbs at most, for parts of the server that have no rights of their own.
//!
//! On a machine of its own it is a unit that systemd starts by its socket. It logs each verb with who asked, to the
//! journal, which no other part can change. Below one folder, where nobody is root, only hooks are run, by the server's
//! own process.

mod client;
mod facts;
mod hooks;
mod root;

pub(crate) use client::Client;
pub(crate) use root::run;

use std::time::Duration;

/// Time limit of a hook command.
pub(crate) const HOOK_LIMIT: Duration = Duration::from_secs(3600);
