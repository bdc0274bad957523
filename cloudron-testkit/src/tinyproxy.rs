//! A tinyproxy: a forward proxy as used in companies, as a separate process.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::daemon::Daemon;
use crate::require;

/// A proxy on a free port of the loopback address. It requires a user name and a password.
#[derive(Debug)]
pub struct Tinyproxy {
    daemon: Daemon,
}

impl Tinyproxy {
    /// The accepted user name.
    pub const USER: &str = "user";
    /// The accepted password.
    pub const PASSWORD: &str = "canary-of-the-proxy";

    /// Starts a proxy that forwards all requests to another one. Returns `None` if tinyproxy is not
    /// installed.
    ///
    /// # Panics
    /// If it does not listen in time.
    #[track_caller]
    pub fn start(parent: SocketAddr) -> Option<Self> {
        let program = require::tool("tinyproxy")?;
        let daemon = Daemon::start(&program, |folder, port| {
            let mut text =
                format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nLogLevel Info\n");
            let _ = writeln!(text, "BasicAuth {} {}\nUpstream http {parent}", Self::USER, Self::PASSWORD);
            let file = folder.join("tinyproxy.conf");
            std::fs::write(&file, text).expect("the configuration is written");
            vec!["-d".to_owned(), "-c".to_owned(), file.display().to_string()]
        });
        Some(Self { daemon })
    }

    /// Returns its URL with user name and password, as in an environment variable.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}:{}@{}", Self::USER, Self::PASSWORD, self.daemon.address())
    }

    /// Returns its URL without a password: all requests are refused.
    #[must_use]
    pub fn url_without_password(&self) -> String {
        format!("http://{}", self.daemon.address())
    }

    /// Returns true if a connection to this host and port was requested.
    #[must_use]
    pub fn was_asked_for(&self, target: &str) -> bool {
        self.daemon.log().contains(&format!("CONNECT {target} "))
    }
}
