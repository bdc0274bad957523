//! The server's log: JSON lines in a file rotated by size, and text on stderr.

mod layer;
mod read;
mod rotate;

pub use layer::{Log, init};

pub(crate) use layer::Opened;
#[cfg(test)]
pub(crate) use layer::lines;
pub(crate) use read::{Follower, tail};
