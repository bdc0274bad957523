//! A limit for unrequested data from a server.
//!
//! libssh2 keeps packets of unknown types in memory for a caller that never comes. A server that sends only such
//! packets would fill the memory. Therefore all bytes read from the socket are counted here and compared with the bytes
//! delivered to channels.

use std::ffi::{c_int, c_void};
use std::io::{ErrorKind, Read};
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::os::fd::FromRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use libssh2_sys as sys;
use rustix::io::Errno;
use ssh2::Session;

/// Bytes that a server may send in addition to channel data: keys, banners, keepalives.
const BESIDE: u64 = 64 << 20;
/// Maximum cost in bytes of one byte of channel data: a packet of one byte has about 50.
const COST: u64 = 64;

/// `LIBSSH2_CALLBACK_RECV` of libssh2.h.
const CALLBACK_RECV: c_int = 6;

type Generic = unsafe extern "C" fn();
type Receive = unsafe extern "C" fn(c_int, *mut c_void, usize, c_int, *mut *mut c_void) -> isize;

unsafe extern "C" {
    /// A function of libssh2 1.11.1 that the Rust bindings lack.
    fn libssh2_session_callback_set2(
        session: *mut sys::LIBSSH2_SESSION,
        kind: c_int,
        callback: Option<Generic>,
    ) -> Option<Generic>;
}

/// Bytes that a server sent, and bytes of them that were delivered to channels.
#[derive(Debug, Default)]
pub(super) struct Meter {
    received: AtomicU64,
    delivered: AtomicU64,
}

impl Meter {
    /// Counts all data that a session reads. The few bytes of a meter are never freed, because the session points to
    /// them and its end cannot be awaited.
    pub(super) fn install(session: &Session) -> &'static Self {
        let meter: &'static Self = Box::leak(Box::default());
        let mut locked = session.raw();
        // SAFETY: the session is alive and locked; the meter is never freed; and the function has the type with which
        // libssh2 calls it (LIBSSH2_RECV_FUNC).
        unsafe {
            *sys::libssh2_session_abstract(&raw mut *locked) = std::ptr::from_ref(meter).cast_mut().cast();
            let callback = std::mem::transmute::<Receive, Generic>(receive);
            libssh2_session_callback_set2(&raw mut *locked, CALLBACK_RECV, Some(callback));
        }
        meter
    }

    /// Records the number of bytes delivered to a channel.
    pub(super) fn deliver(&self, bytes: usize) {
        self.delivered.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Records the number of bytes sent through a channel. The server answers with window adjustments (RFC 4254,
    /// section 5.2), one packet for several bytes, so at most as many bytes.
    pub(super) fn take(&self, bytes: usize) {
        self.deliver(bytes / COST as usize);
    }

    /// Returns whether the server sent more than can have been requested.
    pub(super) fn is_over(&self) -> bool {
        let delivered = self.delivered.load(Ordering::Relaxed);
        self.received.load(Ordering::Relaxed) > BESIDE.saturating_add(delivered.saturating_mul(COST))
    }
}

/// Reads from the socket of a session, like libssh2's own function, and counts.
unsafe extern "C" fn receive(
    socket: c_int,
    buffer: *mut c_void,
    length: usize,
    _: c_int,
    meter: *mut *mut c_void,
) -> isize {
    // SAFETY: libssh2 passes the pointer that `install` set.
    let meter: &Meter = unsafe { &*(*meter).cast() };
    if meter.is_over() {
        return failure(Errno::CONNABORTED);
    }
    // SAFETY: the socket is the session's and open, and is not closed here; libssh2's buffer has the given length.
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
