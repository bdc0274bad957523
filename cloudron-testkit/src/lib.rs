//! Tools that the tests of several cloudron crates share. Never published, never a normal dependency.
//!
//! ```
//! use cloudron_testkit::{require, tree};
//!
//! let home = tempfile::tempdir().unwrap();
//! tree::generate(home.path(), 7, 64 * 1024).unwrap();
//! let before = tree::digest(home.path()).unwrap();
//! assert_eq!(tree::compare(&before, &before), Vec::<String>::new());
//!
//! // A test that needs a tool the machine lacks says so and stops; in CI it fails instead.
//! let Some(_sh) = require::tool("sh") else { return };
//! ```
//!
//! - [`require`]: skip, or under `CLOUDRON_TEST_STRICT=1` fail, when a tool is missing.
//! - [`tree`]: realistic file trees from a seed, their digest with all metadata, and a readable diff.
//! - [`canary`]: looks for secrets in files, output, and the arguments and environment of processes.
//! - [`clouds`]: doubles of the interfaces of clouds, which keep their state.
//! - [`forge`]: objects of a backup repository as an attacker makes them.
//! - [`hints`]: types what an error says to do next.
//! - [`named`], [`knot`], [`pdns`]: real name servers in processes of the test's own.
//! - [`moto`]: Amazon's interfaces in a process of the test's own; [`ec2_gate`] adds what it lacks.
//! - [`pebble`]: a real authority that speaks ACME, with a gate in front of it that fails on request.
//! - [`proxy`]: a TCP proxy that delays, stalls, cuts and refuses.
//! - [`ssh_double`]: an SSH server whose every answer is the test's.
//! - [`sshd`]: an OpenSSH server of the test's own, on loopback and without root.
//! - [`tinyproxy`]: a real forward proxy in a process of the test's own.
//! - [`tls_front`]: a private authority, and TLS before a plain server.
//!
//! Everything here reports failures of the test's own making by panicking or with `std::io::Error`;
//! the product's error type is for the product.

pub mod canary;
pub mod clouds;
pub mod daemon;
pub mod ec2_gate;
pub mod fault;
pub mod forge;
pub mod hints;
pub mod instance_metadata;
pub mod knot;
pub mod moto;
pub mod named;
pub mod pdns;
pub mod pebble;
pub mod proxy;
pub mod require;
pub mod ssh_double;
pub mod sshd;
pub mod tinyproxy;
pub mod tls_front;
pub mod tree;
