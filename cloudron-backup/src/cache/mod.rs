//! What is remembered between runs in a folder of the caller's. Losing it costs time, and what it notices.

pub(crate) mod files;
pub(crate) mod history;
pub(crate) mod summaries;
