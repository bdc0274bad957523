//! One channel of a session: a command that runs, or a connection to a port. A state machine that never blocks.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use cloudron_core::{Error, Result};
use ssh2::{BlockDirections, Session};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::error;
use crate::codes;

/// How much is moved at once: the most that libssh2 puts into one packet, and a multiple of it for reading.
const WRITE: usize = 32_700;
const READ: usize = 128 << 10;

/// What is opened.
pub(super) enum Kind {
    /// A command, for the user's shell on the server.
    Exec(String),
    /// A connection to a port on the server's loopback address.
    Port(u16),
}

/// A channel to open, and the pipes to connect it with.
pub(super) struct Opening {
    pub(super) kind: Kind,
    pub(super) input: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) output: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) errors: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Told once it is open.
    pub(super) started: oneshot::Sender<Result<()>>,
    /// Told once it is over, with the exit status. That nobody waits for it any more closes the channel.
    pub(super) ended: oneshot::Sender<Result<i32>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opening,
    Requesting,
    Running,
    Closing,
    Over,
}

/// Operations, as named in the session's note of what stalled.
mod op {
    pub(super) const OPEN: u8 = 0;
    pub(super) const REQUEST: u8 = 1;
    pub(super) const WRITE: u8 = 2;
    pub(super) const EOF: u8 = 3;
    /// Reading stream N is `READ + N`.
    pub(super) const READ: u8 = 4;
    pub(super) const WAIT: u8 = 6;
    pub(super) const CLOSE: u8 = 7;
}

/// What a channel is given for its turn.
pub(super) struct Turn<'a> {
    pub(super) session: &'a Session,
    pub(super) stalled: &'a mut Option<(u64, u8)>,
    pub(super) waker: &'a Waker,
}

impl Turn<'_> {
    /// Makes a non-blocking call. An operation that stopped in the middle of a packet must be the next one
    /// that sends anything (libssh2 refuses others until then), so all others wait for it.
    fn call<T>(
        &mut self,
        id: (u64, u8),
        call: impl FnOnce(&Session) -> Result<T, ssh2::Error>,
    ) -> Poll<Result<T, ssh2::Error>> {
        if self.stalled.is_some_and(|s| s != id) {
            return Poll::Pending;
        }
        let outcome = call(self.session);
        *self.stalled = None;
        match outcome {
            Err(e) if error::is_again(&e) => {
                let sending = matches!(
                    self.session.block_directions(),
                    BlockDirections::Outbound | BlockDirections::Both
                );
                *self.stalled = sending.then_some(id);
                Poll::Pending
            }
            outcome => Poll::Ready(outcome),
        }
    }
}

/// Bytes on their way in one direction.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    position: usize,
}

impl Buffer {
    fn is_empty(&self) -> bool {
        self.position == self.bytes.len()
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.position..]
    }

    fn took(&mut self, n: usize) {
        self.position += n;
    }
}

/// One of the streams that a channel gives: where it goes, and what is on its way there.
struct Outlet {
    to: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    buffer: Buffer,
    /// Nobody reads it any more: what arrives is dropped.
    gone: bool,
}

impl Outlet {
    fn new(to: Option<Box<dyn AsyncWrite + Send + Unpin>>) -> Self {
        Self { gone: to.is_none(), to, buffer: Buffer::default() }
    }

    /// Hands on what is buffered; whether anything moved.
    fn flush(&mut self, waker: &Waker) -> bool {
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
}

pub(super) struct Channel {
    id: u64,
    kind: Kind,
    stage: Stage,
    raw: Option<ssh2::Channel>,
    input: Option<Box<dyn AsyncRead + Send + Unpin>>,
    pending: Buffer,
    eof_sent: bool,
    outlets: [Outlet; 2],
    started: Option<oneshot::Sender<Result<()>>>,
    ended: Option<oneshot::Sender<Result<i32>>>,
    remote_closed: bool,
}

impl Channel {
    pub(super) fn new(id: u64, opening: Opening) -> Self {
        Self {
            id,
            kind: opening.kind,
            stage: Stage::Opening,
            raw: None,
            input: Some(opening.input),
            pending: Buffer::default(),
            eof_sent: false,
            outlets: [Outlet::new(Some(opening.output)), Outlet::new(opening.errors)],
            started: Some(opening.started),
            ended: Some(opening.ended),
            remote_closed: false,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn opening(&self) -> bool {
        self.stage == Stage::Opening
    }

    pub(super) fn over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whether it was closed from here and nobody waits for it: only the server's word is missing, which comes
    /// when the command there ends.
    pub(super) fn abandoned(&self) -> bool {
        self.stage == Stage::Closing && self.ended.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Whether libssh2 holds something for this channel that its user has room for, or its end.
    pub(super) fn has_unread(&self) -> bool {
        let Some(raw) = self.raw.as_ref().filter(|_| self.stage == Stage::Running) else { return false };
        let room = self.outlets.iter().all(|o| o.buffer.is_empty());
        room && raw.read_window().available > 0
    }

    /// Ends with an error.
    pub(super) fn fail(&mut self, error: Error) {
        if let Some(started) = self.started.take() {
            let _ = started.send(Err(error));
        } else if let Some(ended) = self.ended.take() {
            let _ = ended.send(Err(error));
        }
        self.stage = Stage::Over;
        self.input = None;
        self.outlets = [Outlet::new(None), Outlet::new(None)];
    }

    /// Goes as far as it can; whether it went at all. An error means that the connection is gone.
    pub(super) fn go(&mut self, turn: &mut Turn<'_>) -> Result<bool, String> {
        match self.stage {
            Stage::Opening => self.open(turn),
            Stage::Requesting => self.request(turn),
            Stage::Running => {
                let mut progress = self.give(turn)?;
                progress |= self.take(turn, 0)?;
                progress |= self.take(turn, 1)?;
                progress |= self.notice_end(turn)?;
                Ok(progress)
            }
            Stage::Closing => self.close(turn),
            Stage::Over => Ok(false),
        }
    }

    fn open(&mut self, turn: &mut Turn<'_>) -> Result<bool, String> {
        let opened = match &self.kind {
            Kind::Exec(_) => turn.call((self.id, op::OPEN), Session::channel_session),
            Kind::Port(port) => {
                turn.call((self.id, op::OPEN), |s| s.channel_direct_tcpip("127.0.0.1", *port, None))
            }
        };
        match opened {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(raw)) => {
                self.raw = Some(raw);
                self.stage = Stage::Requesting;
                if let Kind::Port(_) = self.kind {
                    self.run();
                }
                Ok(true)
            }
            Poll::Ready(Err(e)) => self.refused(&e),
        }
    }

    fn request(&mut self, turn: &mut Turn<'_>) -> Result<bool, String> {
        let (Kind::Exec(command), Some(raw)) = (&self.kind, &mut self.raw) else { return Ok(false) };
        match turn.call((self.id, op::REQUEST), |_| raw.exec(command)) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(())) => {
                self.run();
                Ok(true)
            }
            Poll::Ready(Err(e)) => self.refused(&e),
        }
    }

    fn run(&mut self) {
        self.stage = Stage::Running;
        if let Some(started) = self.started.take() {
            let _ = started.send(Ok(()));
        }
    }

    fn refused(&mut self, e: &ssh2::Error) -> Result<bool, String> {
        if error::is_lost(e) {
            return Err(e.message().into());
        }
        let error = match &self.kind {
            Kind::Port(port) => Error::new(
                &codes::SSH_REFUSED,
                format!("the server could not be reached on its port {port}: {}", e.message()),
            ),
            Kind::Exec(_) if self.raw.is_none() => Error::new(
                &codes::SSH_SESSIONS,
                format!("the server runs no further command for now: {}", e.message()),
            ),
            Kind::Exec(_) => Error::new(
                &codes::SSH_PROTOCOL,
                format!("the server refused to run a command: {}", e.message()),
            ),
        };
        self.fail(error);
        Ok(true)
    }

    /// Moves input to the server.
    fn give(&mut self, turn: &mut Turn<'_>) -> Result<bool, String> {
        let mut progress = false;
        while !self.eof_sent && !self.remote_closed {
            if self.pending.is_empty() && !self.fill(turn.waker) {
                break;
            }
            let Some(raw) = self.raw.as_mut() else { break };
            if self.pending.is_empty() {
                match turn.call((self.id, op::EOF), |_| raw.send_eof()) {
                    Poll::Pending => break,
                    Poll::Ready(outcome) => self.eof_sent = tolerate(outcome)?,
                }
                return Ok(true);
            }
            let pending = &self.pending;
            match turn.call((self.id, op::WRITE), |s| write(s, raw, pending.rest())) {
                Poll::Pending => break,
                Poll::Ready(Ok(n)) => self.pending.took(n),
                Poll::Ready(Err(e)) => {
                    // The other side closed: its end is noticed when reading.
                    self.eof_sent = tolerate(Err(e))?;
                    self.input = None;
                    self.pending = Buffer::default();
                }
            }
            progress = true;
        }
        Ok(progress)
    }

    /// Gets more input; whether there is some, or the end of it.
    fn fill(&mut self, waker: &Waker) -> bool {
        let Some(input) = &mut self.input else { return true };
        let mut bytes = vec![0; WRITE * 4];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(input).poll_read(&mut Context::from_waker(waker), &mut buffer) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                let n = buffer.filled().len();
                bytes.truncate(n);
                self.pending = Buffer { bytes, position: 0 };
            }
            Poll::Ready(_) => self.input = None,
        }
        true
    }

    /// Moves one of the server's streams to its reader.
    fn take(&mut self, turn: &mut Turn<'_>, stream: usize) -> Result<bool, String> {
        let mut progress = self.outlets[stream].flush(turn.waker);
        while self.outlets[stream].buffer.is_empty() {
            let Some(raw) = self.raw.as_mut() else { break };
            let mut bytes = vec![0; READ];
            let id = (self.id, op::READ + stream as u8);
            let n = match turn.call(id, |s| read(s, raw, stream as i32, &mut bytes)) {
                Poll::Pending | Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(e)) if error::is_lost(&e) => return Err(e.message().into()),
                Poll::Ready(Err(_)) => break,
            };
            bytes.truncate(n);
            self.outlets[stream].buffer = Buffer { bytes, position: 0 };
            self.outlets[stream].flush(turn.waker);
            progress = true;
        }
        Ok(progress)
    }

    /// Looks whether the server or the user of the channel is done with it.
    fn notice_end(&mut self, turn: &mut Turn<'_>) -> Result<bool, String> {
        if self.ended.as_ref().is_none_or(oneshot::Sender::is_closed)
            && !turn.stalled.is_some_and(|s| s.0 == self.id)
        {
            self.stage = Stage::Closing;
            return Ok(true);
        }
        let Some(raw) = self.raw.as_mut().filter(|r| r.eof()) else { return Ok(false) };
        if self.outlets.iter().any(|o| !o.buffer.is_empty()) {
            return Ok(false);
        }
        // Nothing more comes: let the readers see the end, although the command may run on.
        for outlet in &mut self.outlets {
            if let (Some(to), false) = (&mut outlet.to, outlet.gone) {
                let _ = Pin::new(to).poll_shutdown(&mut Context::from_waker(turn.waker));
                outlet.gone = true;
            }
        }
        let finished_both_ways = matches!(self.kind, Kind::Port(_)) && self.eof_sent;
        let closed = match turn.call((self.id, op::WAIT), |_| raw.wait_close()) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(e)) if error::is_lost(&e) => return Err(e.message().into()),
            Poll::Ready(Err(_)) | Poll::Pending => false,
        };
        if closed || (finished_both_ways && turn.stalled.is_none()) {
            self.remote_closed = closed;
            self.stage = Stage::Closing;
            return Ok(true);
        }
        Ok(false)
    }

    fn close(&mut self, turn: &mut Turn<'_>) -> Result<bool, String> {
        let Some(raw) = self.raw.as_mut() else {
            self.stage = Stage::Over;
            return Ok(true);
        };
        match turn.call((self.id, op::CLOSE), |_| raw.close()) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(e)) if error::is_lost(&e) && !self.remote_closed => {
                return Err(e.message().into());
            }
            Poll::Ready(_) => {}
        }
        if let Some(ended) = self.ended.take() {
            let _ = ended.send(Ok(status(raw)));
        }
        self.stage = Stage::Over;
        self.outlets = [Outlet::new(None), Outlet::new(None)];
        Ok(true)
    }
}

/// A write or an end of input that the other side did not want any more is no failure of the session.
fn tolerate(outcome: Result<(), ssh2::Error>) -> Result<bool, String> {
    match outcome {
        Err(e) if error::is_lost(&e) => Err(e.message().into()),
        _ => Ok(true),
    }
}

fn write(session: &Session, raw: &mut ssh2::Channel, bytes: &[u8]) -> Result<usize, ssh2::Error> {
    raw.write(&bytes[..bytes.len().min(WRITE)]).map_err(|e| back(session, &e))
}

fn read(
    session: &Session,
    raw: &mut ssh2::Channel,
    stream: i32,
    bytes: &mut [u8],
) -> Result<usize, ssh2::Error> {
    raw.stream(stream).read(bytes).map_err(|e| back(session, &e))
}

/// The libssh2 error that an I/O error stands for, whose own kinds tell less.
fn back(session: &Session, e: &io::Error) -> ssh2::Error {
    let of = |code| ssh2::Error::from_errno(ssh2::ErrorCode::Session(code));
    if e.kind() == io::ErrorKind::WouldBlock {
        return of(libssh2_sys::LIBSSH2_ERROR_EAGAIN);
    }
    // A code that says "again" here is left from an earlier call: what failed now said nothing.
    match ssh2::Error::last_session_error(session) {
        Some(told) if !error::is_again(&told) => told,
        _ => of(libssh2_sys::LIBSSH2_ERROR_SOCKET_DISCONNECT),
    }
}

/// The exit status, or 128 and the number of the signal (RFC 4254, section 6.10).
fn status(raw: &ssh2::Channel) -> i32 {
    let signal = raw.exit_signal().ok().and_then(|s| s.exit_signal);
    match signal.as_deref() {
        None => raw.exit_status().unwrap_or(255),
        Some("HUP") => 129,
        Some("INT") => 130,
        Some("QUIT") => 131,
        Some("ILL") => 132,
        Some("ABRT") => 134,
        Some("FPE") => 136,
        Some("KILL") => 137,
        Some("SEGV") => 139,
        Some("PIPE") => 141,
        Some("ALRM") => 142,
        Some("TERM") => 143,
        Some(_) => 255,
    }
}
