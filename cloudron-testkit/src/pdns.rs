//! PowerDNS's authoritative server as a separate process for a test, on SQLite.

use std::cell::Cell;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, free_port, write};
use crate::require;

const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// A running `pdns_server` with its HTTP interface, which ends when dropped.
#[derive(Debug)]
pub struct Pdns {
    daemon: Daemon,
    web: u16,
}

impl Pdns {
    /// The key of its interface.
    pub const API_KEY: &'static str = "canary-api-key";

    /// Starts one with zones that contain only SOA and NS. Each of `sql` is first executed on its database, and
    /// `settings` are further lines of its configuration. Returns `None` if it is not installed; see [`require`].
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(settings: &str, zones: &[String], sql: &str) -> Option<Self> {
        let [program, sqlite] = require::tools(["pdns_server", "sqlite3"])?;
        if !require::that(Path::new(SCHEMA).exists(), "pdns-backend-sqlite3 is not installed") {
            return None;
        }
        let mut rows = String::from("BEGIN;\n");
        for (id, zone) in zones.iter().enumerate() {
            let id = id + 1;
            rows += &format!(
                "INSERT INTO domains (id, name, type) VALUES ({id}, '{zone}', 'NATIVE');\n\
                 INSERT INTO records (domain_id, name, type, content, ttl, auth, disabled) VALUES\n\
                 ({id}, '{zone}', 'SOA', 'ns1.example.net hostmaster.example.net 1 3600 600 86400 300', 3600, 1, 0),\n\
                 ({id}, '{zone}', 'NS', 'ns1.example.net', 3600, 1, 0);\n"
            );
        }
        rows += &format!("{sql}\nCOMMIT;\n");
        let web = Cell::new(0);
        let daemon = Daemon::start(&program, |folder, port| {
            // A new port on each try, in case another program took the previous one.
            web.set(free_port());
            let web = web.get();
            let path = folder.display();
            let database = folder.join("pdns.sqlite3");
            let filled = write(folder, "rows.sql", &rows);
            for script in [Path::new(SCHEMA), &filled] {
                let status = Command::new(&sqlite)
                    .arg(&database)
                    .stdin(File::open(script).expect("the script is there"))
                    .status()
                    .expect("sqlite3 starts");
                assert!(status.success(), "sqlite3 fails at {}", script.display());
            }
            let text = format!(
                "launch=gsqlite3\ngsqlite3-database={}\ngsqlite3-pragma-synchronous=0\nlocal-address=127.0.0.1\n\
                 local-port={port}\nsocket-dir={path}\nzone-cache-refresh-interval=0\nquery-cache-ttl=0\ncache-ttl=0\n\
                 api=yes\napi-key={}\nwebserver=yes\nwebserver-address=127.0.0.1\nwebserver-port={web}\n{settings}\n",
                database.display(),
                Self::API_KEY,
            );
            write(folder, "pdns.conf", &text);
            ["--daemon=no", "--guardian=no", "--disable-syslog", &format!("--config-dir={path}")]
                .map(str::to_owned)
                .to_vec()
        });
        let pdns = Self { daemon, web: web.get() };
        // It listens for DNS first.
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, pdns.web)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "no interface:\n{}", pdns.daemon.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(pdns)
    }

    /// Returns the address on which it answers DNS queries.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    /// Returns the URL of its HTTP interface: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.web)
    }

    /// Returns the process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}
