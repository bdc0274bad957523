//! The life of a machine, as its owner's computer leads it: create it, reach it, restore it, adopt it, destroy it.
//!
//! Everything begins at a [`Manager`]: it says where this computer keeps what it knows of machines, who answers
//! questions, and where progress goes. Nothing is printed, and there is no global state.
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
//! | [`create`] | the list of steps that makes a machine; it serves a run, a plan and an undo |
//! | [`destroy`], [`adopt`] | removing a machine, and managing one that another computer made |
//! | [`registry`], [`kept`], [`seen`] | what this computer knows of machines |
//! | [`program`], [`client`] | the program on a machine, and its server's interface |
//! | [`access`], [`trust`] | logging in over SSH, and whom to trust |
//! | [`backups`] | the backups of a machine, whether or not its server runs |
//! | [`dns`] | its DNS records |

pub mod access;
pub mod adopt;
pub mod ask;
pub mod backups;
pub mod client;
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
pub mod trust;

pub use ask::{Ask, Nobody, Question};
pub use client::Client;
pub use cloudron_core::{Error, Result};
pub use create::{CreateRequest, Created, Creation};
pub use find::{Found, Unfinished};
pub use kept::{Kept, KeptBackups};
pub use listed::Listed;
pub use manager::Manager;
pub use outputs::{Contact, DnsDone, Installed, SshMoved, StepOutput, Written};
pub use owner_store::OwnerStore;
pub use program::{Place, Program};
pub use registry::{Copied, DnsRecords, Machine, Machines, Reach, SshReach};
pub use seen::Seen;
pub use state_dir::StateDir;

/// Compiles the example of the package's README with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
