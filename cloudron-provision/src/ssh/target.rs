//! The address of an SSH server.

use std::path::PathBuf;

use super::{HostKey, known_hosts};

/// An SSH server and the user to log in as.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SshTarget {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User to log in as.
    pub user: String,
    /// True if a user other than root becomes root with `sudo -n` for commands that need it.
    pub sudo: bool,
    /// Paths of the known_hosts files to read.
    pub known_hosts: Vec<PathBuf>,
}

impl SshTarget {
    /// Uses the user root on port 22, and the user's own known_hosts file and the system's.
    pub fn new(host: impl Into<String>) -> Self {
        let mine = super::keys::home().map(|h| h.join(".ssh/known_hosts"));
        let known_hosts = mine.into_iter().chain([PathBuf::from("/etc/ssh/ssh_known_hosts")]).collect();
        Self { host: host.into(), port: 22, user: "root".into(), sudo: true, known_hosts }
    }

    /// Uses another port.
    pub fn on_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Uses another user.
    pub fn as_user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// Returns the keys that the known_hosts files mark as revoked; they are never trusted.
    pub fn revoked_keys(&self) -> Vec<HostKey> {
        self.known_hosts_texts().iter().flat_map(|text| known_hosts::revoked(text)).collect()
    }

    /// Returns the text of the known_hosts files. Invalid UTF-8 invalidates only the lines that contain it.
    pub(super) fn known_hosts_texts(&self) -> Vec<String> {
        let files = self.known_hosts.iter().filter_map(|p| std::fs::read(p).ok());
        files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }

    /// Returns `user@host (port N)`.
    pub fn describe(&self) -> String {
        format!("{}@{} (port {})", self.user, self.host, self.port)
    }
}
