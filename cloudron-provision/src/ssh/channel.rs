//! One channel of a session: a running command, or a connection to a port. It is a state machine that never blocks.

use std::task::Poll;

use cloudron_core::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use super::error;
use super::pipes::{Buffer, Inlet, Outlet};
use super::raw::{Exit, RawChannel};
use super::turn::{PACKET, Turn, op};
use crate::codes;

/// Size of one read, in bytes: several packets.
const READ: usize = 128 << 10;

/// The purpose of a channel.
pub(super) enum Kind {
    /// A command, for the user's shell on the server.
    Exec(String),
    /// A connection to a port on the server's loopback address.
    Port(u16),
}

/// A channel to open, and the pipes to connect it to.
pub(super) struct Opening {
    pub(super) kind: Kind,
    pub(super) input: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) output: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) errors: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Receives the result of opening.
    pub(super) started: oneshot::Sender<Result<()>>,
    /// Receives the exit status when the channel has ended. Dropping the receiver closes the channel.
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

pub(super) struct Channel {
    id: u64,
    kind: Kind,
    stage: Stage,
    raw: Option<RawChannel>,
    input: Inlet,
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
            input: Inlet::new(opening.input),
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

    /// Returns whether the channel was closed on this side and has no user any more. Only the server's close is
    /// missing, which arrives when the command there ends.
    pub(super) fn abandoned(&self) -> bool {
        self.stage == Stage::Closing && self.ended.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Returns whether libssh2 holds data that the user of this channel can take, or the end of the stream.
    pub(super) fn has_unread(&self) -> bool {
        let Some(raw) = self.raw.as_ref().filter(|_| self.stage == Stage::Running) else { return false };
        let room = self.outlets.iter().all(|o| o.buffer.is_empty());
        room && raw.has_unread()
    }

    /// Ends the channel with an error.
    pub(super) fn fail(&mut self, error: Error) {
        if let Some(started) = self.started.take() {
            let _ = started.send(Err(error));
        } else if let Some(ended) = self.ended.take() {
            let _ = ended.send(Err(error));
        }
        self.stage = Stage::Over;
        self.input.close();
        self.outlets = [Outlet::new(None), Outlet::new(None)];
    }

    /// Makes as much progress as possible, and returns whether there was any. An error means that the connection is
    /// lost.
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
            Kind::Exec(_) => turn.call((self.id, op::OPEN), RawChannel::session),
            Kind::Port(port) => turn.call((self.id, op::OPEN), |s| RawChannel::port(s, *port)),
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
            if self.input.buffer.is_empty() && !self.input.fill(turn.waker) {
                break;
            }
            let Some(raw) = self.raw.as_mut() else { break };
            if self.input.buffer.is_empty() {
                match turn.call((self.id, op::EOF), |_| raw.send_eof()) {
                    Poll::Pending => break,
                    Poll::Ready(outcome) => self.eof_sent = tolerate(outcome)?,
                }
                return Ok(true);
            }
            let pending = self.input.buffer.rest();
            match turn.call((self.id, op::WRITE), |_| raw.write(&pending[..pending.len().min(PACKET)])) {
                Poll::Pending => break,
                Poll::Ready(Ok(n)) => {
                    turn.meter.take(n);
                    self.input.buffer.took(n);
                }
                Poll::Ready(Err(e)) => {
                    // The other side closed; the end is noticed when reading.
                    self.eof_sent = tolerate(Err(e))?;
                    self.input.close();
                }
            }
            progress = true;
        }
        Ok(progress)
    }

    /// Moves one of the server's streams to its reader.
    fn take(&mut self, turn: &mut Turn<'_>, stream: usize) -> Result<bool, String> {
        let mut progress = self.outlets[stream].flush(turn.waker);
        while self.outlets[stream].buffer.is_empty() {
            let Some(raw) = self.raw.as_mut() else { break };
            let mut bytes = vec![0; READ];
            let id = (self.id, op::READ + stream as u8);
            let n = match turn.call(id, |_| raw.read(stream as i32, &mut bytes)) {
                Poll::Pending | Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(e)) if error::is_lost(&e) => return Err(e.message().into()),
                Poll::Ready(Err(_)) => break,
            };
            turn.meter.deliver(n);
            bytes.truncate(n);
            self.outlets[stream].buffer = Buffer::of(bytes);
            self.outlets[stream].flush(turn.waker);
            progress = true;
        }
        Ok(progress)
    }

    /// Checks whether the server or the user of the channel is done with it.
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
        // No more data will come: let the readers see the end, although the command may still run.
        for outlet in &mut self.outlets {
            outlet.shut_down(turn.waker);
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
            let _ = ended.send(match self.kind {
                Kind::Exec(_) => status(&raw.exit()),
                Kind::Port(_) => Ok(0),
            });
        }
        self.stage = Stage::Over;
        self.outlets = [Outlet::new(None), Outlet::new(None)];
        Ok(true)
    }
}

/// Ignores a failed write or end of input that the other side no longer accepts: the session has not failed.
fn tolerate(outcome: Result<(), ssh2::Error>) -> Result<bool, String> {
    match outcome {
        Err(e) if error::is_lost(&e) => Err(e.message().into()),
        _ => Ok(true),
    }
}

/// Returns the exit status, or 128 plus the signal number (RFC 4254, section 6.10). A command for which the server sent
/// neither counts as failed, because it is not known what it did.
fn status(exit: &Exit) -> Result<i32> {
    Ok(match exit {
        Exit::Status(status) => *status,
        Exit::Signal(name) => match name.as_str() {
            "HUP" => 129,
            "INT" => 130,
            "QUIT" => 131,
            "ILL" => 132,
            "ABRT" => 134,
            "FPE" => 136,
            "KILL" => 137,
            "SEGV" => 139,
            "PIPE" => 141,
            "ALRM" => 142,
            "TERM" => 143,
            _ => 255,
        },
        Exit::Unsaid => {
            let message = "the server closed the command's channel without an exit status";
            return Err(Error::new(&codes::REMOTE_COMMAND, message)
                .with_hint("run the same command again; the server's log may say why it ended the command"));
        }
    })
}
