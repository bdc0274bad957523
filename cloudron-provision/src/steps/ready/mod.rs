//! The steps that turn a reachable machine into a running server. A caller appends them to its provider's steps and
//! adds its own, such as DNS records.

mod contact;
mod health;
mod program;
mod restore;
mod script;
mod server;
#[cfg(feature = "ssh")]
mod ssh_port;
mod start;

pub use contact::FirstContact;
pub use health::{Health, Probe};
pub use program::PlaceProgram;
pub use restore::Restore;
pub use script::SetupScript;
pub use server::InstallServer;
#[cfg(feature = "ssh")]
pub use ssh_port::MoveSsh;
pub use start::StartServer;
