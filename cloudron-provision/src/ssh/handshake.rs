//! Connection setup, from an address to an authenticated session. It blocks and runs on the session's own thread.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use cloudron_core::{Error, Result};
use ssh2::{MethodType, Session};

use super::auth::Credentials;
use super::known_hosts::{self, Known};
use super::meter::Meter;
use super::watch::Watch;
use super::{HostKey, HostKeyPolicy, HostKeyQuestion, SshTarget, error};
use crate::codes;

/// Ciphers, without ChaCha20-Poly1305 (CVE-2026-55200) and CBC.
const CIPHERS: &str = "aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr";
const MACS: &str = "hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-256";
/// Families of host key algorithms by preference. The first is the one that this program generates.
const FAMILIES: [&str; 3] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "rsa-sha2-512,rsa-sha2-256",
];
/// Minimum time that a server waits for a login. After a longer pause, for example to type a passphrase, connect again.
const PATIENCE: Duration = Duration::from_secs(45);

/// A blocking session with a server whose host key is trusted, and the socket to poll.
pub(super) struct Ready {
    pub(super) session: Session,
    pub(super) socket: TcpStream,
    pub(super) meter: &'static Meter,
    pub(super) key: HostKey,
}

/// Connects, checks the host key, and only then logs in. Each of the two has a deadline, independent of what the server
/// sends.
pub(super) fn establish(
    target: &SshTarget,
    credentials: &Credentials,
    policy: &HostKeyPolicy,
    limit: Duration,
) -> Result<Ready> {
    let asked = Instant::now();
    let mut ready = trusted(target, policy, limit)?;
    if asked.elapsed() > PATIENCE + limit {
        ready = trusted(target, &HostKeyPolicy::Pinned(vec![ready.key.clone()]), limit)?;
    }
    ready.session.set_timeout(millis(limit));
    let watch = Watch::over(&ready.socket, PATIENCE + limit)?;
    let login = credentials.authenticate(&ready.session, &target.user, &watch);
    let (ms, ok, key) = (asked.elapsed().as_millis() as u64, login.is_ok(), &ready.key);
    tracing::info!(host = target.host, port = target.port, user = target.user, ?key, ok, ms, "SSH login");
    if ready.meter.is_over() {
        return Err(chatter(target));
    }
    if watch.is_over() {
        return Err(timed_out(&place(target), PATIENCE + limit));
    }
    login.map(|()| ready)
}

/// Opens a session with a server whose host key is trusted and is not marked as revoked in known_hosts.
fn trusted(target: &SshTarget, policy: &HostKeyPolicy, limit: Duration) -> Result<Ready> {
    let until = Deadline { limit, end: Instant::now() + limit };
    match policy {
        HostKeyPolicy::Pinned(pins) => {
            let ready = shake(target, &preference(pins), until)?;
            if pins.contains(&ready.key) {
                return Ok(ready);
            }
            Err(changed(target, &ready.key, pins, "the one recorded at the first contact"))
        }
        HostKeyPolicy::Fingerprint(fingerprint) => by_fingerprint(target, fingerprint, until),
        HostKeyPolicy::KnownHostsThenAsk(ask) => {
            let texts = target.known_hosts_texts();
            let known = texts.iter().flat_map(|t| known_hosts::lookup(t, &target.host, target.port));
            let keys: Vec<HostKey> = known
                .filter_map(|k| match k {
                    Known::Key(key) => Some(key),
                    Known::Revoked(_) => None,
                })
                .collect();
            let ready = shake(target, &preference(&keys), until)?;
            let key = &ready.key;
            if keys.contains(key) {
                return Ok(ready);
            }
            if !keys.is_empty() {
                return Err(changed(target, key, &keys, "the one in known_hosts")
                    .with_detail("known_hosts", &target.host));
            }
            let Some(ask) = ask else { return Err(unknown(target, key)) };
            let question = HostKeyQuestion { host: target.host.clone(), port: target.port, key: key.clone() };
            if !ask(&question) {
                let message = format!("the host key {} was not confirmed", key.fingerprint());
                return Err(Error::new(&codes::HOST_KEY_REFUSED, message));
            }
            Ok(ready)
        }
    }
}

/// Returns the host keys that a server presents, one for each of its algorithms, without logging in.
pub(super) fn shown(target: &SshTarget, limit: Duration) -> Result<Vec<HostKey>> {
    let until = Deadline { limit, end: Instant::now() + limit };
    let mut keys = Vec::new();
    let mut failure = None;
    for family in FAMILIES {
        match shake(target, family, until) {
            Ok(ready) => keys.push(ready.key),
            Err(e) if e.is(&codes::SSH_PROTOCOL) => failure = Some(e),
            Err(e) => return Err(e),
        }
    }
    match failure {
        Some(failure) if keys.is_empty() => Err(failure),
        _ => Ok(keys),
    }
}

/// Looks for a host key with the fingerprint. It may belong to any of the server's keys, so each algorithm is tried
/// before the server is refused.
fn by_fingerprint(target: &SshTarget, fingerprint: &str, until: Deadline) -> Result<Ready> {
    let mut shown = Vec::new();
    let mut failure = None;
    for family in FAMILIES {
        match shake(target, family, until) {
            Ok(ready) if ready.key.fingerprint() == fingerprint => return Ok(ready),
            Ok(Ready { key, .. }) => shown.push(format!("{} ({})", key.fingerprint(), key.algorithm())),
            Err(e) if e.is(&codes::SSH_PROTOCOL) => failure = Some(e),
            Err(e) => return Err(e),
        }
    }
    match failure {
        Some(failure) if shown.is_empty() => Err(failure),
        _ => {
            let message =
                format!("{} shows the host key {}, not {fingerprint}", target.host, shown.join(", "));
            Err(Error::new(&codes::HOST_KEY_MISMATCH, message)
                .with_hint("check the address, and compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the server's console"))
        }
    }
}

/// Returns the algorithms to offer, with those of known keys of the server first.
fn preference(known: &[HostKey]) -> String {
    let algorithms = known.iter().map(|k| match k.algorithm() {
        "ssh-rsa" => "rsa-sha2-512,rsa-sha2-256".to_string(),
        other => other.to_string(),
    });
    algorithms.chain(FAMILIES.map(String::from)).collect::<Vec<_>>().join(",")
}

fn changed(target: &SshTarget, shown: &HostKey, known: &[HostKey], record: &str) -> Error {
    let known = known.iter().map(HostKey::fingerprint).collect::<Vec<_>>().join(", ");
    let message = format!(
        "{} shows the host key {}, which differs from {record} ({known})",
        target.host,
        shown.fingerprint()
    );
    Error::new(&codes::HOST_KEY_CHANGED, message)
}

fn unknown(target: &SshTarget, shown: &HostKey) -> Error {
    let message = format!("the host key {} of {} is not known", shown.fingerprint(), target.host);
    Error::new(&codes::HOST_KEY_UNKNOWN, message).with_detail("fingerprint", shown.fingerprint())
}

/// The deadline of the key exchange, and its total duration.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    limit: Duration,
    end: Instant,
}

impl Deadline {
    fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }
}

/// Connects and exchanges keys. Nothing of the user has been sent when it returns. A key that is marked as revoked is
/// refused here, so that no policy can trust it.
fn shake(target: &SshTarget, host_keys: &str, until: Deadline) -> Result<Ready> {
    let limit = until.limit;
    tracing::debug!(host = target.host, port = target.port, host_keys, "connecting by SSH");
    let socket = dial(target, until)?;
    let polled = socket.try_clone().map_err(|e| Error::io("a socket", e))?;
    let fault = |e: ssh2::Error| refused(&e, target, limit);
    let mut session = Session::new().map_err(fault)?;
    for (kind, methods) in [
        (MethodType::HostKey, host_keys),
        (MethodType::CryptCs, CIPHERS),
        (MethodType::CryptSc, CIPHERS),
        (MethodType::MacCs, MACS),
        (MethodType::MacSc, MACS),
    ] {
        session.method_pref(kind, methods).map_err(fault)?;
    }
    session.set_timeout(millis(until.left()));
    let watch = Watch::over(&socket, until.left())?;
    let meter = Meter::install(&session);
    session.set_tcp_stream(socket);
    let shaken = session.handshake();
    if watch.is_over() {
        return Err(timed_out(&place(target), limit));
    }
    if meter.is_over() {
        return Err(chatter(target));
    }
    shaken.map_err(fault)?;
    let blob = session.host_key().map(|(blob, _)| blob.to_vec()).unwrap_or_default();
    let key = HostKey::from_blob(&blob)?;
    let banner = session.banner().unwrap_or_default();
    tracing::debug!(banner, key = ?key, cipher = session.methods(MethodType::CryptCs), "keys are exchanged");
    if target.revoked_keys().contains(&key) {
        let message = format!("the host key {} of {} is marked as revoked", key.fingerprint(), target.host);
        return Err(Error::new(&codes::HOST_KEY_REVOKED, message).with_hint(
            "give the server a new host key; only if the mark is wrong, remove the line from known_hosts",
        ));
    }
    Ok(Ready { session, socket: polled, meter, key })
}

fn place(target: &SshTarget) -> String {
    format!("{}, port {}", target.host, target.port)
}

fn refused(e: &ssh2::Error, target: &SshTarget, limit: Duration) -> Error {
    let place = place(target);
    if e.code() == ssh2::ErrorCode::Session(libssh2_sys::LIBSSH2_ERROR_TIMEOUT) {
        return timed_out(&place, limit);
    }
    if error::is_no_method(e) {
        let message = format!("{place} has no safe algorithm in common with this program: {}", e.message());
        return Error::new(&codes::SSH_PROTOCOL, message);
    }
    if error::is_lost(e) {
        let message = format!("{place} ended the connection before it was set up ({})", e.message());
        return Error::new(&codes::SSH_UNREACHABLE, message);
    }
    Error::new(&codes::SSH_PROTOCOL, format!("{place} does not answer as an SSH server: {}", e.message()))
}

/// Returns the error for a server that sent too much unrequested data.
fn chatter(target: &SshTarget) -> Error {
    let message = format!("{} sends far more than the setting up of a connection needs", place(target));
    Error::new(&codes::SSH_PROTOCOL, message)
}

fn timed_out(place: &str, limit: Duration) -> Error {
    Error::new(&codes::SSH_TIMEOUT, format!("{place} did not answer within {} s", limit.as_secs()))
        .with_hint("check the address and the firewall, and that the server is running")
        .retryable(true)
}

/// Opens a TCP connection to the first of the server's addresses that accepts one.
fn dial(target: &SshTarget, until: Deadline) -> Result<TcpStream> {
    let (place, limit) = (place(target), until.limit);
    let addresses = (target.host.as_str(), target.port).to_socket_addrs().map_err(|e| {
        Error::new(&codes::SSH_UNREACHABLE, format!("the name {:?} has no address: {e}", target.host))
    })?;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match connect(&address, until.left()) {
            Ok(socket) => return Ok(socket),
            Err(e) => last = e,
        }
    }
    Err(match last.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => timed_out(&place, limit),
        io::ErrorKind::ConnectionRefused => {
            Error::new(&codes::SSH_REFUSED, format!("{place} refused the connection: nothing listens there"))
        }
        _ => Error::new(&codes::SSH_UNREACHABLE, format!("{place} cannot be reached: {last}")),
    })
}

fn connect(address: &SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(address, limit)?;
    socket.set_nodelay(true)?;
    // Together with the session's keepalives, this detects a dead network within about half a minute.
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(&socket, 30_000)?;
    Ok(socket)
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1)
}
