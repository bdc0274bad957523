//! System interfaces: files, users, programs, disks and ports.

pub(crate) mod activation;
pub(crate) mod command;
pub(crate) mod disk;
pub(crate) mod files;
pub(crate) mod held;
pub(crate) mod owner;
pub(crate) mod peer;
pub(crate) mod port;
