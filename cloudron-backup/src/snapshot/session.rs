//! What work on a repository needs of everything around it.

use cloudron_core::{BackupId, Error, Progress, Result};

use super::Backup;
use crate::codes;
use crate::format::config::Config;
use crate::format::trust::{Anchor, Trust};
use crate::keys::{Identity, Signer, WriterKeys};
use crate::runtime::Stop;
use crate::store::blocking::Blocking;

/// What the owner of a repository reads it with.
pub(crate) struct Reading<'a> {
    pub(crate) store: &'a Blocking,
    pub(crate) config: &'a Config,
    pub(crate) identity: &'a Identity,
    pub(crate) trust: &'a Trust,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a Stop,
}

impl Reading<'_> {
    /// A backup, with its signature and the hash of its manifest checked.
    pub(crate) fn backup(&self, id: &BackupId) -> Result<Backup> {
        Backup::open_by(self.store, self.config, self.identity, self.trust, id, self.stop)
    }
}

/// Checks that keys are those of a writer of the repository that is not revoked.
///
/// # Errors
/// As [`Config::check_writer`]; `writer-revoked`; what the store reports.
pub(crate) fn writer_at_work(
    store: &Blocking,
    config: &Config,
    keys: &WriterKeys,
) -> Result<(Trust, Signer)> {
    config.check_writer(keys)?;
    let trust = Trust::load(store, config, Anchor::Writer(keys))?;
    if trust.is_revoked(&keys.writer()) {
        let name = &keys.certificate.name;
        return Err(Error::new(&codes::WRITER_REVOKED, format!("the writer {name} was revoked")));
    }
    Ok((trust, keys.signer()?))
}
