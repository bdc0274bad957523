//! Machine setup in resumable steps.
//!
//! ```
//! use cloudron_provision::{Command, Remote, local::LocalRemote};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let machine = LocalRemote::new();
//! let output = machine.exec(Command::new(["uname", "-s"])).await?;
//! assert_eq!(output.text(), "Linux");
//! # Ok::<(), cloudron_provision::Error>(())
//! # }).unwrap();
//! ```
//!
//! | module | contents |
//! |---|---|
//! | [`remote`] | a machine on which commands run: [`Remote`], [`Command`], [`Output`] |
//! | [`answer`], [`facts`], [`elf`], [`upload`], [`quote`] | functions on top of it |
//! | [`provider`] | providers of machines: [`CloudProvider`] |
//! | [`local`], `generic` | a process on this machine; any machine that is reached by SSH |
//! | `cloud`, `digitalocean`, `ec2`, `hetzner` | machines that a cloud makes: DigitalOcean, Amazon's EC2, Hetzner Cloud (features of these names) |
//! | `ssh` | SSH sessions, host keys, key files, changing the SSH port (feature `ssh`) |
//! | `conformance` | checks that any provider can run (feature `conformance`) |
//! | [`steps`] | the engine: journal, resume, rollback, and the ready-made steps |

pub mod answer;
#[cfg(feature = "cloud")]
pub mod cloud;
pub mod codes;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "digitalocean")]
pub mod digitalocean;
#[cfg(feature = "ec2")]
pub mod ec2;
pub mod elf;
pub mod facts;
#[cfg(feature = "ssh")]
pub mod generic;
#[cfg(feature = "hetzner")]
pub mod hetzner;
pub mod local;
pub mod provider;
mod pump;
pub mod quote;
pub mod remote;
#[cfg(feature = "ssh")]
pub mod ssh;
pub mod steps;
pub mod upload;

pub use cloudron_core::{Error, Result};
pub use provider::CloudProvider;
pub use remote::{Command, Output, Remote, Stdin, Stream};
pub use steps::{Context, Runner, Spec, Step};

/// Compiles the examples of the package's README and of the guide with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
#[cfg(all(doctest, feature = "ssh"))]
mod guide {
    #[doc = include_str!("../../docs/provisioning.md")]
    struct _Provisioning;
}
#[cfg(all(doctest, feature = "hetzner"))]
mod clouds {
    #[doc = include_str!("../../docs/clouds.md")]
    struct _Clouds;
}
