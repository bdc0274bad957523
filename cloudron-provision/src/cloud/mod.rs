//! The parts that clouds share: a machine that is created by an interface rather than given.
//!
//! Everything that is made carries [`Marks`]: the domain, the run that made it, and the fingerprints of the host keys to
//! trust. They are written by the creating call itself, so that nothing can be lost: a run can be resumed, and
//! everything can be removed, on a computer that has no journal of it.
//!
//! | file | contents |
//! |---|---|
//! | `marks.rs` | what is written on everything, and the forms of it that the clouds can store |
//! | `names.rs` | names of what a machine has, public keys, and texts of a cloud for display |
//! | `one_time_key.rs` | the host key for the first contact |
//! | `user_data.rs` | what a machine is given for its first boot |
//! | `rotation.rs` | the step `host-key`: replaces the one-time key within the first session |
//! | `connect.rs` | SSH to a machine by its address and the fingerprints in its marks |
//! | `inventory.rs` | what a cloud has of ours: the interface of a cloud, and the removal of all of it |
//! | `plan.rs` | what a run would make, its calls, permissions and cost |
//! | `offers.rs` | the regions and sizes that a cloud offers |
//! | `patience.rs` | repeated look-ups by the clock that is handed in |

pub mod codes;
mod connect;
mod inventory;
mod marks;
pub mod names;
mod offers;
mod one_time_key;
mod patience;
mod plan;
mod rotation;
mod user_data;

pub use connect::Login;
pub use inventory::{Cloud, CloudHost, Item, Removal, remove_all, remove_items};
#[cfg(feature = "ec2")]
pub(crate) use marks::is_user;
pub use marks::{HostKeys, Marks};
pub use offers::{Region, Size};
pub use one_time_key::OneTimeKey;
pub use patience::{Patience, Waits};
pub use plan::{Amount, Cost, Plan, Planned, PlannedCall};
pub use rotation::{RotateHostKey, WriteKeys};
pub use user_data::cloud_config;

/// The ID of the step that makes the machine. Its output has `id`, `name`, `ipv4`, `ipv6`, `run`, `one_time_key` and
/// `host_key`, `user` if it is not root who logs in, and what else a cloud needs.
pub const MACHINE: &str = "machine";
