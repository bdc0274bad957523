//! Connections whose protocol has changed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};

use super::activity::Activity;
use super::client::Client;
use super::held::Held;
use super::proxy::{Inner, Phase};

/// Size of the buffer for each direction.
const BUFFER: usize = 8 * 1024;

/// The two ends, which are ready when the client has been told.
pub(super) struct Tunnel {
    pub(super) from_client: OnUpgrade,
    pub(super) to_upstream: OnUpgrade,
}

/// Copies in both directions until either end closes, nobody sends anything for too long, the connection loses its place, or
/// the proxy is stopped.
pub(super) fn spawn(inner: Arc<Inner>, client: Arc<Client>, tunnel: Tunnel, held: Held) {
    tokio::spawn(async move {
        let mut held = held;
        tokio::select! {
            result = copy(tunnel, &client.activity) => match result {
                Ok(bytes) => {
                    held.count(usize::try_from(bytes).unwrap_or(usize::MAX));
                    held.complete();
                }
                Err(error) => tracing::debug!(%error, "An upgraded connection ended badly"),
            },
            () = silent(&client.activity, inner.settings.timeouts.tunnel) => {}
            () = client.seat.lost() => {}
            () = inner.phase(Phase::Stopped) => {}
        }
    });
}

/// Returns the number of bytes for the client.
async fn copy(
    tunnel: Tunnel,
    activity: &Arc<Activity>,
) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let (client, upstream) = tokio::try_join!(tunnel.from_client, tunnel.to_upstream)?;
    let mut client = Noted { stream: TokioIo::new(client), activity: activity.clone() };
    let mut upstream = TokioIo::new(upstream);
    let (_, bytes) = copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER).await?;
    Ok(bytes)
}

async fn silent(activity: &Activity, limit: Duration) {
    loop {
        let rest = limit.saturating_sub(activity.idle());
        if rest.is_zero() {
            return;
        }
        tokio::time::sleep(rest).await;
    }
}

/// A stream that notes when the peer sends something. What it receives is noted elsewhere.
struct Noted<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if result.is_ready() {
            self.activity.note();
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
