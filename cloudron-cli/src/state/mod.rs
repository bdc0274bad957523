//! What this computer remembers: where its files are, and one record a machine.

mod dirs;
mod files;
mod machines;
mod ownership;
mod writers;

pub(crate) use dirs::{Dirs, cache_dir, private_dir};
pub(crate) use files::private_file;
pub(crate) use machines::{DnsRecords, Machine, Machines, Reach, SshReach};
pub(crate) use ownership::{Owned, ZoneLock};
pub(crate) use writers::Writers;
