//! A stream that detects a peer that does not read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::activity::Activity;

/// Minimum number of pending bytes that a peer must read within each time limit.
const LEAST: u64 = 1024;

/// A stream whose writes fail if the peer reads less than 1 KiB of pending data within the limit. Limits on reads are applied
/// elsewhere.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    limit: Duration,
    /// End of the time in which the peer must read. `None` if no data was ever pending.
    deadline: Option<Pin<Box<Sleep>>>,
    taken: u64,
    waiting: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>, limit: Duration) -> Self {
        Self { stream, activity, limit, deadline: None, taken: 0, waiting: false }
    }

    /// Passes on the result of a write. A pending write becomes an error when the time limit is exceeded.
    fn judge<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.waiting = false;
            return result;
        }
        let over =
            |deadline: &mut Pin<Box<Sleep>>, cx: &mut Context<'_>| deadline.as_mut().poll(cx).is_ready();
        // A deadline that passed without pending data says nothing about the peer.
        let stale = !self.waiting && self.deadline.as_mut().is_none_or(|d| over(d, cx));
        self.waiting = true;
        if !stale {
            let Some(deadline) = self.deadline.as_mut() else { return Poll::Pending };
            ready!(deadline.as_mut().poll(cx));
            if self.taken < LEAST {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")));
            }
        }
        let mut next = Box::pin(sleep(self.limit));
        self.taken = 0;
        let passed = over(&mut next, cx);
        self.deadline = Some(next);
        if passed { self.judge(cx, Poll::Pending) } else { Poll::Pending }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buffer);
        if let Poll::Ready(Ok(count @ 1..)) = result {
            self.taken = self.taken.saturating_add(count as u64);
            self.activity.note();
        }
        self.judge(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        // Flushing a socket never blocks, so it says nothing about the peer.
        if result.is_ready() { result } else { self.judge(cx, result) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(cx, result)
    }
}
