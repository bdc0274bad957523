//! What work on a repository needs of everything around it: for anybody, for its owner who reads, and for a writer.

use std::ops::Deref;
use std::path::Path;

use cloudron_core::{BackupId, Error, Progress, Result};

use super::Backup;
use crate::codes;
use crate::encrypt::Encryptor;
use crate::format::condemned;
use crate::format::config::Config;
use crate::format::index::Index;
use crate::format::trust::{Anchor, Trust};
use crate::keys::{Identity, Signer, WriterId, WriterKeys};
use crate::packer::Target;
use crate::packer::journal::Journal;
use crate::runtime::Stop;
use crate::store::blocking::Blocking;

/// A repository, seen from a thread that may block, and how the work on it is followed and stopped.
#[derive(Clone, Copy)]
pub(crate) struct Session<'a> {
    pub(crate) store: &'a Blocking,
    pub(crate) config: &'a Config,
    /// The folder in which it is remembered between runs what this repository holds.
    pub(crate) memory: Option<&'a Path>,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a Stop,
}

/// The owner of a repository, who reads it.
pub(crate) struct Reading<'a> {
    session: Session<'a>,
    pub(crate) identity: &'a Identity,
    pub(crate) trust: Trust,
}

impl<'a> Deref for Reading<'a> {
    type Target = Session<'a>;

    fn deref(&self) -> &Self::Target {
        &self.session
    }
}

impl<'a> Reading<'a> {
    /// Checks that the identity is that of the repository, and reads whose word counts.
    ///
    /// # Errors
    /// As [`Config::check_identity`]; errors of the store.
    pub(crate) fn new(session: Session<'a>, identity: &'a Identity) -> Result<Self> {
        session.config.check_identity(identity)?;
        let trust = Trust::load(session.store, session.config, Anchor::Identity(identity))?;
        Ok(Self { session, identity, trust })
    }

    /// A backup, with its signature and the hash of its manifest checked.
    ///
    /// # Errors
    /// As [`Backup::open`].
    pub(crate) fn backup(&self, id: &BackupId) -> Result<Backup> {
        Backup::open(self, &self.trust, self.identity, id)
    }

    /// The index, for what this writer made. What cannot be used is warned of.
    ///
    /// # Errors
    /// Errors of the store.
    pub(crate) fn index(&self, writer: Option<WriterId>) -> Result<Index> {
        let key = self.config.owner_decryptor(self.identity)?;
        let index = condemned::index_for_reading(self.store, (&*key, &self.trust), writer, self.stop)?;
        for (object, error) in &index.unusable {
            self.progress.warn(format!("{object} cannot be used: {error}"));
        }
        Ok(index)
    }
}

/// A writer of a repository.
pub(crate) struct Writing<'a> {
    session: Session<'a>,
    pub(crate) keys: &'a WriterKeys,
    pub(crate) trust: Trust,
    pub(crate) signer: Signer,
}

impl<'a> Deref for Writing<'a> {
    type Target = Session<'a>;

    fn deref(&self) -> &Self::Target {
        &self.session
    }
}

impl<'a> Writing<'a> {
    /// Checks that the keys are those of a writer of the repository that is not revoked.
    ///
    /// # Errors
    /// As [`Config::check_writer`]; `writer-revoked`; errors of the store.
    pub(crate) fn new(session: Session<'a>, keys: &'a WriterKeys) -> Result<Self> {
        session.config.check_writer(keys)?;
        let trust = Trust::load(session.store, session.config, Anchor::Writer(keys))?;
        if trust.is_revoked(&keys.writer()) {
            let name = &keys.certificate.name;
            return Err(Error::new(&codes::WRITER_REVOKED, format!("the writer {name} was revoked")));
        }
        Ok(Self { session, keys, trust, signer: keys.signer()? })
    }

    /// Where packs and index objects of the writer go.
    pub(crate) fn target<'t>(
        &'t self,
        data: &'t dyn Encryptor,
        index: &'t dyn Encryptor,
        journal: Option<&'t Journal>,
    ) -> Target<'t> {
        let (store, repository, signer) = (self.store, self.config.id.as_str(), &self.signer);
        Target { store, data, index, repository, signer, journal }
    }

    /// The id of the writer.
    pub(crate) fn writer(&self) -> WriterId {
        self.keys.writer()
    }
}
