//! What this program keeps on this computer, besides what it knows of machines.

mod dirs;
mod files;
mod writers;

pub(crate) use cloudron_machine::state_dir::private_dir;
pub(crate) use dirs::{cache_dir, state_dir};
pub(crate) use files::private_file;
pub(crate) use writers::Writers;
