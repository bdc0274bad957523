//! A tinyproxy: a forward proxy as companies have it, in a process of the test's own.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::daemon::Daemon;
use crate::require;

/// A proxy on a free port of the loopback address. It asks for a name and a password.
#[derive(Debug)]
pub struct Tinyproxy {
    daemon: Daemon,
}

impl Tinyproxy {
    /// Whom it lets through.
    pub const USER: &str = "user";
    /// The password of that user.
    pub const PASSWORD: &str = "canary-of-the-proxy";

    /// Starts one that hands all requests on to another proxy, or gives nothing where tinyproxy is not installed.
    ///
    /// # Panics
    /// When it does not listen in time.
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

    /// Its address with the name and the password, as a variable has it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}:{}@{}", Self::USER, Self::PASSWORD, self.daemon.address())
    }

    /// Its address without them: nobody is let through.
    #[must_use]
    pub fn url_without_password(&self) -> String {
        format!("http://{}", self.daemon.address())
    }

    /// Whether it was asked for a connection to that host and port.
    #[must_use]
    pub fn was_asked_for(&self, target: &str) -> bool {
        self.daemon.log().contains(&format!("CONNECT {target} "))
    }
}
