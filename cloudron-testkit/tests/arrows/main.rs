//! The arrows between the crates, and between the folders of a crate, run one way.
//!
//! A folder is a room on a floor. It may import what lies on the floors below it; neighbours on the same floor do not
//! import each other. When this fails, move what is needed down, or the caller up.
//!
//! Nor does a library name the commands and options of the program above it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod crates;
mod floors;
mod imports;
mod words;
