//! A TCP proxy on loopback that simulates network faults.
//!
//! ```
//! use cloudron_testkit::proxy::{Faults, Proxy};
//! # fn run(server: std::net::SocketAddr) -> std::io::Result<()> {
//! let proxy = Proxy::start(server)?;
//! proxy.set(Faults { cut_up_after: Some(1 << 20), refuse_after_cut: true, ..Faults::default() });
//! // … the client loses its connection after 1 MiB and gets no new one …
//! proxy.set(Faults::default());
//! # Ok(())
//! # }
//! ```

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The faults; none by default. Up is from the client to the server.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Delay before each piece (at most 16 KiB) is passed on, in both directions.
    pub delay: Duration,
    /// Number of bytes up after which a connection is closed.
    pub cut_up_after: Option<u64>,
    /// Number of bytes down after which a connection is closed.
    pub cut_down_after: Option<u64>,
    /// True if a connection becomes silent instead of being closed: it stays open, but no data passes.
    pub stall: bool,
    /// True if every new connection is refused after the first cut, until the faults are set again.
    pub refuse_after_cut: bool,
    /// True if new connections are closed at once.
    pub refuse: bool,
}

/// A running proxy. Dropping it closes its port and all connections.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    faults: Mutex<Faults>,
    open: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
    accepted: AtomicU64,
    cuts: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards everything to `target`.
    ///
    /// # Errors
    ///
    /// If no port can be opened.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), target)
    }

    /// Starts like [`Self::start`], at a given address: a server with several ports needs a proxy for each of them at
    /// one address, such as 127.7.0.1.
    ///
    /// # Errors
    ///
    /// If it cannot listen on the address.
    pub fn start_at(address: SocketAddr, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target,
            faults: Mutex::default(),
            open: Mutex::default(),
            stopped: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
        });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Self { shared, address, acceptor: Some(acceptor) })
    }

    /// Returns the address for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the port of [`Self::address`].
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Sets the faults, for open connections as well.
    pub fn set(&self, faults: Faults) {
        *lock(&self.shared.faults) = faults;
    }

    /// Closes every open connection; new ones are accepted as before.
    pub fn cut_all(&self) {
        self.shared.cut_all();
    }

    /// Returns the number of connections so far, including refused ones.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Returns how often a byte limit was reached.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Returns the number of bytes forwarded so far from clients to the server.
    #[must_use]
    pub fn bytes_up(&self) -> u64 {
        self.shared.up.load(Ordering::SeqCst)
    }

    /// Returns the number of bytes forwarded so far from the server to clients.
    #[must_use]
    pub fn bytes_down(&self) -> u64 {
        self.shared.down.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then sees the stop flag.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.shared.cut_all();
    }
}

impl Shared {
    fn cut_all(&self) {
        for stream in lock(&self.open).drain(..) {
            end(&stream);
        }
    }

    /// Counts a piece, and returns how much of it may pass before the connection ends.
    fn allowed(&self, direction: Direction, carried: u64, length: usize) -> (usize, bool) {
        let faults = lock(&self.faults);
        let limit = match direction {
            Direction::Up => faults.cut_up_after,
            Direction::Down => faults.cut_down_after,
        };
        match limit.map(|limit| limit.saturating_sub(carried)) {
            Some(left) if left <= length as u64 => (left as usize, true),
            _ => (length, false),
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        if lock(&shared.faults).refuse {
            end(&client);
            continue;
        }
        let Ok(server) = TcpStream::connect_timeout(&shared.target, Duration::from_secs(10)) else {
            end(&client);
            continue;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        for (direction, from, to) in [(Direction::Up, &client, &server), (Direction::Down, &server, &client)]
        {
            let (Ok(from), Ok(to), Ok(kept)) = (from.try_clone(), to.try_clone(), from.try_clone()) else {
                break;
            };
            lock(&shared.open).push(kept);
            let shared = Arc::clone(shared);
            thread::spawn(move || carry(&shared, direction, from, to));
        }
    }
}

/// Forwards bytes in one direction until the end, a fault or the proxy's stop.
fn carry(shared: &Shared, direction: Direction, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0u8; 16 * 1024];
    let mut carried = 0u64;
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        let delay = lock(&shared.faults).delay;
        thread::sleep(delay);
        let (passes, over) = shared.allowed(direction, carried, length);
        if to.write_all(&buffer[..passes]).is_err() {
            break;
        }
        carried += passes as u64;
        let counter = if direction == Direction::Up { &shared.up } else { &shared.down };
        counter.fetch_add(passes as u64, Ordering::SeqCst);
        if over {
            return cut(shared, &from, &to);
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn cut(shared: &Shared, from: &TcpStream, to: &TcpStream) {
    let stall = {
        let mut faults = lock(&shared.faults);
        faults.refuse |= faults.refuse_after_cut;
        faults.stall
    };
    shared.cuts.fetch_add(1, Ordering::SeqCst);
    if !stall {
        end(from);
        end(to);
        return;
    }
    // Silent, not closed: the sockets stay with `open` until the proxy is dropped or `cut_all` is called.
    while !shared.stopped.load(Ordering::SeqCst) && from.peer_addr().is_ok() {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Breaks a connection: an end of file for the reader, a reset for the writer.
fn end(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Both);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Starts an echo server.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut reader = stream.try_clone().unwrap();
                    let mut writer = stream;
                    let _ = io::copy(&mut reader, &mut writer);
                    let _ = writer.shutdown(Shutdown::Write);
                });
            }
        });
        address
    }

    fn send(proxy: &Proxy, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(proxy.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut writer = stream.try_clone()?;
        let bytes = bytes.to_vec();
        let sender = thread::spawn(move || {
            let _ = writer.write_all(&bytes);
            let _ = writer.shutdown(Shutdown::Write);
        });
        let mut answer = Vec::new();
        let result = stream.read_to_end(&mut answer);
        sender.join().unwrap();
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(answer),
        }
    }

    #[test]
    fn without_faults_everything_passes_unchanged() {
        let proxy = Proxy::start(echo()).unwrap();
        let bytes: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
        assert!(send(&proxy, &bytes).unwrap() == bytes);
        assert_eq!((proxy.bytes_up(), proxy.bytes_down(), proxy.accepted()), (1_000_000, 1_000_000, 1));
    }

    #[test]
    fn a_connection_is_cut_after_exactly_the_given_bytes() {
        let proxy = Proxy::start(echo()).unwrap();
        proxy.set(Faults { cut_up_after: Some(1234), ..Faults::default() });
        assert!(send(&proxy, &[7; 100_000]).unwrap().len() <= 1234);
        assert_eq!((proxy.bytes_up(), proxy.cuts()), (1234, 1));
        proxy.set(Faults { cut_down_after: Some(99), ..Faults::default() });
        assert!(send(&proxy, &[7; 100_000]).unwrap().len() <= 99);
        assert_eq!(proxy.cuts(), 2);
    }

    #[test]
    fn after_a_cut_no_new_connection_works_until_the_faults_are_cleared() {
        let proxy = Proxy::start(echo()).unwrap();
        proxy.set(Faults { cut_up_after: Some(10), refuse_after_cut: true, ..Faults::default() });
        let _ = send(&proxy, &[1; 100]);
        assert_eq!(send(&proxy, b"hello").unwrap_or_default(), b"");
        proxy.set(Faults::default());
        assert_eq!(send(&proxy, b"hello").unwrap(), b"hello");
    }

    #[test]
    fn a_stalled_connection_stays_open_and_silent() {
        let proxy = Proxy::start(echo()).unwrap();
        proxy.set(Faults { cut_down_after: Some(0), stall: true, ..Faults::default() });
        let error = send(&proxy, b"hello").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_delay_is_kept() {
        let proxy = Proxy::start(echo()).unwrap();
        proxy.set(Faults { delay: Duration::from_millis(60), ..Faults::default() });
        let start = Instant::now();
        assert_eq!(send(&proxy, b"hello").unwrap(), b"hello");
        assert!(start.elapsed() >= Duration::from_millis(120));
    }

    #[test]
    fn dropping_the_proxy_closes_its_port() {
        let proxy = Proxy::start(echo()).unwrap();
        let address = proxy.address();
        drop(proxy);
        assert!(TcpStream::connect(address).is_err());
    }
}
