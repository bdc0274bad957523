//! Snapshots of everything that the program prints: each command in a story, and the help of each.
//!
//! A change of output is a difference of a snapshot. To update the snapshots, which belong in the same commit,
//! run `INSTA_UPDATE=always cargo test -p cloudron-cli --test printed`.

#[path = "../common/mod.rs"]
mod common;

mod backup;
mod dns;
mod help;
mod machine;
mod story;
