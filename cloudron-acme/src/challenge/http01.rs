//! http-01: the front answers what the authority asks for on port 80.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use super::{Proof, Solver};
use crate::{Challenge, Result};

/// The path before a token.
pub const WELL_KNOWN: &str = "/.well-known/acme-challenge/";

/// What is answered at the moment, shared by orders and the front. Cloning it copies no content.
#[derive(Debug, Clone, Default)]
pub struct HttpChallenges(Arc<RwLock<HashMap<String, String>>>);

impl HttpChallenges {
    /// Creates one without challenges.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns what a request for a path is answered: the body, with status 200 and the type `application/octet-stream`.
    /// `None` for every other path.
    pub fn answer(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(WELL_KNOWN)?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

#[async_trait]
impl Solver for HttpChallenges {
    fn challenge(&self) -> Challenge {
        Challenge::Http01
    }

    async fn present(&self, proofs: &[Proof]) -> Result<()> {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for proof in proofs {
            table.insert(proof.token.clone(), proof.key_authorization.clone());
        }
        Ok(())
    }

    async fn remove(&self, proofs: &[Proof]) -> Result<()> {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for proof in proofs {
            table.remove(&proof.token);
        }
        Ok(())
    }
}
