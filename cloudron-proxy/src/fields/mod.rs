//! The fields of requests and responses that a proxy removes, sets or checks.

mod hop;
mod request;
mod response;
mod target;

pub(crate) use request::{Facts, forward};
pub(crate) use response::{back, is_switch, trailers};
pub(crate) use target::{Problem, target};
