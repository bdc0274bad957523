//! Writes files, packs, index and manifest.

use std::path::Path;

use cloudron_core::{Progress, Result, Unit};

use super::entries::{Counts, Writer};
use super::folders::{own_folders, scratch};
use super::source::Feed;
use super::sources::Sources;
use super::{BackupRun, walk};
use crate::cache::files::{self, CacheReader, CacheWriter};
use crate::files::exclude::Patterns;
use crate::files::temporary;
use crate::format::index::Index;
use crate::format::manifest::{self, Header, HeaderSource, ManifestWriter};
use crate::packer;
use crate::packer::journal::Journal;

/// The result of writing files, packs and index.
pub(super) struct Done {
    pub(super) sources: Vec<HeaderSource>,
    pub(super) manifest: tempfile::NamedTempFile,
    pub(super) counts: Counts,
    /// The number of bytes added to the store.
    pub(super) added: u64,
    pub(super) cache: Option<CacheWriter>,
}

/// Writes everything but the manifest to the store.
///
/// # Errors
/// Errors of the store; `interrupted`. Unreadable files are in the counts.
pub(super) fn write_all(
    run: &BackupRun<'_>,
    sources: Sources,
    feed: Option<Box<dyn Feed>>,
    index: &Index,
    cache_dir: Option<&Path>,
) -> Result<Done> {
    let (data, for_index) = (run.config.data_encryptor()?, run.config.index_encryptor()?);
    let chunk_key = run.keys.chunk_key()?;
    let journal = cache_dir.map(|dir| Journal::new(dir, &chunk_key));
    let journal = journal.and_then(|journal| optional(journal, run.progress));
    let header = Header {
        manifest: manifest::VERSION,
        id: run.request.id.to_string(),
        repository: run.config.id.clone(),
        writer: Some(run.writer()),
        sources: sources.found.clone(),
    };
    let scratch = scratch(cache_dir);
    temporary::sweep(&scratch);
    temporary::sweep(&scratch.join("index"));
    let manifest = ManifestWriter::new(&scratch, &*data, &header)?;
    // The entries of a feed are no local files, so there is no file cache for them.
    let listing = cache_dir.filter(|_| feed.is_none());
    let old = listing.and_then(|dir| CacheReader::open(dir, &run.config.id, &sources.found));
    let new = listing.map(|dir| CacheWriter::new(dir, &run.config.id, &sources.found));
    let new = new.and_then(|new| optional(new, run.progress));
    let expected = listing.and_then(|dir| files::expected(dir, &sources.found));
    let task = run.progress.task("Backing up", Unit::Bytes, expected);

    let target = run.target(&*data, &*for_index, journal.as_ref());
    let (written, added) = packer::with(&target, |uploads| {
        let mut writer = Writer::new(run, index, uploads, manifest, &task)?;
        (writer.old, writer.new) = (old, new);
        if let Some(feed) = feed {
            feed.give(&mut writer)?;
            return writer.finish();
        }
        writer.counts.failed(sources.missing);
        let excludes = Patterns::new(&run.request.excludes)?;
        let ours = own_folders(run);
        walk::walk(&sources.found, &excludes, &ours, &mut writer)?;
        say_excluded(&excludes, &writer.counts, run.progress);
        writer.finish()
    })?;
    task.set_total(written.counts.bytes);
    task.finish();
    if let Some(dir) = listing {
        files::expect(dir, &sources.found, written.counts.bytes);
    }
    if let Some(journal) = journal {
        journal.remove();
    }
    let manifest = written.manifest.finish()?;
    let (sources, counts) = (sources.found, written.counts);
    Ok(Done { sources, manifest, counts, added, cache: written.cache })
}

/// Reports how many entries each pattern excluded, so that a pattern without any match is noticed.
fn say_excluded(patterns: &Patterns, counts: &Counts, progress: &Progress) {
    for (text, count) in patterns.texts().zip(&counts.excluded) {
        match count {
            0 => progress.note(format!("the pattern {text:?} left nothing out")),
            1 => progress.note(format!("the pattern {text:?} left 1 file or folder out")),
            n => progress.note(format!("the pattern {text:?} left {n} files and folders out")),
        }
    }
}

/// Turns an error of the cache into a warning: the backup continues without it.
pub(super) fn optional<T>(result: Result<T>, progress: &Progress) -> Option<T> {
    result.inspect_err(|e| progress.warn(format!("the next backup will be slower: {e}"))).ok()
}
