//! Where an SSH server is.

use std::path::PathBuf;

use super::{HostKey, known_hosts};

/// An SSH server and the user to log in as.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SshTarget {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// Whether a user other than root becomes root by `sudo -n` for what needs it.
    pub sudo: bool,
    /// The known_hosts files that are consulted.
    pub known_hosts: Vec<PathBuf>,
}

impl SshTarget {
    /// The user root on port 22, with the user's own known_hosts file and the system's.
    pub fn new(host: impl Into<String>) -> Self {
        let mine = super::keys::home().map(|h| h.join(".ssh/known_hosts"));
        let known_hosts = mine.into_iter().chain([PathBuf::from("/etc/ssh/ssh_known_hosts")]).collect();
        Self { host: host.into(), port: 22, user: "root".into(), sudo: true, known_hosts }
    }

    /// The same server on another port.
    pub fn on_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The same server as another user.
    pub fn as_user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// The keys that the known_hosts files mark as revoked, which are trusted in no case.
    pub fn revoked_keys(&self) -> Vec<HostKey> {
        self.known_hosts_texts().iter().flat_map(|text| known_hosts::revoked(text)).collect()
    }

    /// The text of the known_hosts files. Bytes that are no text spoil the lines that they are in, not the file.
    pub(super) fn known_hosts_texts(&self) -> Vec<String> {
        let files = self.known_hosts.iter().filter_map(|p| std::fs::read(p).ok());
        files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }

    /// `user@host (port N)`.
    pub fn describe(&self) -> String {
        format!("{}@{} (port {})", self.user, self.host, self.port)
    }
}
