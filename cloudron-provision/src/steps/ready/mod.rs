//! The steps that turn a machine that answers into a running server. A caller puts them after its provider's
//! steps and adds its own, such as DNS records.

mod contact;
mod health;
mod program;
mod restore;
mod server;
mod start;

pub use contact::FirstContact;
pub use health::{Health, Probe};
pub use program::PlaceProgram;
pub use restore::Restore;
pub use server::InstallServer;
pub use start::StartServer;
