//! Everything that the program prints, as people see it: each command in a story, and the help of each.
//!
//! A change shows as a difference of a snapshot. `INSTA_UPDATE=always cargo test -p cloudron-cli --test printed` takes
//! it, and the difference belongs in the change.

#[path = "../common/mod.rs"]
mod common;

mod backup;
mod dns;
mod help;
mod machine;
mod story;
