//! The files of the firewall, all root's.
//!
//! `rules.nft` is what should be in force, and is loaded at boot. While a change is on trial, `trial.nft` holds it, and
//! its renaming decides: to `rules.nft` when it is confirmed, to `reverting.nft` when it is taken back. Only one can
//! happen.

use std::path::PathBuf;

/// The folder with all files of the firewall.
pub const FOLDER: &str = "/etc/cloudron-firewall";

fn file(name: &str) -> PathBuf {
    PathBuf::from(FOLDER).join(name)
}

/// What should be in force.
pub(super) fn rules() -> PathBuf {
    file("rules.nft")
}

/// What is on trial.
pub(super) fn trial() -> PathBuf {
    file("trial.nft")
}

/// Who may confirm the trial.
pub(super) fn about() -> PathBuf {
    file("trial.json")
}

/// What was in force before the trial.
pub(super) fn previous() -> PathBuf {
    file("previous.nft")
}

/// What is being taken back.
pub(super) fn reverting() -> PathBuf {
    file("reverting.nft")
}
