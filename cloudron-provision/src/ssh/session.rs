//! The thread that owns a session.
//!
//! libssh2 is not thread-safe, and blocks by default. Therefore one thread owns it, in non-blocking mode, and serves
//! all channels: in each turn it lets every channel make as much progress as possible, then sleeps in `poll` until the
//! socket or one of the channels' pipes has data. The other ends of those pipes are tokio's in-memory streams, whose
//! wakers write to a socket pair that `poll` watches too.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use cloudron_core::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ssh2::Session;
use tokio::sync::oneshot;

use super::auth::Credentials;
use super::channel::{Channel, Opening};
use super::handshake::{self, Ready};
use super::meter::Meter;
use super::turn::Turn;
use super::{HostKey, HostKeyPolicy, SshTarget, error};

/// Maximum time without other traffic before a keepalive is sent.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Maximum sleep while several channels are open. A read for one of them may receive a packet that completes another
/// channel's open or request, which `poll` cannot see.
const SHARED_NAP: Duration = Duration::from_millis(10);

/// A handle of a session's thread. The thread ends when the last handle is dropped, after its channels.
pub(super) struct Handle {
    orders: Option<mpsc::Sender<Box<Opening>>>,
    bell: Arc<Bell>,
    alive: Arc<AtomicBool>,
    key: HostKey,
}

impl Handle {
    /// Starts a thread that connects, and waits until it has.
    pub(super) async fn connect(
        target: SshTarget,
        credentials: Arc<Credentials>,
        policy: HostKeyPolicy,
        limit: Duration,
    ) -> Result<Self> {
        let (orders, inbox) = mpsc::channel();
        let (ring, heard) = UnixStream::pair().map_err(|e| Error::io("a socket pair", e))?;
        for end in [&ring, &heard] {
            end.set_nonblocking(true).map_err(|e| Error::io("a socket pair", e))?;
        }
        let bell = Arc::new(Bell(ring));
        let alive = Arc::new(AtomicBool::new(true));
        let (ready, connected) = oneshot::channel();
        let (thread_bell, thread_alive) = (bell.clone(), alive.clone());
        let work = move || {
            let established = handshake::establish(&target, &credentials, &policy, limit);
            let Ready { session, socket, meter, key } = match established {
                Ok(ready) => ready,
                Err(e) => {
                    let _ = ready.send(Err(e));
                    return;
                }
            };
            session.set_blocking(false);
            if ready.send(Ok(key)).is_ok() {
                let waker = Waker::from(thread_bell);
                let alive = thread_alive.clone();
                Loop::new((session, socket, meter), inbox, heard, waker, alive, limit * 4).run();
            }
            thread_alive.store(false, Ordering::SeqCst);
        };
        let spawned = std::thread::Builder::new().name("ssh".into()).spawn(work);
        spawned.map_err(|e| Error::io("a thread for the SSH session", e))?;
        let key = connected.await.map_err(|_| error::lost("its thread ended"))??;
        Ok(Self { orders: Some(orders), bell, alive, key })
    }

    /// Returns whether the connection still exists, as far as known.
    pub(super) fn alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    /// Returns the host key of the server.
    pub(super) fn key(&self) -> &HostKey {
        &self.key
    }

    /// Passes a channel to the thread.
    pub(super) fn open(&self, opening: Opening) -> Result<()> {
        let sent = self.orders.as_ref().is_some_and(|o| o.send(Box::new(opening)).is_ok());
        if !sent || !self.alive() {
            return Err(error::lost("it was closed before"));
        }
        self.bell.ring();
        Ok(())
    }

    /// Returns a value that wakes the thread when it is dropped, so that the thread notices changes of a channel's
    /// user.
    pub(super) fn nudge(&self) -> Nudge {
        Nudge(self.bell.clone())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.orders = None;
        self.bell.ring();
    }
}

/// Wakes the session's thread when dropped.
pub(super) struct Nudge(Arc<Bell>);

impl Drop for Nudge {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// Wakes the session's thread out of `poll`.
struct Bell(UnixStream);

impl Bell {
    fn ring(&self) {
        // A full socket pair already wakes the thread; a closed one has no thread to wake.
        let _ = (&self.0).write(&[1]);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

struct Loop {
    session: Session,
    socket: TcpStream,
    meter: &'static Meter,
    inbox: mpsc::Receiver<Box<Opening>>,
    heard: UnixStream,
    waker: Waker,
    alive: Arc<AtomicBool>,
    channels: Vec<Channel>,
    /// The operation that stopped in the middle of sending a packet, as (channel, operation).
    stalled: Option<(u64, u8)>,
    next: u64,
    closing: bool,
    /// True if data is waiting in the socket of an idle session.
    waiting: bool,
    /// When data last arrived from the server while a channel was open.
    last_heard: Instant,
    /// Time after which a silent server, which does not even answer keepalives, counts as lost.
    silence: Duration,
}

impl Loop {
    fn new(
        (session, socket, meter): (Session, TcpStream, &'static Meter),
        inbox: mpsc::Receiver<Box<Opening>>,
        heard: UnixStream,
        waker: Waker,
        alive: Arc<AtomicBool>,
        silence: Duration,
    ) -> Self {
        Self {
            session,
            socket,
            meter,
            inbox,
            heard,
            waker,
            alive,
            channels: Vec::new(),
            stalled: None,
            next: 0,
            closing: false,
            waiting: false,
            last_heard: Instant::now(),
            silence,
        }
    }

    fn run(mut self) {
        let mut quiet_since = Instant::now();
        loop {
            self.listen();
            match self.turn() {
                Ok(true) => quiet_since = Instant::now(),
                Ok(false) => {}
                Err(why) => return self.give_up(&why),
            }
            if self.closing && self.channels.iter().all(Channel::abandoned) {
                let _ = self.session.disconnect(None, "done", None);
                return;
            }
            if self.channels.is_empty() {
                self.last_heard = Instant::now();
            } else if self.last_heard.elapsed() > self.silence {
                let why = format!("the server said nothing for {} s", self.silence.as_secs());
                return self.give_up(&why);
            }
            if quiet_since.elapsed() >= self.keepalive_after() {
                quiet_since = Instant::now();
                if let Err(why) = self.keepalive() {
                    return self.give_up(&why);
                }
            }
            if let Err(why) = self.sleep() {
                return self.give_up(&why);
            }
        }
    }

    /// Accepts new channels.
    fn listen(&mut self) {
        let mut drain = [0; 256];
        while matches!(self.heard.read(&mut drain), Ok(n) if n == drain.len()) {}
        loop {
            match self.inbox.try_recv() {
                Ok(opening) => {
                    self.channels.push(Channel::new(self.next, *opening));
                    self.next += 1;
                }
                Err(mpsc::TryRecvError::Empty) => return,
                Err(mpsc::TryRecvError::Disconnected) => {
                    self.closing = true;
                    return;
                }
            }
        }
    }

    /// Lets every channel make as much progress as possible, and returns whether any made some.
    fn turn(&mut self) -> Result<bool, String> {
        let mut any = false;
        loop {
            let mut progress = false;
            // Only one channel is opened at a time: libssh2 keeps the state of opening in the session.
            let opener = self.channels.iter().find(|c| c.opening()).map(Channel::id);
            for channel in &mut self.channels {
                if channel.opening() && Some(channel.id()) != opener {
                    continue;
                }
                let mut turn = Turn {
                    session: &self.session,
                    meter: self.meter,
                    stalled: &mut self.stalled,
                    waker: &self.waker,
                };
                progress |= channel.go(&mut turn)?;
            }
            self.channels.retain(|c| !c.over());
            any |= progress;
            if !progress {
                return Ok(any);
            }
        }
    }

    fn keepalive_after(&self) -> Duration {
        KEEPALIVE.min(self.silence / 4)
    }

    /// Sends a keepalive only if it fits into the socket's buffer, since it cannot be sent in two parts.
    fn keepalive(&mut self) -> Result<(), String> {
        let mut socket = [PollFd::new(&self.socket, PollFlags::OUT)];
        let free = poll(&mut socket, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|n| n > 0);
        if self.stalled.is_some() || !free {
            return Ok(());
        }
        // The interval is the minimum that libssh2 accepts: the time of sending is decided here.
        self.session.set_keepalive(true, 2);
        match self.session.keepalive_send() {
            Err(e) if error::is_lost(&e) => Err(e.message().into()),
            _ => Ok(()),
        }
    }

    fn sleep(&mut self) -> Result<(), String> {
        if self.channels.iter().any(Channel::has_unread) {
            return Ok(());
        }
        let idle = self.channels.is_empty();
        let mut events = PollFlags::empty();
        if !(idle && self.waiting) {
            events |= PollFlags::IN;
        }
        if self.stalled.is_some() {
            events |= PollFlags::OUT;
        }
        let used = self.channels.iter().filter(|c| !c.abandoned()).count();
        let nap = if used > 1 { SHARED_NAP } else { self.keepalive_after() };
        let nap = Timespec { tv_sec: nap.as_secs() as i64, tv_nsec: i64::from(nap.subsec_nanos()) };
        let mut watched =
            [PollFd::new(&self.socket, events), PollFd::from_borrowed_fd(self.heard.as_fd(), PollFlags::IN)];
        match poll(&mut watched, Some(&nap)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.to_string()),
        }
        let happened = watched[0].revents();
        if happened.contains(PollFlags::IN) {
            self.last_heard = Instant::now();
        }
        if idle && happened.intersects(PollFlags::HUP | PollFlags::ERR) {
            return Err("the server closed it".into());
        }
        let stirred = !happened.is_empty();
        self.waiting = idle && (self.waiting || stirred);
        if idle && stirred { self.look() } else { Ok(()) }
    }

    /// Checks an idle session, whose socket is not read. Data from the server, such as answers to keepalives, stays in
    /// the socket for the next channel; only its end is noticed.
    fn look(&self) -> Result<(), String> {
        match self.socket.peek(&mut [0]) {
            Ok(0) => Err("the server closed it".into()),
            Err(e) if e.kind() != std::io::ErrorKind::WouldBlock => Err(e.to_string()),
            _ => Ok(()),
        }
    }

    fn give_up(mut self, why: &str) {
        // Set before the result is sent, so that a retry opens a new connection.
        self.alive.store(false, Ordering::SeqCst);
        let why = if self.meter.is_over() { "the server sends far more than was asked for" } else { why };
        for channel in &mut self.channels {
            channel.fail(error::lost(why));
        }
        // Channels of a lost connection cannot be closed properly; freeing them needs no response.
        self.session.set_blocking(false);
        while let Ok(opening) = self.inbox.try_recv() {
            Channel::new(self.next, *opening).fail(error::lost(why));
        }
    }
}
