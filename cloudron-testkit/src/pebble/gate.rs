//! A gate in front of pebble, which has no limits of its own: it refuses, loses answers and cuts the network, on request.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::fault::Fault;

/// The path of new orders.
const ORDER: &str = "/order-plz";

/// A gate on a port of its own. It lasts as long as the process.
pub struct Gate {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calls: Vec<(String, Vec<u8>)>,
    faults: Vec<Planned>,
    cut: bool,
    /// True if the next order is the one before once more.
    asked_again: bool,
}

struct Planned {
    path: &'static str,
    fault: Fault,
    retry_after: Option<u32>,
}

impl Gate {
    pub(super) fn before(server: SocketAddr, trust: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback address has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, trust) = (state.clone(), trust.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (shared, trust) = (shared.clone(), trust.clone());
                // Whoever gives up in the middle of a request is not answered.
                std::thread::spawn(move || drop(serve(stream, &shared, server, &trust)));
            }
        });
        Self { address, state }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets the next call whose path begins so fail. A refusal may say when to come back, in seconds.
    pub fn fault(&self, path: &'static str, fault: Fault, retry_after: Option<u32>) {
        self.state().faults.push(Planned { path, fault, retry_after });
    }

    /// Cuts the network, or mends it.
    pub fn cut(&self, cut: bool) {
        self.state().cut = cut;
    }

    /// Returns the paths that were asked for, in their order.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.iter().map(|(path, _)| path.clone()).collect()
    }

    /// Returns what was ordered: the payload of each new order.
    #[must_use]
    pub fn orders(&self) -> Vec<Value> {
        let state = self.state();
        let orders = state.calls.iter().filter(|(path, _)| path == ORDER);
        orders.map(|(_, body)| payload(body).unwrap_or_default()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics in here")
    }
}

fn payload(body: &[u8]) -> Option<Value> {
    let signed: Value = serde_json::from_slice(body).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed["payload"].as_str()?).ok()?).ok()
}

fn serve(stream: TcpStream, state: &Mutex<State>, server: SocketAddr, trust: &str) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (head, path, body) = request(&mut reader)?;
    let planned = {
        let mut state = state.lock().expect("no test panics in here");
        if path != ORDER || !std::mem::take(&mut state.asked_again) {
            state.calls.push((path.clone(), body.clone()));
        }
        if state.cut {
            return Ok(());
        }
        let at = state.faults.iter().position(|planned| path.starts_with(planned.path));
        at.map(|at| state.faults.remove(at))
    };
    let retry_after = planned.as_ref().and_then(|planned| planned.retry_after);
    let answer = Fault::carry_out(
        planned.map(|planned| planned.fault),
        || exchange(server, trust, &[head.as_bytes(), &body].concat()).unwrap_or_default(),
        |status, kind| refusal(status, kind, retry_after),
    );
    let Some(answer) = answer else { return Ok(()) };
    if String::from_utf8_lossy(&answer).contains(":badNonce") {
        // Pebble refuses some on purpose; the same is asked again, and counts once.
        let mut state = state.lock().expect("no test panics in here");
        state.calls.retain(|(_, known)| *known != body);
    }
    if String::from_utf8_lossy(&answer).contains("in the given certificate serial number") {
        // Pebble knows no certificate whose serial number is written with a sign byte (letsencrypt/pebble#550). The
        // order is made without the certificate that it replaces, and counts once.
        state.lock().expect("no test panics in here").asked_again = true;
    }
    // What is answered to version 1.0 ends with the connection.
    let text = answer.strip_prefix(b"HTTP/1.0").unwrap_or(&answer);
    let line = text.iter().position(|&b| b == b'\n').map_or(0, |at| at + 1);
    let parts = [b"HTTP/1.1", &text[..line], b"connection: close\r\n", &text[line..]];
    reader.into_inner().write_all(&parts.concat())
}

/// Reads a request: its head for version 1.0, its path, and its body.
fn request(reader: &mut impl BufRead) -> io::Result<(String, String, Vec<u8>)> {
    let (mut head, mut length, mut path) = (String::new(), 0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let lower = line.to_ascii_lowercase();
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            head += &line.replace("HTTP/1.1", "HTTP/1.0");
        } else if !lower.starts_with("connection:") && !lower.starts_with("accept-encoding:") {
            head += &line;
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim_end().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, path, body))
}

fn refusal(status: u16, kind: &str, retry_after: Option<u32>) -> Vec<u8> {
    let wait = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    let body = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"the gate of a test"}}"#);
    let length = body.len();
    format!("HTTP/1.0 {status} -\r\n{wait}content-type: application/problem+json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// Sends a request and reads until the end of the connection.
pub(super) fn exchange(server: SocketAddr, trust: &str, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trust.as_bytes()).expect("a certificate"))
        .expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("ring knows the versions").with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(connection, TcpStream::connect(server)?);
    stream.write_all(request)?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(e) if e.kind() != io::ErrorKind::UnexpectedEof => Err(e),
        _ => Ok(answer),
    }
}
