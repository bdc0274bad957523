//! Revocations of writers.

use std::collections::BTreeSet;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use super::Trust;
use crate::format::config::whole_second;
use crate::keys::{WriterId, sign};

/// The start of the signed text.
const SIGNED: &[u8] = b"cloudron-backup revocation v2\n";

#[derive(Serialize, Deserialize)]
struct Object {
    revocation: u32,
    repository: String,
    writer: WriterId,
    /// Time of the revocation, for people.
    time: jiff::Timestamp,
    /// The hashes of the summaries that remain valid.
    keep: BTreeSet<String>,
}

/// Returns the object that revokes a writer, except for the summaries with these hashes.
pub(crate) fn revocation(
    repository: &str,
    writer: WriterId,
    keep: BTreeSet<String>,
    owner: &SigningKey,
) -> Vec<u8> {
    let time = whole_second(jiff::Timestamp::now());
    let object = Object { revocation: 1, repository: repository.to_owned(), writer, time, keep };
    sign::signed_json(&object, SIGNED, owner)
}

impl Trust {
    /// Adds a revocation, if the owner signed it.
    pub(super) fn revoke(&mut self, key: String, content: &[u8]) {
        let value = serde_json::from_slice(content).unwrap_or_default();
        if !self.owner().is_some_and(|owner| sign::is_signed(&value, SIGNED, owner)) {
            self.foreign.push((key, "it is not signed by the owner of this repository".to_owned()));
            return;
        }
        match serde_json::from_value::<Object>(value) {
            Ok(found) if found.revocation == 1 && found.repository == self.repository => {
                self.revoked.entry(found.writer).or_default().extend(found.keep);
            }
            _ => self.foreign.push((key, "it cannot be read".to_owned())),
        }
    }
}
