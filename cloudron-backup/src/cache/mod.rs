//! Caches kept between runs in a folder of the caller. Losing it costs time, and the detection of rollbacks.

pub(crate) mod files;
pub(crate) mod history;
pub(crate) mod summaries;
