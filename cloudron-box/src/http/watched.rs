//! A stream that detects a peer that does not read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Minimum number of pending bytes that a peer must read within each time limit.
const LEAST: u64 = 1024;

/// Time when the peer last read data. Received data does not count: a request can be sent byte by byte.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Instant,
    last: AtomicU64,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), last: AtomicU64::new(0) })
    }

    fn note(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Returns the time since the peer last read data.
    pub(super) fn idle(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

/// A stream whose writes fail if the peer reads less than 1 KiB of pending data within the limit. Limits on
/// reads are applied elsewhere.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    progress: Arc<Progress>,
    limit: Duration,
    /// End of the time in which the peer must read. `None` if no data was ever pending.
    deadline: Option<Pin<Box<Sleep>>>,
    taken: u64,
    waiting: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, progress: Arc<Progress>, limit: Duration) -> Self {
        Self { stream, progress, limit, deadline: None, taken: 0, waiting: false }
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
            self.progress.note();
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn a_peer_that_does_not_read_ends_the_write() {
        let (ours, _theirs) = duplex(64);
        let mut watched = Watched::new(ours, Progress::new(), LIMIT);
        let begun = Instant::now();
        let error = watched.write_all(&[0; 100_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((LIMIT..10 * LIMIT).contains(&begun.elapsed()));
    }

    #[tokio::test]
    async fn a_peer_that_reads_a_byte_now_and_then_ends_it_too() {
        let (ours, mut theirs) = duplex(64);
        let mut watched = Watched::new(ours, Progress::new(), LIMIT);
        tokio::spawn(async move {
            while theirs.read_u8().await.is_ok() {
                tokio::time::sleep(LIMIT / 10).await;
            }
        });
        let error = watched.write_all(&[0; 100_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_slow_reader_and_a_long_pause_are_no_reason() {
        // Long enough for a busy computer.
        let limit = Duration::from_secs(2);
        let (ours, mut theirs) = duplex(256);
        let mut watched = Watched::new(ours, Progress::new(), limit);
        let reading = tokio::spawn(async move {
            let (mut sum, mut part) = (0, [0; 1024]);
            while let Ok(count @ 1..) = theirs.read(&mut part).await {
                sum += count;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            sum
        });
        watched.write_all(&[0; 8000]).await.unwrap();
        tokio::time::sleep(limit + limit / 4).await;
        watched.write_all(&[0; 100]).await.unwrap();
        watched.write_all(&[0; 8000]).await.unwrap();
        drop(watched);
        assert_eq!(reading.await.unwrap(), 16_100);
    }
}
