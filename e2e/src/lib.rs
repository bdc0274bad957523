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
//! To run them all, as root, run `CLOUDRON_TEST_STRICT=1 cargo test -p cloudron-e2e --features e2e -- --test-threads=2`
//! after `cargo build -p cloudron-cli`. To test another program than the one in the target folder, name it in
//! `CLOUDRON_BIN`; it must run on Debian 12, so build it there or statically.
//!
//! - [`Server`]: the machine that is created, damaged and lost. `image.sh` next to this package builds its image.
//! - [`Datacenter`]: the servers behind the double of a cloud, with cloud-init.
//! - [`Cloudron`]: the program as a user runs it, with its own home, and a record of its output.

mod cloudron;
mod datacenter;
mod server;
mod wait;

pub use cloudron::{Cloudron, Run, Running};
pub use datacenter::Datacenter;
pub use server::{Output, Server, available};
pub use wait::until;
