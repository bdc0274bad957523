//! Machines reached by SSH, over libssh2.
//!
//! | file | contents |
//! |---|---|
//! | `target.rs`, `auth.rs`, `host_key.rs` | the caller's parameters: server, login, and trusted host keys |
//! | `keys.rs`, `known_hosts.rs` | key files; the user's own record of host keys |
//! | `handshake.rs`, `watch.rs` | setup of an authenticated session, blocking, on the session's thread, and its deadline |
//! | `meter.rs` | a limit for unrequested data from a server |
//! | `session.rs`, `channel.rs`, `raw.rs`, `pipes.rs`, `turn.rs` | the thread: several concurrent channels over one non-blocking session |
//! | `remote.rs` | the implementation of [`Remote`](crate::Remote), which reconnects after the connection broke |
//! | `port.rs` | moving the SSH server to another port |
//!
//! libssh2 and OpenSSL are compiled from the copies bundled with their crates. libssh2 before 1.11.2 has a heap
//! overflow before authentication (CVE-2026-55200) in ChaCha20-Poly1305; neither this cipher nor any CBC mode is
//! offered.

mod auth;
mod channel;
mod error;
mod handshake;
mod host_key;
pub mod keys;
pub mod known_hosts;
mod meter;
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

/// Default time limit of a connection: 15 seconds.
pub const CONNECT_LIMIT: std::time::Duration = std::time::Duration::from_secs(15);
