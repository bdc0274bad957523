//! Proving the control of names.

#[cfg(feature = "dns")]
mod dns01;
mod http01;
mod persist;

use std::fmt;

use async_trait::async_trait;
#[cfg(feature = "dns")]
pub use dns01::DnsChallenges;
pub use http01::{HttpChallenges, WELL_KNOWN};
pub use persist::{PersistentRecords, persistent_record};

use crate::{Challenge, Result, Subject};

/// What proves the control of one name to the authority.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// The name.
    pub subject: Subject,
    /// The token of the challenge.
    pub token: String,
    /// What a client that asks for the token is answered (http-01).
    pub key_authorization: String,
    /// The text of the record (dns-01).
    pub record: String,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Shows proofs to the authority.
#[async_trait]
pub trait Solver: Send + Sync {
    /// Returns the challenge that it solves.
    fn challenge(&self) -> Challenge;

    /// Shows proofs. When it returns, everybody can see them.
    ///
    /// # Errors
    /// What stands in the way. Nothing is then asked for.
    async fn present(&self, proofs: &[Proof]) -> Result<()>;

    /// Takes proofs away. What was never shown is no error.
    ///
    /// # Errors
    /// What stands in the way; the order goes on.
    async fn remove(&self, proofs: &[Proof]) -> Result<()>;
}
