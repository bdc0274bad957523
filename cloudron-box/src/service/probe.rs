//! Requesting the status of this machine's server, with its own authority pinned.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use crate::settings::Settings;
use crate::{Error, Layout, Result, api, codes, tls};

const LIMIT: Duration = Duration::from_secs(5);

/// The name that is asked for: its certificate is the machine's own, also where another authority has certified the
/// machine's public name.
const NAME: &str = "localhost";

/// Requests `GET /api/v1/cloudron/status` at this port of the machine.
pub(super) fn ask(layout: &Layout, settings: &Settings, port: u16) -> Result<api::Status> {
    let ca_pem = std::fs::read_to_string(layout.authority()).map_err(|e| Error::io(layout.authority(), e))?;
    let address = SocketAddr::new(reachable(settings), port);
    let unreachable =
        |what: String| Error::new(&codes::NOT_RUNNING, format!("{address} does not answer: {what}"));
    let stream = TcpStream::connect_timeout(&address, LIMIT).map_err(|e| unreachable(e.to_string()))?;
    for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        set(&stream, Some(LIMIT)).map_err(|e| unreachable(e.to_string()))?;
    }
    let server = ServerName::try_from(NAME).map_err(|e| unreachable(e.to_string()))?;
    let connection = ClientConnection::new(tls::client_config(&ca_pem)?, server)
        .map_err(|e| unreachable(e.to_string()))?;
    let mut stream = StreamOwned::new(connection, stream);
    let request =
        format!("GET /api/v1/cloudron/status HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let read =
        stream.write_all(request.as_bytes()).and_then(|()| stream.take(64 * 1024).read_to_end(&mut answer));
    read.map_err(|e| unreachable(e.to_string()))?;
    parse(&answer).ok_or_else(|| unreachable("the answer is not that of a cloudron server".to_owned()))
}

fn parse(answer: &[u8]) -> Option<api::Status> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| serde_json::from_str(body).ok())?
}

/// Returns the address at which the server is reachable from this machine: preferably IPv4, since a machine
/// may be configured to listen on IPv6 without having it.
fn reachable(settings: &Settings) -> IpAddr {
    let v4 = settings.listen.iter().find(|a| a.is_ipv4());
    match v4.or(settings.listen.first()).map(SocketAddr::ip) {
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(IpAddr::V4(ip)) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(IpAddr::V6(ip)) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        Some(ip) => ip,
    }
}
