//! The objects that an adversary writes to the store: of every kind, well-formed and malformed.

mod clear;
mod copies;
mod names;
mod sealed;

use bytes::Bytes;

use crate::adversary::Adversary;
use crate::common::sim::SimStore;

/// An action: its name, and a function that returns the objects to write.
pub type Act = (&'static str, fn(&mut Adversary, &SimStore) -> Vec<(String, Bytes)>);

/// All actions. Those against the most important guarantees are listed twice.
pub const ACTS: [Act; 40] = [
    ("condemns every pack", sealed::condemns_all),
    ("condemns every pack", sealed::condemns_all),
    ("condemns some packs", sealed::condemns_some),
    ("empties lines of the index", sealed::empties_lines),
    ("empties lines of the index", sealed::empties_lines),
    ("names chunks in rubbish", sealed::names_chunks_in_rubbish),
    ("names chunks in rubbish", sealed::names_chunks_in_rubbish),
    ("swaps chunks of a pack", sealed::swaps_chunks),
    ("lies about sizes", sealed::lies_about_sizes),
    ("odd lines of an index", sealed::odd_lines),
    ("an index that unpacks to much", sealed::index_bomb),
    ("a pack of anything", sealed::odd_pack),
    ("orphaned chunks", sealed::orphaned_chunks),
    ("a wrapped key that costs much", sealed::costly_key),
    ("a manifest that costs much", sealed::costly_manifest),
    ("a backup", clear::backup),
    ("a backup", clear::backup),
    ("a backup of another time", clear::backup_of_another_time),
    ("a backup without a manifest", clear::backup_without_manifest),
    ("the place of the next backup", clear::squats),
    ("the place of the next backup", clear::squats),
    ("a tombstone", clear::tombstone),
    ("a note of the forgotten", clear::forgotten),
    ("a note of the forgotten that costs much", clear::forgotten_bomb),
    ("a lock", clear::lock),
    ("a lock of a prune", clear::owners_lock),
    ("a certificate", clear::certificate),
    ("a revocation", clear::revocation),
    ("a description", clear::description),
    ("a statement about a key", clear::key_statement),
    ("what was there before", copies::replayed),
    ("what was there before", copies::replayed),
    ("what was there before, under another name", copies::renamed),
    ("what was there before, cut or changed", copies::damaged),
    ("what was there before, cut or changed", copies::damaged),
    ("an object of another repository", copies::of_another_repository),
    ("a second copy", copies::second_copy),
    ("an odd name", names::odd),
    ("a huge object", names::huge),
    ("an empty object", names::empty),
];
