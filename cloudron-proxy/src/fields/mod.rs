//! The fields of requests and responses that a proxy removes, sets or checks.

mod hop;
mod request;
mod response;

pub(crate) use request::{Facts, Problem, forward, target};
pub(crate) use response::{back, is_switch, trailers};
