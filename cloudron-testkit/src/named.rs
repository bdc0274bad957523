//! BIND's `named` as a separate process for a test.

use std::net::SocketAddr;

use crate::daemon::{Daemon, EMPTY_ZONE, write};
use crate::require;

/// A running `named`, which ends when dropped.
#[derive(Debug)]
pub struct Named {
    daemon: Daemon,
}

impl Named {
    /// Starts one with zones that contain only SOA and NS: each is a name and its clauses, such as `type primary;
    /// allow-update { key k; };`. `top` is the rest of the configuration, such as keys. Returns `None` if BIND is not
    /// installed; see [`require`].
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(top: &str, zones: &[(String, String)]) -> Option<Self> {
        let program = require::tool("named")?;
        let daemon = Daemon::start(&program, |folder, port| {
            let path = folder.display();
            let mut text = format!(
                "options {{ directory \"{path}\"; pid-file \"{path}/pid\"; session-keyfile \"{path}/session.key\";\n\
                 lock-file none; managed-keys-directory \"{path}\"; recursion no; notify no; minimal-any no;\n\
                 dnssec-validation no; empty-zones-enable no;\n\
                 listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; }};\ncontrols {{ }};\n{top}\n"
            );
            for (name, clauses) in zones {
                if clauses.contains("primary") {
                    write(folder, &format!("{name}.zone"), EMPTY_ZONE);
                }
                text += &format!("zone \"{name}\" {{ file \"{path}/{name}.zone\"; {clauses} }};\n");
            }
            let config = write(folder, "named.conf", &text);
            ["-g", "-n", "1", "-c", &config.display().to_string()].map(str::to_owned).to_vec()
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
