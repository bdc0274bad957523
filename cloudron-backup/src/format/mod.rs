//! The objects of a repository: their content, signatures, reading and writing.

pub(crate) mod condemned;
pub(crate) mod config;
pub(crate) mod forgotten;
pub(crate) mod index;
pub(crate) mod key;
pub(crate) mod lock;
pub(crate) mod manifest;
pub(crate) mod pack;
pub(crate) mod pack_ranges;
pub(crate) mod pack_scan;
pub(crate) mod recovery;
mod sealing;
pub(crate) mod summary;
pub(crate) mod traces;
pub(crate) mod trust;
