//! The server's log: JSON lines in a file of its own that is rotated by size, and text on stderr.

mod layer;
mod read;
mod rotate;

pub use layer::{init, layer};

pub(crate) use layer::{Sink, open};
pub(crate) use read::{Follower, tail};
