//! A libssh2 channel, through the C interface. The crate `ssh2` does not tell whether the server sent an exit status at
//! all, and a command without one must not count as successful.
//!
//! A pointer to a channel is valid as long as its session. Each channel holds the session, whose lock serializes the
//! calls. All functions are non-blocking if the session is.

use std::ffi::{c_char, c_int, c_ulong, c_void};
use std::ptr::{NonNull, null_mut};

use libssh2_sys as sys;
use ssh2::{Error, ErrorCode, Session};

unsafe extern "C" {
    /// A function of libssh2 1.11.2 that the Rust bindings lack.
    fn libssh2_channel_has_exit_status(channel: *mut sys::LIBSSH2_CHANNEL) -> c_int;
}

/// The outcome of a command, as reported by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exit {
    /// It exited with that status.
    Status(i32),
    /// A signal ended it: the name without `SIG` (RFC 4254, section 6.10).
    Signal(String),
    /// The server reported neither.
    Unsaid,
}

/// An open channel.
pub(super) struct RawChannel {
    session: Session,
    channel: NonNull<sys::LIBSSH2_CHANNEL>,
}

// SAFETY: libssh2 is not bound to a thread, and the session's lock serializes calls.
unsafe impl Send for RawChannel {}

impl RawChannel {
    /// Opens a channel for a command.
    pub(super) fn session(session: &Session) -> Result<Self, Error> {
        const KIND: &[u8] = b"session";
        let opened = {
            let mut locked = session.raw();
            // SAFETY: the session is alive and locked, and the length of KIND is correct.
            unsafe {
                sys::libssh2_channel_open_ex(
                    &raw mut *locked,
                    KIND.as_ptr().cast(),
                    KIND.len() as _,
                    sys::LIBSSH2_CHANNEL_WINDOW_DEFAULT as _,
                    sys::LIBSSH2_CHANNEL_PACKET_DEFAULT as _,
                    std::ptr::null(),
                    0,
                )
            }
        };
        Self::of(session, opened)
    }

    /// Opens a connection to a port on the server's loopback address.
    pub(super) fn port(session: &Session, port: u16) -> Result<Self, Error> {
        let opened = {
            let mut locked = session.raw();
            let host = c"127.0.0.1".as_ptr();
            // SAFETY: the session is alive and locked, and the address is a C string.
            unsafe { sys::libssh2_channel_direct_tcpip_ex(&raw mut *locked, host, port.into(), host, 22) }
        };
        Self::of(session, opened)
    }

    fn of(session: &Session, opened: *mut sys::LIBSSH2_CHANNEL) -> Result<Self, Error> {
        match NonNull::new(opened) {
            Some(channel) => Ok(Self { session: session.clone(), channel }),
            None => Err(Error::last_session_error(session).unwrap_or_else(Error::unknown)),
        }
    }

    /// Makes a call that returns a count, or a negative error number.
    fn call(&self, call: impl FnOnce(*mut sys::LIBSSH2_CHANNEL) -> isize) -> Result<usize, Error> {
        let given = {
            let _locked = self.session.raw();
            call(self.channel.as_ptr())
        };
        usize::try_from(given).map_err(|_| {
            let number = c_int::try_from(given).unwrap_or(sys::LIBSSH2_ERROR_SOCKET_DISCONNECT);
            // The message of an earlier failure would be misleading if this call only has to be repeated.
            if number == sys::LIBSSH2_ERROR_EAGAIN {
                return Error::from_errno(ErrorCode::Session(number));
            }
            Error::from_session_error(&self.session, number)
        })
    }

    /// Runs a command in the user's shell on the server.
    pub(super) fn exec(&mut self, command: &str) -> Result<(), Error> {
        const REQUEST: &[u8] = b"exec";
        self.call(|channel| {
            // SAFETY: the channel is alive and locked, and the lengths of both texts are correct.
            let rc = unsafe {
                sys::libssh2_channel_process_startup(
                    channel,
                    REQUEST.as_ptr().cast(),
                    REQUEST.len() as _,
                    command.as_ptr().cast(),
                    command.len() as _,
                )
            };
            rc as isize
        })
        .map(drop)
    }

    /// Writes some of the bytes, and returns how many.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.call(|channel| {
            // SAFETY: the channel is alive and locked, and the length of the bytes is correct.
            unsafe {
                sys::libssh2_channel_write_ex(channel, 0, bytes.as_ptr().cast(), bytes.len() as _) as isize
            }
        })
    }

    /// Reads available data of a stream: 0 is standard output, 1 standard error.
    pub(super) fn read(&mut self, stream: i32, bytes: &mut [u8]) -> Result<usize, Error> {
        if self.eof() {
            return Ok(0);
        }
        self.call(|channel| {
            let room: *mut c_char = bytes.as_mut_ptr().cast();
            // SAFETY: the channel is alive and locked, and the length of the buffer is correct.
            unsafe { sys::libssh2_channel_read_ex(channel, stream, room, bytes.len() as _) as isize }
        })
    }

    /// Returns whether the server has ended the stream and everything was read.
    pub(super) fn eof(&self) -> bool {
        let _locked = self.session.raw();
        // SAFETY: the channel is alive and locked.
        unsafe { sys::libssh2_channel_eof(self.channel.as_ptr()) != 0 }
    }

    /// Returns whether unread bytes have arrived.
    pub(super) fn has_unread(&self) -> bool {
        let _locked = self.session.raw();
        let (mut unread, mut window): (c_ulong, c_ulong) = (0, 0);
        // SAFETY: the channel is alive and locked, and both numbers are local variables.
        unsafe { sys::libssh2_channel_window_read_ex(self.channel.as_ptr(), &mut unread, &mut window) };
        unread > 0
    }

    /// Signals the end of the input.
    pub(super) fn send_eof(&mut self) -> Result<(), Error> {
        // SAFETY: the channel is alive and locked.
        self.call(|channel| unsafe { sys::libssh2_channel_send_eof(channel) as isize }).map(drop)
    }

    /// Waits until the server has closed the channel.
    pub(super) fn wait_close(&mut self) -> Result<(), Error> {
        // SAFETY: the channel is alive and locked.
        self.call(|channel| unsafe { sys::libssh2_channel_wait_closed(channel) as isize }).map(drop)
    }

    /// Closes the channel.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        // SAFETY: the channel is alive and locked.
        self.call(|channel| unsafe { sys::libssh2_channel_close(channel) as isize }).map(drop)
    }

    /// Returns the outcome of the command.
    pub(super) fn exit(&self) -> Exit {
        if let Some(signal) = self.exit_signal() {
            return Exit::Signal(signal);
        }
        let _locked = self.session.raw();
        let channel = self.channel.as_ptr();
        // SAFETY: the channel is alive and locked.
        unsafe {
            match libssh2_channel_has_exit_status(channel) {
                0 => Exit::Unsaid,
                _ => Exit::Status(sys::libssh2_channel_get_exit_status(channel)),
            }
        }
    }

    fn exit_signal(&self) -> Option<String> {
        let mut locked = self.session.raw();
        let (mut name, mut length): (*mut c_char, _) = (null_mut(), 0);
        // SAFETY: the channel is alive and locked. Unused results may be null; the name is a copy of that length, which
        // the caller must free.
        unsafe {
            let rc = sys::libssh2_channel_get_exit_signal(
                self.channel.as_ptr(),
                &mut name,
                &mut length,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
            );
            if rc != 0 || name.is_null() {
                return None;
            }
            let text = std::slice::from_raw_parts(name.cast::<u8>(), length);
            let text = String::from_utf8_lossy(text).into_owned();
            sys::libssh2_free(&raw mut *locked, name.cast::<c_void>());
            Some(text)
        }
    }
}

impl Drop for RawChannel {
    fn drop(&mut self) {
        let _locked = self.session.raw();
        // SAFETY: the channel is alive and locked, and nothing uses it afterwards.
        unsafe { sys::libssh2_channel_free(self.channel.as_ptr()) };
    }
}
