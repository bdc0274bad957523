//! Let's Encrypt's authority for tests, pebble, in processes of the test's own, and a [`Gate`] in front of it.
//!
//! Pebble is of version 2.10 or later, since it takes renewal information, profiles and lives from there; `.ci/run` gets it.

mod gate;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

pub use self::gate::Gate;
use crate::daemon::{Daemon, free_port, write};
use crate::require;
use crate::tls_front::{Authority, TlsFront};

/// A running authority. It ends with the test, and its data with it.
pub struct Pebble {
    daemon: Daemon,
    _names: Option<Names>,
    gate: Gate,
    front: TlsFront,
    authority: Authority,
    http_port: u16,
    management: u16,
}

/// The challenge server, as the authority's resolver: every name has the loopback address.
struct Names(Child);

impl Drop for Names {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

impl Pebble {
    /// Starts one that resolves every name to the loopback address, or returns `None` if pebble is not installed.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn start() -> Option<Self> {
        let [_, names] = require::tools(["pebble", "pebble-challtestsrv"])?;
        let (dns, management) = (free_port(), free_port());
        let process = Command::new(names)
            .args([
                "-dnsserver",
                &format!("127.0.0.1:{dns}"),
                "-management",
                &format!("127.0.0.1:{management}"),
            ])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv6", ""])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("an installed program starts");
        let names = Names(process);
        let pebble = Self::resolving_at((Ipv4Addr::LOCALHOST, dns).into())?;
        Some(Self { _names: Some(names), ..pebble })
    }

    /// Starts one that resolves names at a name server of the test, or returns `None` if pebble is not installed.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn resolving_at(server: SocketAddr) -> Option<Self> {
        let program = require::tool("pebble")?;
        let (http_port, management) = (free_port(), free_port());
        let authority = Authority::default();
        let own = authority.identity(&["localhost", "127.0.0.1"]);
        let daemon = Daemon::start_with(
            &program,
            &[("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_AUTHZREUSE", "0")],
            |folder, port| {
                let (certificate, key) =
                    (write(folder, "own.pem", &own.pem()), write(folder, "own.key", &own.key_pem()));
                let life = |seconds: u64| json!({ "description": "of a test", "validityPeriod": seconds });
                let config = json!({ "pebble": {
                    "listenAddress": format!("127.0.0.1:{port}"),
                    "managementListenAddress": format!("127.0.0.1:{management}"),
                    "certificate": certificate, "privateKey": key,
                    "httpPort": http_port, "tlsPort": free_port(),
                    "domainBlocklist": ["blocked.example.com"],
                    "retryAfter": { "authz": 1, "order": 1 },
                    "keyAlgorithm": "ecdsa",
                    "profiles": { "tlsserver": life(45 * 86_400), "shortlived": life(160 * 3600) },
                } });
                let config = write(folder, "pebble.json", &config.to_string());
                vec!["-config".into(), config.display().to_string(), "-dnsserver".into(), server.to_string()]
            },
        );
        let gate = Gate::before(daemon.address(), &authority.pem());
        let front = TlsFront::start(&authority.identity(&["localhost"]), gate.address());
        Some(Self { daemon, _names: None, gate, front, authority, http_port, management })
    }

    /// Returns the address of the directory, which leads through the gate.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.front.address().port())
    }

    /// Returns the authority that signed the certificate of this server itself, PEM.
    #[must_use]
    pub fn trust(&self) -> String {
        self.authority.pem()
    }

    /// Returns the port at which it reads the files of http-01.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// Returns the gate.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Returns the root that its certificates lead to, PEM.
    #[must_use]
    pub fn root(&self) -> String {
        self.manage("GET", "/roots/0", "")
    }

    /// Lets the authority suggest a window for the renewal of a certificate (PEM), given as RFC 3339.
    pub fn suggest(&self, certificate: &str, start: &str, end: &str) {
        let answer = json!({ "suggestedWindow": { "start": start, "end": end } }).to_string();
        let body = json!({ "certificate": certificate, "ariResponse": answer }).to_string();
        self.manage("POST", "/set-renewal-info/", &body);
    }

    /// Returns whether the certificate with a serial number (hexadecimal) is `Valid` or `Revoked`.
    #[must_use]
    pub fn status_of(&self, serial: &str) -> String {
        let answer = self.manage("GET", &format!("/cert-status-by-serial/{serial}"), "");
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        answer["Status"].as_str().unwrap_or_default().to_owned()
    }

    /// Returns what it said.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    fn manage(&self, method: &str, path: &str, body: &str) -> String {
        let address = (Ipv4Addr::LOCALHOST, self.management).into();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: a test\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer =
            gate::exchange(address, &self.authority.pem(), &[head.as_bytes(), body.as_bytes()].concat());
        let answer = String::from_utf8(answer.expect("pebble answers")).expect("pebble answers text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(" 200 "), "{method} {path}: {answer}");
        body.to_owned()
    }
}
