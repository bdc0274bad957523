//! The local ends of a channel: its input and output.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::turn::PACKET;

/// Buffered bytes of one direction.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    position: usize,
}

impl Buffer {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.position == self.bytes.len()
    }

    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.position..]
    }

    pub(super) fn took(&mut self, n: usize) {
        self.position += n;
    }
}

/// One of the output streams of a channel: its reader, and the buffered data.
pub(super) struct Outlet {
    to: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    pub(super) buffer: Buffer,
    /// The reader was dropped: arriving data is discarded.
    gone: bool,
}

impl Outlet {
    pub(super) fn new(to: Option<Box<dyn AsyncWrite + Send + Unpin>>) -> Self {
        Self { gone: to.is_none(), to, buffer: Buffer::default() }
    }

    /// Passes on buffered data, and returns whether anything moved.
    pub(super) fn flush(&mut self, waker: &Waker) -> bool {
        let mut moved = false;
        while !self.buffer.is_empty() {
            let Some(to) = self.to.as_mut().filter(|_| !self.gone) else {
                self.buffer = Buffer::default();
                return true;
            };
            match Pin::new(to).poll_write(&mut Context::from_waker(waker), self.buffer.rest()) {
                Poll::Ready(Ok(n)) if n > 0 => self.buffer.took(n),
                Poll::Ready(_) => self.gone = true,
                Poll::Pending => return moved,
            }
            moved = true;
        }
        moved
    }

    /// Signals the end of the stream to the reader.
    pub(super) fn shut_down(&mut self, waker: &Waker) {
        if let Some(to) = self.to.as_mut().filter(|_| !self.gone) {
            let _ = Pin::new(to).poll_shutdown(&mut Context::from_waker(waker));
            self.gone = true;
        }
    }
}

/// The input of a channel: its source, and the data buffered for the server.
pub(super) struct Inlet {
    from: Option<Box<dyn AsyncRead + Send + Unpin>>,
    pub(super) buffer: Buffer,
}

impl Inlet {
    pub(super) fn new(from: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        Self { from: Some(from), buffer: Buffer::default() }
    }

    /// Reads more input, and returns whether there is some, or its end.
    pub(super) fn fill(&mut self, waker: &Waker) -> bool {
        let Some(from) = &mut self.from else { return true };
        let mut bytes = vec![0; PACKET * 4];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(from).poll_read(&mut Context::from_waker(waker), &mut buffer) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                let n = buffer.filled().len();
                bytes.truncate(n);
                self.buffer = Buffer::of(bytes);
            }
            Poll::Ready(_) => self.from = None,
        }
        true
    }

    /// Stops reading: no more input is needed.
    pub(super) fn close(&mut self) {
        self.from = None;
        self.buffer = Buffer::default();
    }
}
