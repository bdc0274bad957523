//! The life cycle of a machine, managed from its owner's computer: create, connect, restore, adopt, destroy.
//!
//! Start with a [`Manager`]: it holds the folders with the records of machines, the handler of questions, and
//! the receiver of progress. The library prints nothing and has no global state.
//!
//! ```no_run
//! use cloudron_core::Domain;
//! use cloudron_machine::{CreateRequest, Manager, StateDir};
//!
//! # async fn example() -> cloudron_core::Result<()> {
//! let manager = Manager::new(StateDir::new("/home/me/state", "/home/me/data")).installing("/usr/bin/cloudron");
//! let request = CreateRequest::local(Domain::parse("demo.localhost")?);
//! let created = manager.creation(request)?.run().await?;
//! println!("{}", created.machine.url());
//! # Ok(())
//! # }
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`create`] | the list of steps that creates a machine, for a run, a plan and an undo |
//! | [`destroy`], [`adopt`] | removing a machine, and managing one that another computer created |
//! | [`clouds`] | machines that a cloud makes: accounts, lists, and removal without a record |
//! | [`registry`], [`kept`], [`seen`] | records of machines on this computer |
//! | [`program`], [`client`] | the program on a machine, and its server's API |
//! | [`access`], [`trust`] | SSH login and trust in host keys |
//! | [`backups`] | the backups of a machine, whether or not its server runs |
//! | [`dns`] | its DNS records |

#![cfg_attr(
    not(any(feature = "digitalocean", feature = "ec2", feature = "hetzner")),
    allow(unreachable_code, unused, reason = "there is no cloud")
)]

pub mod access;
pub mod adopt;
pub mod ask;
pub mod backups;
pub mod client;
pub mod clouds;
pub mod codes;
pub mod create;
pub mod destroy;
pub mod dns;
mod find;
pub mod folders;
pub mod kept;
mod listed;
pub mod manager;
mod outputs;
mod owner_store;
pub mod program;
mod record;
mod record_copy;
pub mod registry;
pub mod seen;
mod session;
pub mod state_dir;
mod status;
pub mod trust;

pub use ask::{Ask, Nobody, Question};
pub use client::Client;
pub use cloudron_core::{Error, Result};
pub use clouds::{Account, CloudMachine, CloudSettings};
pub use create::{CreateRequest, Created, Creation};
pub use find::{Found, Unfinished};
pub use kept::{Kept, KeptBackups};
pub use listed::Listed;
pub use manager::Manager;
pub use outputs::{Contact, DnsDone, Installed, Made, SshMoved, StepOutput, Written};
pub use owner_store::OwnerStore;
pub use program::{Place, Program};
pub use registry::{CloudPlace, Copied, DnsRecords, Machine, Machines, Reach, SshReach};
pub use seen::Seen;
pub use state_dir::StateDir;
pub use status::{StatusAdvice, StatusReport};

/// Compiles the example of the package's README as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
