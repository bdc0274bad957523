//! Sockets that systemd opened for this process (sd_listen_fds(3)).

use std::os::fd::{FromRawFd, OwnedFd};

/// The first descriptor that is passed.
const FIRST: i32 = 3;

/// Takes the sockets that were passed to this process: all of them, once. None are passed to another process.
pub(crate) fn sockets() -> Vec<OwnedFd> {
    static TAKEN: std::sync::Once = std::sync::Once::new();
    let mut sockets = Vec::new();
    TAKEN.call_once(|| {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<i32>().ok());
        if number("LISTEN_PID") != i32::try_from(std::process::id()).ok() {
            return;
        }
        for fd in FIRST..FIRST.saturating_add(number("LISTEN_FDS").unwrap_or(0).clamp(0, 64)) {
            // SAFETY: the two calls only look at the descriptor and mark it; one that is not open is an error.
            let open = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
            if open {
                // SAFETY: systemd passed the descriptor to this process, and it is taken once.
                sockets.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    });
    sockets
}
