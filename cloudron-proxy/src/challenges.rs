//! Challenges of a certificate authority.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// The path below which an authority looks for its challenges (RFC 8555, section 8.3).
pub(crate) const PATH: &str = "/.well-known/acme-challenge/";

/// Maximum length of a token. Those of Let's Encrypt have 43 characters.
const LONGEST: usize = 256;

/// The answers to `http-01` challenges (RFC 8555, section 8.3), which the plain port gives for any host: a certificate is
/// obtained before its route exists. Clones share them.
#[derive(Clone, Default)]
pub struct Challenges(Arc<RwLock<HashMap<String, String>>>);

impl Challenges {
    /// Creates an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers requests for this token with this key authorization, until it is removed.
    pub fn insert(&self, token: impl Into<String>, key_authorization: impl Into<String>) {
        let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        answers.insert(token.into(), key_authorization.into());
    }

    /// Stops to answer requests for this token.
    pub fn remove(&self, token: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    /// Returns the key authorization of a token.
    pub fn get(&self, token: &str) -> Option<String> {
        if token.len() > LONGEST {
            return None;
        }
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.read().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Challenges").field("count", &count).finish()
    }
}
