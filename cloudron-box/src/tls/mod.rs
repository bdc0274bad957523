//! The machine's own certificate authority, and the server's certificate.

mod authority;
mod serving;

pub(crate) use authority::{ensure, fingerprint, leaf_is_current, renew_leaf};
pub(crate) use serving::{Certificate, client_config, leave_for_front};
