//! The machine's own certificate authority, and the certificate that the server shows.

mod authority;
mod serving;

pub(crate) use authority::{ensure, fingerprint, leaf_is_current, renew_leaf};
pub(crate) use serving::{Certificate, client_config};
