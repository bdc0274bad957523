//! What this computer remembers: where its files are, and one record a machine.

mod dirs;
mod files;
mod kept;
mod machines;
mod record;
mod seen;
mod writers;

pub(crate) use dirs::{Dirs, cache_dir, private_dir};
pub(crate) use files::private_file;
pub(crate) use kept::{Kept, KeptBackups};
pub(crate) use machines::{Copied, DnsRecords, Machine, Machines, Reach, SshReach};
pub(crate) use seen::Seen;
pub(crate) use writers::Writers;
