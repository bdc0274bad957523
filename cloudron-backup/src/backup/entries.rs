//! Turns the entries found by the walk into lines of the manifest.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime};

use cloudron_core::{Progress, Result, Task};
use rustix::fs::{FileType, Mode, OFlags, openat};
use rustix::io::Errno;

use super::BackupRun;
use super::content::{Read, Stored};
use super::runs::Run;
use super::unkept::Unkept;
use crate::backup::request::ReadHook;
use crate::cache::files::{CacheReader, CacheWriter, CachedFile, Stamp};
use crate::chunk::cut::{Chunking, Cutter};
use crate::chunk::{ChunkId, ChunkNamer};
use crate::files::meta::Meta;
use crate::files::owners::Owners;
use crate::files::xattrs;
use crate::format::index::Index;
use crate::format::manifest::{Entry, Extent, Kind, ManifestWriter};
use crate::packer::Uploads;
use crate::runtime::Stop;

/// A file changed less than this before it was checked may change again unnoticed, because the clocks of file
/// systems are coarse.
const SETTLED: Duration = Duration::from_secs(2);

/// The totals of a backup so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(super) kinds: BTreeMap<Kind, u64>,
    pub(super) bytes: u64,
    pub(crate) errors: u64,
    pub(super) warnings: u64,
    /// Entries that are stored without some of their properties.
    pub(super) downgraded: u64,
    /// The number of entries excluded by each pattern.
    pub(super) excluded: Vec<u64>,
}

impl Counts {
    /// Counts `n` entries as missing from the backup, after a warning.
    pub(super) fn failed(&mut self, n: u64) {
        self.errors += n;
        self.warnings += n;
    }
}

/// Writes the entries found by the walk.
pub(crate) struct Writer<'a> {
    pub(crate) chunking: Chunking,
    pub(super) namer: ChunkNamer,
    pub(super) index: &'a Index,
    pub(super) uploads: &'a Uploads<'a>,
    pub(super) manifest: ManifestWriter,
    pub(super) old: Option<CacheReader>,
    pub(super) new: Option<CacheWriter>,
    pub(super) owners: Owners,
    pub(super) run: Run,
    /// The previous version of the current file: hashes of its pieces, and their locations.
    pub(super) before: Option<(String, Vec<Extent>)>,
    /// The hashes of the pieces of the last file read.
    pub(super) pieces: Option<String>,
    /// The first path of each file with several names.
    pub(super) links: HashMap<(u64, u64), Vec<u8>>,
    pub(super) sent: HashSet<ChunkId>,
    pub(crate) counts: Counts,
    pub(super) unkept: Unkept,
    pub(crate) stop: &'a Stop,
    pub(super) progress: &'a Progress,
    pub(crate) task: &'a Task,
    /// The buffer for large files, one after another.
    pub(super) cutter: Cutter,
    pub(super) on_read: Option<&'a ReadHook>,
}

/// The results of a writer that has finished.
pub(super) struct Written {
    pub(super) manifest: ManifestWriter,
    pub(super) counts: Counts,
    pub(super) cache: Option<CacheWriter>,
}

pub(super) fn show(path: &[u8]) -> std::path::Display<'_> {
    std::path::Path::new(OsStr::from_bytes(path)).display()
}

impl<'a> Writer<'a> {
    /// Creates a writer without any files of an earlier backup.
    ///
    /// # Errors
    /// `identity-invalid` for invalid keys.
    pub(super) fn new(
        run: &'a BackupRun<'a>,
        index: &'a Index,
        uploads: &'a Uploads<'a>,
        manifest: ManifestWriter,
        task: &'a Task,
    ) -> Result<Self> {
        let chunking = run.config.chunker;
        Ok(Self {
            chunking,
            namer: ChunkNamer::new(run.keys.chunk_key()?),
            index,
            uploads,
            manifest,
            old: None,
            new: None,
            owners: Owners::of_this_machine(),
            run: Run::new(uploads),
            before: None,
            pieces: None,
            links: HashMap::new(),
            sent: HashSet::new(),
            counts: Counts::default(),
            unkept: Unkept::default(),
            stop: run.stop,
            progress: run.progress,
            task,
            cutter: Cutter::new(chunking),
            on_read: run.on_read.as_ref(),
        })
    }
}

impl Writer<'_> {
    pub(crate) fn warn(&mut self, text: String) {
        self.counts.warnings += 1;
        self.progress.warn(text);
    }

    /// Records an entry that the walk could not read. One that has just vanished is no failure.
    pub(super) fn unreadable(&mut self, path: &[u8], error: std::io::Error) -> Result<()> {
        if error.kind() == std::io::ErrorKind::NotFound {
            self.warn(format!("{} vanished while the backup was made", show(path)));
        } else {
            self.counts.errors += 1;
            self.warn(format!("{} is not in the backup: {error}", show(path)));
        }
        Ok(())
    }

    fn entry(&self, kind: Kind, path: &[u8], meta: &Meta) -> Entry {
        let mut entry = Entry::new(kind, path);
        entry.mode = meta.mode;
        (entry.uid, entry.gid) = (meta.uid, meta.gid);
        entry.user = self.owners.user(meta.uid).map(str::to_owned);
        entry.group = self.owners.group(meta.gid).map(str::to_owned);
        entry.mtime = meta.mtime;
        entry
    }

    pub(super) fn folder(&mut self, path: &[u8], folder: &File, meta: &Meta) -> Result<()> {
        let mut entry = self.entry(Kind::Dir, path, meta);
        self.keep_xattrs(&mut entry, path, xattrs::of_file(folder));
        self.unkept.flags(folder, path);
        self.put(entry, None, None)
    }

    fn keep_xattrs(&mut self, entry: &mut Entry, path: &[u8], found: std::io::Result<xattrs::Found>) {
        match found {
            Ok(found) => {
                entry.set_xattrs(&found.kept);
                self.unkept.attributes(&found.others, path);
            }
            Err(e) => {
                self.counts.downgraded += 1;
                self.warn(format!("{}: its extended attributes are not in the backup: {e}", show(path)))
            }
        }
    }

    /// Returns the entry of a further name of a file, or `None` for the first one.
    fn further_name(&self, path: &[u8], meta: &Meta) -> Option<Entry> {
        let first = self.links.get(&(meta.dev, meta.ino)).filter(|_| meta.nlink > 1)?;
        let mut entry = Entry::new(Kind::Hardlink, path);
        entry.set_target(first);
        Some(entry)
    }

    fn remember_name(&mut self, path: &[u8], meta: &Meta) {
        if meta.nlink > 1 {
            self.links.insert((meta.dev, meta.ino), path.to_vec());
        }
    }

    /// Writes an entry that is neither a folder nor a regular file.
    pub(super) fn special(
        &mut self,
        path: &[u8],
        folder: BorrowedFd<'_>,
        name: &CStr,
        meta: &Meta,
    ) -> Result<()> {
        if let Some(entry) = self.further_name(path, meta) {
            return self.put(entry, None, None);
        }
        let kind = match meta.kind {
            FileType::Symlink => Kind::Symlink,
            FileType::Fifo => Kind::Fifo,
            FileType::BlockDevice => Kind::Block,
            FileType::CharacterDevice => Kind::Char,
            _ => {
                self.progress.note(format!("{} is a socket and is left out", show(path)));
                return Ok(());
            }
        };
        let mut entry = self.entry(kind, path, meta);
        match kind {
            Kind::Symlink => match rustix::fs::readlinkat(folder, name, Vec::new()) {
                Ok(target) => entry.set_target(target.to_bytes()),
                Err(e) => return self.unreadable(path, e.into()),
            },
            Kind::Block | Kind::Char => entry.rdev = meta.rdev,
            _ => {}
        }
        let found = xattrs::of_name(folder, OsStr::from_bytes(name.to_bytes()));
        self.keep_xattrs(&mut entry, path, found);
        self.remember_name(path, meta);
        self.put(entry, None, None)
    }

    /// Writes a regular file.
    pub(super) fn file(
        &mut self,
        path: &[u8],
        folder: BorrowedFd<'_>,
        name: &CStr,
        meta: Meta,
    ) -> Result<()> {
        if let Some(entry) = self.further_name(path, &meta) {
            return self.put(entry, None, None);
        }
        let known = self.old.as_mut().and_then(|old| old.find(path));
        let (known, changed) = match known {
            Some(known) if self.is_unchanged(&known, &meta) => (Some(known), None),
            other => (None, other),
        };
        self.before = changed.and_then(|old| Some((old.pieces?, old.entry.extents)));
        if let Some(known) = known {
            let mut entry = self.entry(Kind::File, path, &meta);
            entry.size = meta.size;
            entry.sha256 = known.entry.sha256;
            entry.take_xattrs_of(&known.entry);
            entry.extents = known.entry.extents;
            self.task.advance(meta.size);
            self.remember_name(path, &meta);
            let stamp = Stamp { ctime: meta.ctime, ino: meta.ino, pieces: known.pieces };
            return self.put(entry, Some(stamp), None);
        }
        match open(folder, name) {
            Ok(file) => self.opened(path, &file),
            Err(e) => self.unreadable(path, e),
        }
    }

    fn is_unchanged(&self, known: &CachedFile, meta: &Meta) -> bool {
        let stored = |extent: &Extent| match extent {
            Extent::Data { chunk, .. } => self.index.contains(chunk),
            Extent::Hole(_) => true,
        };
        known.is_current(meta) && known.entry.sha256.is_some() && known.entry.extents.iter().all(stored)
    }

    fn opened(&mut self, path: &[u8], file: &File) -> Result<()> {
        let looked = SystemTime::now();
        let Read { meta, stored, steady } = match self.read(file)? {
            Ok(read) => read,
            Err(e) => return self.unreadable(path, e),
        };
        if let Some(hook) = self.on_read {
            hook.read(std::path::Path::new(OsStr::from_bytes(path)), meta.size);
        }
        if !steady {
            let text =
                format!("{} changed while it was read; it is in the backup as it was seen", show(path));
            self.warn(text);
        }
        let mut entry = self.entry(Kind::File, path, &meta);
        self.keep_xattrs(&mut entry, path, xattrs::of_file(file));
        self.unkept.flags(file, path);
        let pieces = self.pieces.take();
        let stamp = Stamp { ctime: meta.ctime, ino: meta.ino, pieces };
        let stamp = (steady && is_settled(meta.ctime, looked)).then_some(stamp);
        self.remember_name(path, &meta);
        match stored {
            Stored::Small { content, sha256 } => {
                entry.size = content.len() as u64;
                entry.sha256 = Some(sha256);
                self.put_small(entry, stamp, &content)
            }
            Stored::Large { size, sha256, extents } => {
                entry.size = size;
                entry.sha256 = Some(sha256);
                entry.extents = extents;
                self.put(entry, stamp, None)
            }
        }
    }

    /// Stores a chunk unless it exists.
    pub(crate) fn store(&mut self, chunk: &[u8]) -> Result<ChunkId> {
        let id = self.namer.name(chunk);
        if self.is_new(id) {
            let mut content = self.uploads.buffer(chunk.len());
            content.extend_from_slice(chunk);
            self.uploads.store(id, content)?;
        }
        Ok(id)
    }

    /// Returns true if a chunk is neither stored nor being stored.
    pub(super) fn is_new(&mut self, id: ChunkId) -> bool {
        !self.index.contains(&id) && self.sent.insert(id)
    }

    /// Writes all waiting entries.
    pub(super) fn finish(mut self) -> Result<Written> {
        self.close_run()?;
        self.unkept.report(self.progress);
        Ok(Written { manifest: self.manifest, counts: self.counts, cache: self.new })
    }
}

/// Opens a file for reading without following a link, blocking on a fifo, or updating its access time.
fn open(folder: BorrowedFd<'_>, name: &CStr) -> std::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = match openat(folder, name, flags | OFlags::NOATIME, Mode::empty()) {
        // Only the owner may use this flag.
        Err(Errno::PERM) => openat(folder, name, flags, Mode::empty()),
        other => other,
    };
    Ok(File::from(opened?))
}

/// Checks that any change after `looked` would result in another ctime.
fn is_settled(ctime: (i64, u32), looked: SystemTime) -> bool {
    let now = looked.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let limit = i64::try_from(now.saturating_sub(SETTLED).as_secs()).unwrap_or(0);
    ctime.0 < limit
}
