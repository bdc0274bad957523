//! A test double of a machine with answers defined by the test, and a record on this computer.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};

use crate::common::Home;

/// The machine's domain.
pub const DOMAIN: &str = "demo.localhost";

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// An answer to a request.
pub enum Answer {
    /// JSON with this status.
    Json(u16, Value),
    /// A raw body.
    Body(Vec<u8>),
    /// These bytes, repeated until the client closes the connection.
    Endless(Vec<u8>),
}

/// A running double.
pub struct Machine {
    pub home: Home,
    record: String,
}

impl Machine {
    /// Starts a machine that answers each path with the result of the function.
    pub fn new(answers: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let certified =
            rcgen::generate_simple_self_signed(vec![format!("my.{DOMAIN}"), "localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![certified.cert.der().clone()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Arc::new(answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, answers) = (config.clone(), answers.clone());
                // Errors of a closing client are ignored.
                std::thread::spawn(move || drop(serve(stream, config, &*answers)));
            }
        });
        let home = Home::new();
        let record = record(&home, &certified.cert.pem(), port);
        let machine = Self { home, record };
        machine.recorded();
        machine
    }

    /// Restores the original record of the machine.
    pub fn recorded(&self) {
        let folder = self.home.path(".local/state/cloudron/machines");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{DOMAIN}.json")), &self.record).unwrap();
    }

    /// Defines the output of `box <word>` on the machine.
    pub fn says(&self, word: &str, stdout: &str, stderr: &str) {
        let bin = self.home.root(DOMAIN).join("bin");
        std::fs::write(bin.join(format!("cloudron.{word}")), stdout).unwrap();
        std::fs::write(bin.join(format!("cloudron.{word}.err")), stderr).unwrap();
    }
}

/// Writes a `box` program that returns a token. Returns the record of the machine.
fn record(home: &Home, ca: &str, port: u16) -> String {
    let root = home.root(DOMAIN);
    let program = root.join("bin/cloudron");
    std::fs::create_dir_all(root.join("bin")).unwrap();
    let script = "#!/bin/sh\nif [ -e \"$0.$2\" ]; then cat \"$0.$2\"; cat \"$0.$2.err\" >&2; [ -s \"$0.$2\" ]; exit; fi\n\
                  [ \"$2\" = token ] && echo '{\"token\":\"tttttttttttttttt\"}'\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let record = json!({
        "schema": 1, "fqdn": DOMAIN, "run": "01", "created": std::time::SystemTime::UNIX_EPOCH,
        "reach": { "provider": "local", "root": root }, "caPem": ca, "port": port, "store": home.path("store"),
    });
    record.to_string()
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    answers: &dyn Fn(&str) -> Answer,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    loop {
        let Some(path) = request(&mut stream)? else { return Ok(()) };
        let out = stream.get_mut();
        match answers(&path) {
            Answer::Json(status, value) => body(out, status, value.to_string().as_bytes())?,
            Answer::Body(bytes) => body(out, 200, &bytes)?,
            Answer::Endless(bytes) => {
                write!(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                loop {
                    write!(out, "{:x}\r\n", bytes.len())?;
                    out.write_all(&bytes)?;
                    out.write_all(b"\r\n")?;
                }
            }
        }
    }
}

fn body(out: &mut Stream, status: u16, bytes: &[u8]) -> std::io::Result<()> {
    write!(out, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", bytes.len())?;
    out.write_all(bytes)?;
    out.flush()
}

/// Reads a request. Returns its path, or `None` at the end.
fn request(stream: &mut BufReader<Stream>) -> std::io::Result<Option<String>> {
    let (mut path, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            std::io::copy(&mut std::io::Read::take(&mut *stream, length), &mut std::io::sink())?;
            return Ok(path);
        }
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap_or(0);
            }
            None => path = line.split(' ').nth(1).map(str::to_owned),
            Some(_) => {}
        }
    }
}
