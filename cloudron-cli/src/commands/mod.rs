//! One file per command: parse, call a library, render.

pub(crate) mod backup;
pub(crate) mod cloud;
pub(crate) mod completions;
pub(crate) mod dns;
pub(crate) mod explain;
pub(crate) mod machine;
pub(crate) mod not_yet;
pub(crate) mod policy;
pub(crate) mod server;
pub(crate) mod version;
