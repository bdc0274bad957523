//! Makes a backup.

mod content;
pub(crate) mod entries;
mod folders;
mod in_place;
mod known;
mod name;
pub(crate) mod plan;
mod publish;
mod request;
mod runs;
pub(crate) mod source;
mod sources;
mod unfinished;
mod unkept;
mod walk;
mod write;

use std::ops::Deref;
use std::path::PathBuf;

use cloudron_core::{Error, Result};

pub use name::under_new_id;
pub use request::{BackupRequest, Source};
pub use source::ProgramOutput;

use crate::codes;
use crate::files::exclude::Patterns;
use crate::format::lock::Lock;
use crate::format::summary::Summary;
use crate::snapshot::{Writing, filter, slot};
use folders::cache_dir;
use publish::Begun;
use request::ReadHook;
use source::ReadSource;
use sources::Sources;

/// A backup to be made.
pub(crate) struct BackupRun<'a> {
    writing: &'a Writing<'a>,
    request: &'a BackupRequest,
    /// Further folders of the program that must not be in the backup.
    also_skip: Vec<PathBuf>,
    /// Called for every file that is read.
    on_read: Option<ReadHook>,
}

impl<'a> Deref for BackupRun<'a> {
    type Target = Writing<'a>;

    fn deref(&self) -> &Self::Target {
        self.writing
    }
}

impl<'a> BackupRun<'a> {
    /// Creates a backup of the request, without further options.
    pub(crate) fn new(writing: &'a Writing<'a>, request: &'a BackupRequest) -> Self {
        Self { writing, request, also_skip: Vec::new(), on_read: None }
    }

    /// Makes the backup, from the first request to the store to the summary. A read source replaces the folders of
    /// the request.
    ///
    /// # Errors
    /// As [`Repository::backup`](crate::Repository::backup).
    pub(crate) fn make(&self, source: Option<Box<dyn ReadSource>>) -> Result<Summary> {
        let begun = Begun::now();
        let (store, request) = (self.store, self.request);
        filter::check_tags(&request.tags)?;
        if slot::fate(store, &self.trust, &request.id, self.writer())?.is_some() {
            let text = format!("there is a backup {} already", request.id);
            return Err(Error::new(&codes::BACKUP_EXISTS, text));
        }
        let (sources, origin) = match &source {
            Some(source) => (Sources::of_read_source(&**source, request)?, source.origin()),
            None => (Sources::find(request, self.progress)?, None),
        };
        if source.is_none() {
            Patterns::new(&request.excludes)?.check_below(&sources.paths())?;
        }
        let cache_dir = cache_dir(request, self.config, self.progress);
        let cache_dir = cache_dir.as_deref();
        if let Some(dir) = cache_dir {
            unfinished::clean_up(store, dir, &self.trust, &self.signer)?;
        }
        // Before reading anything that this backup will rely on.
        let mut lock = Lock::take(store, request.id.as_str(), &request.host, &self.signer)?;
        // A bucket can change after its repository was created: Ceph ignores conditions once versioning is enabled.
        store.check_conditional(lock.key())?;
        let index = known::known_chunks(self, cache_dir)?;
        let done = write::write_all(self, sources, source, &index, cache_dir)?;
        let made = publish::publish(self, done, origin, cache_dir, &begun, &mut lock)?;
        lock.release(&made.id);
        Ok(made)
    }
}
