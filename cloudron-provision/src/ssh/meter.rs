//! A limit for what a server sends that nobody asked for.
//!
//! libssh2 keeps packets whose type it does not know, for whoever might ask for one, and nobody ever does. A server
//! that sends nothing else would fill the memory, so what is read from the socket is counted here and compared with
//! what channels were given of it.

use std::ffi::{c_int, c_void};
use std::io::{ErrorKind, Read};
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::os::fd::FromRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use libssh2_sys as sys;
use rustix::io::Errno;
use ssh2::Session;

/// Bytes that a server may send beside the data of channels: keys, banners, keepalives.
const BESIDE: u64 = 64 << 20;
/// Bytes that one byte of a channel's data may cost on its way: a packet of its own has about 50.
const COST: u64 = 64;

/// `LIBSSH2_CALLBACK_RECV` of libssh2.h.
const CALLBACK_RECV: c_int = 6;

type Generic = unsafe extern "C" fn();
type Receive = unsafe extern "C" fn(c_int, *mut c_void, usize, c_int, *mut *mut c_void) -> isize;

unsafe extern "C" {
    /// Of libssh2 1.11.1; the Rust bindings lack it.
    fn libssh2_session_callback_set2(
        session: *mut sys::LIBSSH2_SESSION,
        kind: c_int,
        callback: Option<Generic>,
    ) -> Option<Generic>;
}

/// What a server sent, and what channels were given of it.
#[derive(Debug, Default)]
pub(super) struct Meter {
    received: AtomicU64,
    delivered: AtomicU64,
}

impl Meter {
    /// Has everything that a session reads counted. The few bytes of a meter are never freed: the session, which
    /// has no end that could be waited for, points to them.
    pub(super) fn install(session: &Session) -> &'static Self {
        let meter: &'static Self = Box::leak(Box::default());
        let mut locked = session.raw();
        // SAFETY: the session is alive and locked; the meter lives for ever; and the function has the type that
        // libssh2 calls it by (LIBSSH2_RECV_FUNC).
        unsafe {
            *sys::libssh2_session_abstract(&raw mut *locked) = std::ptr::from_ref(meter).cast_mut().cast();
            let callback = std::mem::transmute::<Receive, Generic>(receive);
            libssh2_session_callback_set2(&raw mut *locked, CALLBACK_RECV, Some(callback));
        }
        meter
    }

    /// A channel was given so many bytes.
    pub(super) fn deliver(&self, bytes: usize) {
        self.delivered.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A channel took so many bytes to the server, which answers that it has room again (RFC 4254, section 5.2): a
    /// packet for some of what it took, so at most as many bytes.
    pub(super) fn take(&self, bytes: usize) {
        self.deliver(bytes / COST as usize);
    }

    /// Whether the server sent more than anybody can have asked for.
    pub(super) fn is_over(&self) -> bool {
        let delivered = self.delivered.load(Ordering::Relaxed);
        self.received.load(Ordering::Relaxed) > BESIDE.saturating_add(delivered.saturating_mul(COST))
    }
}

/// Reads from the socket of a session, as libssh2 does by itself, and counts.
unsafe extern "C" fn receive(
    socket: c_int,
    buffer: *mut c_void,
    length: usize,
    _: c_int,
    meter: *mut *mut c_void,
) -> isize {
    // SAFETY: libssh2 gives the pointer that `install` set.
    let meter: &Meter = unsafe { &*(*meter).cast() };
    if meter.is_over() {
        return failure(Errno::CONNABORTED);
    }
    // SAFETY: the socket is the session's and open, and is not closed here; libssh2 has as much room as it says.
    let (socket, room) = unsafe {
        let socket = ManuallyDrop::new(TcpStream::from_raw_fd(socket));
        (socket, std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length))
    };
    match (&*socket).read(room) {
        Ok(n) => {
            meter.received.fetch_add(n as u64, Ordering::Relaxed);
            n as isize
        }
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => failure(Errno::AGAIN),
        Err(e) => e.raw_os_error().map_or(failure(Errno::IO), |number| -(number as isize)),
    }
}

fn failure(errno: Errno) -> isize {
    -(errno.raw_os_error() as isize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_was_asked_for_may_have_any_length() {
        let meter = Meter::default();
        meter.received.store(BESIDE, Ordering::Relaxed);
        assert!(!meter.is_over());
        meter.received.store(10 << 30, Ordering::Relaxed);
        assert!(meter.is_over());
        meter.deliver(9 << 30);
        assert!(!meter.is_over());
    }
}
