//! Knot's `knotd` as a separate process for a test.

use std::net::SocketAddr;

use crate::daemon::{Daemon, EMPTY_ZONE, write};
use crate::require;

/// A running `knotd`, which ends when dropped.
#[derive(Debug)]
pub struct Knot {
    daemon: Daemon,
}

impl Knot {
    /// Starts one with zones that contain only SOA and NS: each is a name and the list of its access rules, such as
    /// `[a, b]`. `top` has the sections `key` and `acl`. Returns `None` if Knot is not installed; see [`require`].
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(top: &str, zones: &[(String, String)]) -> Option<Self> {
        let program = require::tool("knotd")?;
        let daemon = Daemon::start(&program, |folder, port| {
            let path = folder.display();
            let mut text = format!(
                "server:\n  rundir: {path}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 2\n  \
                 background-workers: 1\ndatabase:\n  storage: {path}\n\
                 log:\n - target: stderr\n   any: info\n{top}\nzone:\n"
            );
            for (name, rules) in zones {
                write(folder, &format!("{name}.zone"), EMPTY_ZONE);
                text += &format!(
                    " - domain: {name}\n   storage: {path}\n   file: {name}.zone\n   zonefile-sync: -1\n   acl: {rules}\n"
                );
            }
            let config = write(folder, "knot.conf", &text);
            vec!["-c".into(), config.display().to_string()]
        });
        Some(Self { daemon })
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    /// Returns the process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}
