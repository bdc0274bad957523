//! What this computer remembers: where its files are, and one record a machine.

mod dirs;
mod machines;

pub(crate) use dirs::{Dirs, private_dir};
pub(crate) use machines::{Machine, Machines, Reach, SshReach};
