//! Journals of the packs that a run is about to store, so that the next run can use the packs of an
//! interrupted one that were not indexed yet.
//!
//! A line is written before its pack. Only packs in the store's list are used: a line whose pack is missing
//! or has another size is ignored. Every run has its own file and holds a lock on it while it lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use cloudron_core::{Error, Result, random};
use zeroize::Zeroizing;

use crate::format::index::PackEntry;

const PREFIX: &str = "journal-";
/// The age after which a journal counts as abandoned if locks are not supported.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Authenticates a line as written completely by a writer of this repository.
#[derive(Clone)]
struct Mark(Zeroizing<[u8; 32]>);

impl Mark {
    fn new(chunk_key: &[u8; 32]) -> Self {
        Self(Zeroizing::new(blake3::derive_key("cloudron-backup 2026-11 v1 journal of packs", chunk_key)))
    }

    fn of(&self, line: &[u8]) -> String {
        hex::encode(&blake3::keyed_hash(&self.0, line).as_bytes()[..16])
    }
}

/// The journal of this run.
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
    mark: Mark,
}

impl Journal {
    /// Creates a journal in the cache folder of a repository.
    pub(crate) fn new(dir: &Path, chunk_key: &[u8; 32]) -> Result<Self> {
        let path = dir.join(format!("{PREFIX}{}", random::token(16)));
        let failed = |e| Error::io(&path, e);
        let file =
            OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        // Without support for locks, the age of the file decides.
        let _ = file.try_lock();
        Ok(Self { path, file: Mutex::new(file), mark: Mark::new(chunk_key) })
    }

    /// Records a pack that is about to be stored. If this fails, an interrupted run stores the pack again.
    pub(crate) fn add(&self, entry: &PackEntry) {
        if let Err(e) = self.write(entry) {
            tracing::debug!("{} is not written: {e}", self.path.display());
        }
    }

    fn write(&self, entry: &PackEntry) -> std::io::Result<()> {
        let json = serde_json::to_vec(entry)?;
        // Begins with a line break, to separate it from the rest of a failed write.
        let mut line = b"\n".to_vec();
        line.extend_from_slice(self.mark.of(&json).as_bytes());
        line.push(b' ');
        line.extend_from_slice(&json);
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).and_then(|()| file.sync_data())
    }

    /// Removes the journal: all recorded packs are in an index.
    pub(crate) fn remove(self) {
        // If it stays, the next run reads it and finds nothing new.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The journals of runs that have ended.
#[derive(Default)]
pub(crate) struct Left {
    /// The recorded packs. Truncated or changed lines are left out.
    pub(crate) entries: Vec<PackEntry>,
    files: Vec<(PathBuf, File)>,
}

impl Left {
    /// Reads the journals of other runs in the cache folder of a repository. Those of active runs are skipped.
    pub(crate) fn read(dir: &Path, chunk_key: &[u8; 32]) -> Self {
        let mut left = Self::default();
        let mark = Mark::new(chunk_key);
        let Ok(found) = std::fs::read_dir(dir) else { return left };
        for found in found.flatten() {
            if !found.file_name().to_str().is_some_and(|n| n.starts_with(PREFIX)) {
                continue;
            }
            let path = found.path();
            let Some(file) = File::open(&path).ok().filter(is_over) else { continue };
            for line in BufReader::new(&file).split(b'\n').map_while(std::io::Result::ok) {
                left.entries.extend(parse(&line, &mark));
            }
            left.files.push((path, file));
        }
        left
    }

    /// Removes the journals: their packs are indexed now, or not in the store.
    pub(crate) fn remove(self) {
        for (path, _lock) in self.files {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Checks whether the run that wrote a journal has ended. If so, takes the lock, so that only one run uses
/// the journal.
fn is_over(file: &File) -> bool {
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            let modified = file.metadata().and_then(|m| m.modified()).ok();
            modified.and_then(|m| SystemTime::now().duration_since(m).ok()).is_some_and(|age| age > STALE)
        }
    }
}

fn parse(line: &[u8], mark: &Mark) -> Option<PackEntry> {
    let (written, json) = (line.get(..32)?, line.get(33..)?);
    if written != mark.of(json).as_bytes() {
        return None;
    }
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::ChunkId;
    use crate::format::index::PackedChunk;

    fn entry(n: u8) -> PackEntry {
        let chunks = vec![PackedChunk { id: ChunkId([n; 32]), offset: 0, length: 10, raw: 20 }];
        PackEntry { pack: ChunkId([n; 32]), size: 100 + u64::from(n), chunks }
    }

    fn sizes(dir: &Path, key: u8) -> Vec<u64> {
        Left::read(dir, &[key; 32]).entries.iter().map(|e| e.size).collect()
    }

    #[test]
    fn what_a_run_noted_is_read_by_the_next_one_and_not_while_it_lives() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(dir.path(), &[1; 32]).unwrap();
        journal.add(&entry(1));
        journal.add(&entry(2));
        assert!(sizes(dir.path(), 1).is_empty());
        drop(journal);
        assert!(sizes(dir.path(), 9).is_empty(), "that of another repository means nothing");
        assert_eq!(sizes(dir.path(), 1), [101, 102]);
        Left::read(dir.path(), &[1; 32]).remove();
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    }

    #[test]
    fn a_line_that_is_cut_or_changed_anywhere_is_dropped_and_the_others_count() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(dir.path(), &[1; 32]).unwrap();
        let path = journal.path.clone();
        journal.add(&entry(1));
        let second = std::fs::metadata(&path).unwrap().len() as usize;
        journal.add(&entry(2));
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for at in (second..whole.len() - 1).step_by(7) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, changed).unwrap();
            assert_eq!(sizes(dir.path(), 1), [101], "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(sizes(dir.path(), 1), [101], "cut at {at}");
        }
    }
}
