//! New connections.

use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::Failure;
use crate::body::Outgoing;
use crate::{Limits, Upstream};

/// Bytes of a response that HTTP/2 may send before the client took them, on one stream.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The same on one connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Time after which a connection with HTTP/2 that has requests and is silent is asked whether it is alive.
const PING: Duration = Duration::from_secs(30);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn connect(upstream: &Upstream, limit: Duration) -> Result<TokioIo<Box<dyn Stream>>, Failure> {
    let connecting = async {
        let stream: Box<dyn Stream> = match upstream {
            Upstream::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                let _ = stream.set_nodelay(true);
                Box::new(stream)
            }
            Upstream::Unix(path) => Box::new(UnixStream::connect(path).await?),
        };
        Ok::<_, std::io::Error>(stream)
    };
    match timeout(limit, connecting).await {
        Ok(Ok(stream)) => Ok(TokioIo::new(stream)),
        Ok(Err(error)) => {
            tracing::debug!(?upstream, %error, "An upstream cannot be reached");
            Err(Failure::Broken)
        }
        Err(_) => Err(Failure::Late),
    }
}

/// Opens a connection with HTTP/1.1.
pub(super) async fn http1(
    upstream: &Upstream,
    limit: Duration,
    limits: &Limits,
) -> Result<http1::SendRequest<Outgoing>, Failure> {
    let stream = connect(upstream, limit).await?;
    let mut builder = http1::Builder::new();
    builder.max_headers(limits.fields).max_buf_size(limits.head_size.max(8192));
    let (sender, connection) = builder.handshake(stream).await.map_err(|_| Failure::Broken)?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "A connection to an upstream ended badly");
        }
    });
    Ok(sender)
}

/// Opens a connection with HTTP/2, without asking whether the upstream speaks it (RFC 9113, section 3.3).
pub(super) async fn h2c(
    upstream: &Upstream,
    limit: Duration,
    limits: &Limits,
) -> Result<http2::SendRequest<Outgoing>, Failure> {
    let stream = connect(upstream, limit).await?;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head_size).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING)
        .keep_alive_timeout(limit);
    let (sender, connection) = builder.handshake(stream).await.map_err(|_| Failure::Broken)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "A connection to an upstream ended badly");
        }
    });
    Ok(sender)
}
