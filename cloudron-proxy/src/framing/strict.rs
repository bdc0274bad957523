//! A stream that hands on the bytes of a client only after they were checked.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::chunked::{Chunks, Step};
use super::exchange::{Exchange, Next};
use super::{Framing, HeadLimits, Refusal, head};

/// Bytes that are read at once.
const READ: usize = 16 * 1024;

/// Stands in for a request that is refused. The service answers it with the refusal.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost: refused.invalid\r\nConnection: close\r\n\r\n";

/// Breaks a chunked body, wherever its lines begin: no chunk begins so, and no trailer section.
const BREAK: &[u8] = b"!\0\r\n\r\n";

/// Where the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before or in a head, of which so many bytes were searched.
    Head(usize),
    Length(u64),
    Chunked(Chunks),
    Tunnel,
    /// The rest is not read.
    Refused,
}

/// The stream. Writes pass.
#[derive(Debug)]
pub(crate) struct Strict<S> {
    stream: S,
    limits: HeadLimits,
    exchange: Arc<Exchange>,
    state: State,
    bytes: BytesMut,
    /// The number of bytes at the beginning that were checked.
    checked: usize,
    ended: bool,
    /// Time limit for a head, from its first byte.
    head_time: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Strict<S> {
    pub(crate) fn new(stream: S, limits: HeadLimits, head_time: Duration, exchange: Arc<Exchange>) -> Self {
        let (state, bytes) = (State::Head(0), BytesMut::new());
        Self { stream, limits, exchange, state, bytes, checked: 0, ended: false, head_time, deadline: None }
    }

    /// Checks what was read, when all that was checked has been handed on. Returns whether more must be read first.
    fn check(&mut self) -> bool {
        let rest = &self.bytes[..];
        match self.state {
            State::Head(seen) => return self.head(seen),
            State::Tunnel => self.checked = self.bytes.len(),
            State::Refused => {}
            State::Length(left) => {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                self.checked = count;
                let left = left - count as u64;
                self.state = if left == 0 { State::Head(0) } else { State::Length(left) };
            }
            State::Chunked(chunks) => match chunks.step(rest) {
                Step::Pass(count, next) => {
                    self.checked = count;
                    self.state = if next == Chunks::Done { State::Head(0) } else { State::Chunked(next) };
                }
                Step::More => return true,
                Step::Broken => self.refuse_with(BREAK),
            },
        }
        self.checked == 0
    }

    /// Checks the head at the beginning: what was before it was handed on.
    fn head(&mut self, seen: usize) -> bool {
        // Empty lines before a request are ignored (RFC 9112, section 2.2).
        while seen == 0 && self.bytes.starts_with(b"\r\n") {
            self.bytes.advance(2);
        }
        if self.bytes.is_empty() || self.bytes[..] == b"\r"[..] {
            return true;
        }
        let found = head::end(&self.bytes, seen).and_then(|end| match end {
            Some(end) if end > self.limits.size => Err(self.too_long()),
            Some(end) => head::check(&self.bytes[..end], &self.limits).map(|head| Some((end, head))),
            None if self.bytes.len() > self.limits.size => Err(self.too_long()),
            None => Ok(None),
        });
        let mut talk = self.exchange.talk();
        match found {
            Ok(None) => {
                self.state = State::Head(self.bytes.len());
                true
            }
            Ok(Some((end, head))) => {
                talk.heads += 1;
                talk.next = if head.upgrade { Next::Unknown } else { Next::Request };
                self.checked = end;
                self.deadline = None;
                self.state = match head.framing {
                    Framing::Length(0) => State::Head(0),
                    Framing::Length(length) => State::Length(length),
                    Framing::Chunked => State::Chunked(Chunks::Size),
                };
                false
            }
            Err(refusal) => {
                talk.heads += 1;
                talk.refusal = Some((talk.heads, refusal));
                drop(talk);
                self.refuse_with(STAND_IN);
                false
            }
        }
    }

    fn too_long(&self) -> Refusal {
        let line = self.bytes.iter().position(|byte| *byte == b'\n').unwrap_or(self.bytes.len());
        if line > self.limits.target { Refusal::TargetTooLong } else { Refusal::FieldsTooLarge }
    }

    fn refuse_with(&mut self, bytes: &[u8]) {
        self.bytes = BytesMut::from(bytes);
        self.checked = self.bytes.len();
        self.state = State::Refused;
    }
}

impl<S: AsyncRead + Unpin> Strict<S> {
    /// Reads more bytes from the client.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut raw = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut raw);
        if self.bytes.is_empty() {
            // An idle connection holds no memory for bytes to come.
            self.bytes = BytesMut::new();
        }
        let result = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
        if result.is_pending() && matches!(self.state, State::Head(_)) && !self.bytes.is_empty() {
            let limit = self.head_time;
            let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(limit)));
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the head of a request is slow",
            )));
        }
        let count = buffer.filled().len();
        self.bytes.extend_from_slice(buffer.filled());
        ready!(result)?;
        self.ended = count == 0;
        Poll::Ready(Ok(()))
    }

    /// Returns whether the bytes after a message must not be looked at yet.
    fn must_wait(&mut self, cx: &Context<'_>) -> bool {
        let mut talk = self.exchange.talk();
        if !matches!(self.state, State::Head(0)) {
            return false;
        }
        match talk.next {
            Next::Request => return false,
            Next::Unknown => talk.waker = Some(cx.waker().clone()),
            Next::Tunnel => {
                self.state = State::Tunnel;
                return false;
            }
        }
        true
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.checked > 0 {
                let count = this.checked.min(buffer.remaining());
                buffer.put_slice(&this.bytes[..count]);
                this.bytes.advance(count);
                this.checked -= count;
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            if this.state == State::Tunnel && this.bytes.is_empty() {
                return Pin::new(&mut this.stream).poll_read(cx, buffer);
            }
            if this.state == State::Refused {
                // The service answers and closes.
                return Poll::Pending;
            }
            if this.must_wait(cx) {
                return Poll::Pending;
            }
            if this.bytes.is_empty() || this.check() {
                ready!(this.poll_more(cx))?;
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
