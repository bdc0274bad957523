//! What the parts of a server have in common: how they talk, and how systemd starts them.

mod listen;
pub(crate) mod stream;

pub(crate) use listen::{activated, listen};

use std::time::Duration;

/// Time without a request after which a part that systemd starts by its socket ends.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
