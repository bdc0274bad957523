//! The firewall: one table of nftables, made from a policy.
//!
//! [`Policy`] says what may reach the machine, and [`render`] makes the table of it. A change that could cut the owner
//! off is a [trial](begin): the machine takes it back by itself unless it is [confirmed](confirm) over a new connection.
//! [`extend`] makes changes that only let in more. [`look`] compares what is in force with what should be.

mod boot;
mod diff;
mod drift;
mod files;
mod network;
mod policy;
mod render;
#[cfg(test)]
mod tests;
mod trial;

pub use boot::{UNIT, unit_text};
pub use drift::{Change, State, look};
pub use files::FOLDER;
pub use network::{Interface, Network, Ports};
pub use policy::{From, Opening, Policy, Protocol, Service};
pub use render::render;
pub use trial::{Seat, Trial, begin, confirm, extend, load, recover, remove, take_back};
