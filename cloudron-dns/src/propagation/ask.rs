//! Sends one query to one server: by UDP, and by TCP if the response does not fit. Always within a time limit.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::wire::{Question, Reply};

/// The reason for a missing response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Silence {
    /// No response came in time.
    TimedOut(Duration),
    /// This machine has no route to the address, for example because it has no IPv6.
    NoRoute,
    /// The address reports that no server is there, or the connection broke.
    Broken(String),
}

impl Silence {
    /// Returns whether the server's state cannot be determined from this machine.
    pub(super) fn is_no_route(&self) -> bool {
        matches!(self, Self::NoRoute)
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(limit) => write!(f, "no answer within {:.1} s", limit.as_secs_f32()),
            Self::NoRoute => f.write_str("this machine has no route to it"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

impl From<io::Error> for Silence {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::AddrNotAvailable => Self::NoRoute,
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// Sends a query, and waits at most `limit` and at most until `deadline`.
pub(super) async fn ask(
    server: SocketAddr,
    question: &Question,
    limit: Duration,
    deadline: Instant,
) -> Result<Reply, Silence> {
    let start = Instant::now();
    let until = deadline.min(start + limit);
    let reply = ask_until(server, question, until).await;
    let (ms, name, rtype) = (start.elapsed().as_millis() as u64, &question.name, question.rtype);
    match &reply {
        Ok(r) => {
            let (code, answers) = (r.code.low(), r.answers.len());
            tracing::debug!(%server, %name, %rtype, code, answers, ms, "DNS query");
        }
        Err(why) => tracing::debug!(%server, %name, %rtype, %why, ms, "DNS query"),
    }
    reply
}

async fn ask_until(server: SocketAddr, question: &Question, until: Instant) -> Result<Reply, Silence> {
    let waited = until.saturating_duration_since(Instant::now());
    let late = |_| Silence::TimedOut(waited);
    let reply = timeout_at(until, by_udp(server, question, waited / 3)).await.map_err(late)??;
    if !reply.truncated {
        return Ok(reply);
    }
    timeout_at(until, by_tcp(server, question)).await.map_err(late)?
}

/// Sends the query, and repeats it after `resend_after` without a response, because packets can be lost.
async fn by_udp(server: SocketAddr, question: &Question, resend_after: Duration) -> Result<Reply, Silence> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    // A connected socket receives only from that address, and reports if no server listens there.
    socket.connect(server).await?;
    let (sent, message) = question.message().ok_or_else(unsendable)?;
    let mut buffer = vec![0; 65_535];
    loop {
        socket.send(&message).await?;
        let resend = Instant::now() + resend_after.max(Duration::from_millis(50));
        while let Ok(received) = timeout_at(resend, socket.recv(&mut buffer)).await {
            // Data that does not answer this query may be forged; the real response may still come.
            if let Some(reply) = question.reply(&sent, &buffer[..received?]) {
                return Ok(reply);
            }
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &Question) -> Result<Reply, Silence> {
    let mut stream = TcpStream::connect(server).await?;
    let (sent, message) = question.message().ok_or_else(unsendable)?;
    let length = u16::try_from(message.len()).map_err(|_| unsendable())?;
    stream.write_all(&[&length.to_be_bytes(), &message[..]].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await?;
    let reply = question.reply(&sent, &buffer).filter(|reply| !reply.cut);
    reply.ok_or_else(|| Silence::Broken("the answer over TCP is none to the question".into()))
}

fn unsendable() -> Silence {
    Silence::Broken("the question cannot be written as a DNS message".into())
}
