//! The context of operations on a repository: for anybody, for the owner reading it, and for a writer.

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

/// A repository on a blocking thread, with progress and cancellation.
#[derive(Clone, Copy)]
pub(crate) struct Session<'a> {
    pub(crate) store: &'a Blocking,
    pub(crate) config: &'a Config,
    /// The cache folder of this repository.
    pub(crate) memory: Option<&'a Path>,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a Stop,
}

/// The owner of a repository, with read access.
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
    /// Checks that the identity belongs to the repository, and reads the revocations.
    ///
    /// # Errors
    /// As [`Config::check_identity`]; errors of the store.
    pub(crate) fn new(session: Session<'a>, identity: &'a Identity) -> Result<Self> {
        session.config.check_identity(identity)?;
        let trust = Trust::load(session.store, session.config, Anchor::Identity(identity))?;
        Ok(Self { session, identity, trust })
    }

    /// Opens a backup after checking its signature and the hash of its manifest.
    ///
    /// # Errors
    /// As [`Backup::open`].
    pub(crate) fn backup(&self, id: &BackupId) -> Result<Backup> {
        Backup::open(self, &self.trust, self.identity, id)
    }

    /// Returns the index, with locations from this writer preferred. Warns about unusable objects.
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
    /// Checks that the keys belong to a writer of the repository that is not revoked.
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

    /// Returns the target for the writer's packs and index objects.
    pub(crate) fn target<'t>(
        &'t self,
        data: &'t dyn Encryptor,
        index: &'t dyn Encryptor,
        journal: Option<&'t Journal>,
    ) -> Target<'t> {
        let (store, repository, signer) = (self.store, self.config.id.as_str(), &self.signer);
        Target { store, data, index, repository, signer, journal }
    }

    /// Returns the id of the writer.
    pub(crate) fn writer(&self) -> WriterId {
        self.keys.writer()
    }
}
