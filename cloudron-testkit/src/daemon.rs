//! A server program as a child process with its own folder; both are removed when it is dropped.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server, on a port of the loopback address.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// Starts `program` in a new folder. `prepare` writes its configuration there, for the given port, and returns the
    /// arguments.
    ///
    /// # Panics
    /// If it does not listen within 20 seconds; the message contains its output.
    #[track_caller]
    pub(crate) fn start(program: &Path, prepare: impl Fn(&Path, u16) -> Vec<String>) -> Self {
        Self::start_with(program, &[], prepare)
    }

    /// Starts `program` likewise, with variables in its environment.
    #[track_caller]
    pub(crate) fn start_with(
        program: &Path,
        variables: &[(&str, &str)],
        prepare: impl Fn(&Path, u16) -> Vec<String>,
    ) -> Self {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for _ in 0..5 {
            let folder = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir().expect("a folder");
            let port = free_port();
            let arguments = prepare(folder.path(), port);
            let mut child = spawn(program, &arguments, variables, folder.path());
            if listens(port, &mut child) {
                return Self { child, port, folder };
            }
            // Most likely another program took the port in between.
            let _ = (child.kill(), child.wait());
            let said = log(folder.path());
            assert!(said.contains("in use"), "{name} does not start:\n{said}");
        }
        panic!("{name} finds no free port")
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the folder with its configuration and data.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns its output so far.
    #[must_use]
    pub fn log(&self) -> String {
        log(self.folder.path())
    }

    /// Kills it, as a crash does.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = (self.child.kill(), self.child.wait());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns a port that is free for both TCP and UDP.
pub(crate) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        if std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn spawn(program: &Path, arguments: &[String], variables: &[(&str, &str)], folder: &Path) -> Child {
    let log = File::create(folder.join("log")).expect("a log in a folder of our own");
    let errors = log.try_clone().expect("a second handle of it");
    Command::new(program)
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .expect("an installed program starts")
}

fn listens(port: u16, child: &mut Child) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if child.try_wait().expect("a child of ours").is_some() {
            return false;
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn log(folder: &Path) -> String {
    let mut text = Vec::new();
    let _ = File::open(folder.join("log")).and_then(|mut file| file.read_to_end(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}

/// Writes a file into a folder and returns its path.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("a folder of our own can be written to");
    path
}

/// A zone with only its SOA and one name server, as a zone file.
pub(crate) const EMPTY_ZONE: &str = "$TTL 3600
@ IN SOA ns1.example.net. hostmaster.example.net. 1 3600 600 86400 300
@ IN NS ns1.example.net.
";
