//! Machines reached by SSH, over libssh2.
//!
//! | file | what |
//! |---|---|
//! | `target.rs`, `auth.rs`, `host_key.rs` | what a caller says: where, as whom, and which host keys are trusted |
//! | `keys.rs`, `known_hosts.rs` | key files; the user's own record of host keys |
//! | `handshake.rs`, `watch.rs` | the way to an authenticated session, blocking, on the session's thread, and its deadline |
//! | `session.rs`, `channel.rs`, `raw.rs`, `pipes.rs`, `turn.rs` | that thread: several channels at once over one non-blocking session |
//! | `remote.rs` | [`Remote`](crate::Remote) on top, which connects anew when the connection broke |
//! | `port.rs` | moving the SSH server to another port |
//!
//! libssh2 and OpenSSL are compiled from the copies that their crates bring: libssh2 before 1.11.2 has a heap
//! overflow before authentication (CVE-2026-55200) in ChaCha20-Poly1305, which is not offered here at all, nor
//! is any CBC mode.

mod auth;
mod channel;
mod error;
mod handshake;
mod host_key;
pub mod keys;
pub mod known_hosts;
mod pipes;
pub mod port;
mod raw;
mod remote;
mod session;
mod target;
mod turn;
mod watch;

pub use auth::{AskPassphrase, Auth};
pub use host_key::{AskHostKey, HostKey, HostKeyPolicy, HostKeyQuestion};
pub use remote::{SshRemote, connect, host_keys};
pub use target::SshTarget;

/// The time limit of a connection when none is given: 15 seconds.
pub const CONNECT_LIMIT: std::time::Duration = std::time::Duration::from_secs(15);
