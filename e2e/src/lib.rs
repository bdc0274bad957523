//! Real servers for end-to-end tests: Debian with systemd as process 1 and OpenSSH, booted as a container.
//!
//! ```no_run
//! use cloudron_e2e::{Cloudron, Server};
//!
//! if !cloudron_e2e::available() {
//!     return;
//! }
//! let server = Server::boot("example");
//! let laptop = Cloudron::new();
//! let key = server.key_path().display().to_string();
//! laptop.ok(&["machine", "create", "generic", "--fqdn", "example.com", "--ip", &server.ip(), "--ssh-key", &key,
//!     "--host-key", &server.host_key_fingerprint(), "--dns", "none", "--yes"]);
//! assert_eq!(server.exec_ok("systemctl is-active cloudron-box"), "active\n");
//! ```
//!
//! Run them all, as root, with
//! `CLOUDRON_TEST_STRICT=1 cargo test -p cloudron-e2e --features e2e -- --test-threads=2`
//! after `cargo build -p cloudron-cli`. Another program than the one in the target folder is tested by
//! naming it in `CLOUDRON_BIN`; it must run on Debian 12, so build it there or statically.
//!
//! - [`Server`]: the machine that is created, broken and lost. `image.sh` beside this package makes its image.
//! - [`Cloudron`]: the program as a person runs it, with a home of its own, and all it ever said.

mod cloudron;
mod server;
mod wait;

pub use cloudron::{Cloudron, Run, Running};
pub use server::{Output, Server, available};
pub use wait::until;
