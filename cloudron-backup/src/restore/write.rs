//! Writes all entries: folders and files, then further names of files, then the metadata of folders.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use cloudron_core::{Error, ErrorKind, Result, Task, Unit};

use super::Restore;
use super::conflicts::{Ahead, Substitutes, asked};
use super::file::{Placed, Placing};
use super::prefetch::{Feed, PackRange, Prefetcher, Source};
use super::tree::Tree;
use super::ways::Ways;
use crate::chunk::ChunkId;
use crate::files::owners::{Owners, Rights};
use crate::format::manifest::{Entry, Extent, Kind};
use crate::restore::{Failure, RestoreReport};
use crate::snapshot::Session;

/// The maximum number of texts in a report.
const KEPT: usize = 100;

/// The size in bytes from which a batch is closed when the next file is in another chunk.
const BYTES: u64 = 1 << 20;
/// The size in bytes, and the number of entries, at which a batch is closed in any case.
const MOST_BYTES: u64 = 8 << 20;
const ENTRIES: usize = 1024;
/// The maximum number of waiting batches.
const BATCHES: usize = 2;
/// The number of bytes after which the written data is synced in parallel.
const SYNCED: u64 = 64 << 20;
/// The number of threads that fetch content. A remote store has a high latency.
const FETCHERS: usize = 6;

/// Consecutive entries for one thread to place: most of them are in the same chunks and folders.
struct Batch {
    entries: Vec<(PathBuf, Entry)>,
    spans: Receiver<Arc<PackRange>>,
}

struct Work<'a> {
    source: &'a Source<'a>,
    /// True if content is fetched ahead. It may not be needed if files exist already.
    ahead: bool,
    restore: &'a Restore<'a>,
    placing: Placing,
    substitutes: Substitutes,
    ways: Ways,
    report: Mutex<RestoreReport>,
    fatal: Mutex<Option<Error>>,
    task: Task,
}

/// Restores all requested entries.
pub(super) fn all(restore: &Restore<'_>, source: &Source<'_>, ahead: &Ahead) -> Result<RestoreReport> {
    let Restore { session: Session { progress, stop, .. }, request, backup, places } = *restore;
    let placing = Placing {
        owners: Owners::of_this_machine(),
        numeric_owner: request.numeric_owner,
        is_root: rustix::process::geteuid().is_root(),
        rights: Rights::of_this_process(),
        overwrite: request.overwrite,
        stop: stop.clone(),
    };
    let asked = asked(backup, places, stop)?;
    let ways = Ways::new(places, asked.parents, placing.is_root);
    let work = Work {
        source,
        ahead: !ahead.files_there,
        restore,
        placing,
        substitutes: asked.substitutes,
        ways,
        report: Mutex::default(),
        fatal: Mutex::default(),
        task: progress.task("Restoring", Unit::Bytes, Some(ahead.bytes)),
    };
    if places.only().is_empty() {
        Tree::making(places, &work.ways).open_anchors()?;
    }
    std::thread::scope(|scope| {
        let (written, due) = sync_channel(1);
        let syncing = scope.spawn(|| work.sync_along(due));
        if work.contents(written)? {
            work.further_names()?;
        }
        work.folders()?;
        work.parents()?;
        syncing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    work.sync()?;
    work.task.finish();
    Ok(work.report.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl Work<'_> {
    /// Creates folders on this thread, in order; everything else is written by other threads.
    fn contents(&self, written: SyncSender<()>) -> Result<bool> {
        let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 4);
        let has_links = std::thread::scope(|scope| {
            let (queue, batches) = sync_channel::<Batch>(BATCHES);
            let batches = Arc::new(Mutex::new(batches));
            for _ in 0..threads {
                let (batches, written) = (batches.clone(), written.clone());
                scope.spawn(move || self.place_all(&batches, &written));
            }
            drop((batches, written));
            let (mut prefetcher, spans) = self.source.prefetcher();
            let spans = Arc::new(spans);
            for _ in 0..FETCHERS {
                let spans = spans.clone();
                scope.spawn(move || self.source.fetch_all(&spans));
            }
            self.distribute(&queue, &mut prefetcher)
        });
        match self.fatal.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => has_links,
        }
    }

    fn distribute(&self, queue: &SyncSender<Batch>, prefetcher: &mut Prefetcher<'_>) -> Result<bool> {
        let (mut waiting, mut bytes, mut last) = (Vec::new(), 0, None);
        let mut tree = Tree::making(self.restore.places, &self.ways);
        let mut has_links = false;
        let mut entries = self.restore.backup.entries()?;
        while let Some(entry) = entries.next()? {
            self.restore.session.stop.check()?;
            let mut path = entry.path();
            if !self.restore.places.wants(&path) {
                let Some(link) = self.substitutes.get(&path) else { continue };
                path.clone_from(link);
            }
            match entry.kind {
                Kind::Hardlink => has_links = true,
                Kind::Dir => {
                    let made = self.restore.places.of(&path).and_then(|place| {
                        tree.spot(&place)?.map_or(Ok(()), |spot| self.placing.folder(&spot))
                    });
                    self.note(&path, made.map(|()| Placed::default()))?;
                }
                _ => {
                    let goes_on = first_chunk(&entry).is_none_or(|chunk| Some(chunk) == last);
                    let enough = if goes_on { MOST_BYTES } else { BYTES };
                    if waiting.len() >= ENTRIES || bytes >= enough {
                        bytes = 0;
                        if !self.hand_out(std::mem::take(&mut waiting), queue, prefetcher) {
                            return Ok(false);
                        }
                    }
                    bytes += entry.size;
                    last = last_chunk(&entry).or(last);
                    waiting.push((path, entry));
                }
            }
        }
        Ok(self.hand_out(waiting, queue, prefetcher) && has_links)
    }

    /// Passes a batch to a thread, and announces the content it needs. Returns false if the threads stopped,
    /// and have recorded why.
    fn hand_out(
        &self,
        entries: Vec<(PathBuf, Entry)>,
        queue: &SyncSender<Batch>,
        prefetcher: &mut Prefetcher<'_>,
    ) -> bool {
        // The batch goes first: announcing waits for the readers.
        let needed: Vec<Extent> = match self.ahead {
            true => entries.iter().flat_map(|(_, entry)| &entry.extents).copied().collect(),
            false => Vec::new(),
        };
        let taken = queue.send(Batch { entries, spans: prefetcher.begin() }).is_ok();
        prefetcher.announce(&needed);
        prefetcher.end();
        taken
    }

    fn place_all(&self, batches: &Mutex<Receiver<Batch>>, written: &SyncSender<()>) {
        let (mut tree, mut feed) = (Tree::making(self.restore.places, &self.ways), Feed::new(self.source));
        loop {
            let next = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Batch { entries, spans }) = next else { return };
            feed.begin(spans);
            for (path, entry) in entries {
                let placed = self
                    .restore
                    .session
                    .stop
                    .check()
                    .and_then(|()| self.place_one(&mut tree, &path, &entry, &mut feed));
                if let (Kind::File, Ok(placed)) = (entry.kind, &placed) {
                    self.count(&entry, placed, written);
                }
                if let Err(e) = self.note(&path, placed) {
                    self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
                    return;
                }
            }
            feed.end();
        }
    }

    fn place_one(
        &self,
        tree: &mut Tree<'_>,
        path: &std::path::Path,
        entry: &Entry,
        feed: &mut Feed<'_>,
    ) -> Result<Placed> {
        let place = self.restore.places.of(path)?;
        // No folder is missing, since they are created on the way.
        let Some(spot) = tree.spot(&place)? else { return Ok(Placed::default()) };
        match entry.kind {
            Kind::File => self.placing.file(&spot, entry, feed),
            _ => self.placing.special(&spot, entry),
        }
    }

    fn count(&self, entry: &Entry, placed: &Placed, written: &SyncSender<()>) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        let before = report.bytes;
        report.files += 1;
        report.bytes += entry.size;
        report.unchanged += u64::from(placed.unchanged);
        if !placed.unchanged && before / SYNCED != report.bytes / SYNCED {
            // Full if a sync is due already.
            let _ = written.try_send(());
        }
        drop(report);
        self.task.advance(entry.size);
    }

    /// Records the result of an entry. Returns errors that affect all entries.
    fn note(&self, path: &std::path::Path, placed: Result<Placed>) -> Result<()> {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        match placed {
            Ok(placed) => {
                report.owners_lost += u64::from(placed.owner_lost);
                placed.notes.into_iter().for_each(|text| self.restore.session.progress.note(text));
                for text in placed.warnings {
                    report.warning_count += 1;
                    if report.warnings.len() < KEPT {
                        report.warnings.push(text.clone());
                    }
                    self.restore.session.progress.warn(text);
                }
            }
            Err(e) if is_fatal(&e) => return Err(e),
            Err(e) => {
                report.failed_count += 1;
                self.restore.session.progress.warn(format!("{} is not restored: {e}", path.display()));
                if report.failed.len() < KEPT {
                    report.failed.push(Failure { path: path.to_owned(), reason: e.to_string() });
                }
            }
        }
        Ok(())
    }

    fn further_names(&self) -> Result<()> {
        let (mut tree, mut targets) =
            (Tree::making(self.restore.places, &self.ways), Tree::new(self.restore.places));
        let mut entries = self.restore.backup.entries()?;
        while let Some(entry) = entries.next()? {
            self.restore.session.stop.check()?;
            let path = entry.path();
            if entry.kind != Kind::Hardlink || !self.restore.places.wants(&path) {
                continue;
            }
            let target = entry.target_path();
            let target = self.substitutes.get(&target).unwrap_or(&target);
            if *target == path {
                continue;
            }
            let linked = self.link(&mut tree, &mut targets, &path, target);
            self.note(&path, linked)?;
        }
        Ok(())
    }

    fn link(
        &self,
        tree: &mut Tree<'_>,
        targets: &mut Tree<'_>,
        path: &std::path::Path,
        target: &std::path::Path,
    ) -> Result<Placed> {
        let (place, target_place) = (self.restore.places.of(path)?, self.restore.places.of(target)?);
        let (Some(spot), Some(target_spot)) = (tree.spot(&place)?, targets.spot(&target_place)?) else {
            let text = format!("the first name of the file, {}, was not restored", target.display());
            return Err(Error::new(&crate::codes::OBJECT_MISSING, text));
        };
        self.placing.hardlink(&spot, &target_spot)
    }

    /// Sets the metadata of folders, from the inside out: a folder becomes inaccessible or read-only only
    /// after its content is complete, and its times do not change afterwards.
    fn folders(&self) -> Result<()> {
        let mut tree = Tree::new(self.restore.places);
        let mut open: Vec<(PathBuf, Entry)> = Vec::new();
        let mut entries = self.restore.backup.entries()?;
        loop {
            self.restore.session.stop.check()?;
            let entry = entries.next()?;
            let path = entry.as_ref().map(Entry::path);
            while open.last().is_some_and(|(last, _)| path.as_ref().is_none_or(|p| !p.starts_with(last))) {
                let Some((path, entry)) = open.pop() else { break };
                let done = self.restore.places.of(&path).and_then(|place| match tree.spot(&place)? {
                    Some(spot) => self.placing.folder_metadata(&spot, &entry),
                    None => Ok(Placed::default()),
                });
                self.note(&path, done)?;
            }
            let (Some(entry), Some(path)) = (entry, path) else { return Ok(()) };
            if entry.kind == Kind::Dir && self.restore.places.wants(&path) {
                open.push((path, entry));
            }
        }
    }

    /// Sets the metadata of the parent folders created by the restore, from the inside out.
    fn parents(&self) -> Result<()> {
        let mut tree = Tree::new(self.restore.places);
        for entry in self.ways.made() {
            let path = entry.path();
            let done = self.restore.places.of(&path).and_then(|place| match tree.spot(&place)? {
                Some(spot) => self.placing.folder_metadata(&spot, entry),
                None => Ok(Placed::default()),
            });
            self.note(&path, done)?;
            self.report.lock().unwrap_or_else(PoisonError::into_inner).parents.push(path);
        }
        Ok(())
    }

    /// Syncs while more data is being written, so that little remains to sync at the end. A failure is an
    /// error, because the system reports it only once.
    fn sync_along(&self, due: Receiver<()>) -> Result<()> {
        due.into_iter().try_for_each(|()| self.sync())
    }

    /// Makes the written data survive a power failure.
    fn sync(&self) -> Result<()> {
        for anchor in &self.restore.places.anchors {
            // An anchor without any restored entry does not exist.
            if let Ok(folder) = std::fs::File::open(anchor) {
                rustix::fs::syncfs(&folder).map_err(|e| Error::io(anchor, e.into()))?;
            }
        }
        Ok(())
    }
}

fn chunk_of(extent: &Extent) -> Option<ChunkId> {
    match extent {
        Extent::Data { chunk, .. } => Some(*chunk),
        Extent::Hole(_) => None,
    }
}

fn first_chunk(entry: &Entry) -> Option<ChunkId> {
    entry.extents.iter().find_map(chunk_of)
}

fn last_chunk(entry: &Entry) -> Option<ChunkId> {
    entry.extents.iter().rev().find_map(chunk_of)
}

/// Checks whether an error stops the whole restore: it affects every file, or the user cancelled.
fn is_fatal(error: &Error) -> bool {
    let everywhere = [ErrorKind::Interrupted, ErrorKind::Unavailable, ErrorKind::Partial];
    everywhere.contains(&error.kind()) || error.is(&cloudron_core::codes::NO_SPACE)
}
