//! Which packs a run is about to store, so that the next one can use those of a run that was cut off before
//! they were in an index.
//!
//! A line is written before its pack is. What counts is what the store lists: a line whose pack is not there
//! with its size means nothing. Every run has a file of its own and holds a lock on it while it lives.

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
/// Where no lock tells whether a run lives, one that wrote nothing for so long does not.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Says of a line that a writer of this repository wrote it whole.
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
    /// A new one in the folder of a repository's cache.
    pub(crate) fn new(dir: &Path, chunk_key: &[u8; 32]) -> Result<Self> {
        let path = dir.join(format!("{PREFIX}{}", random::token(16)));
        let failed = |e| Error::io(&path, e);
        let file =
            OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        // A file system without locks leaves it to the age of the file.
        let _ = file.try_lock();
        Ok(Self { path, file: Mutex::new(file), mark: Mark::new(chunk_key) })
    }

    /// Notes a pack that is about to be stored. One that cannot be noted is stored again if the run is cut off.
    pub(crate) fn add(&self, entry: &PackEntry) {
        if let Err(e) = self.write(entry) {
            tracing::debug!("{} is not written: {e}", self.path.display());
        }
    }

    fn write(&self, entry: &PackEntry) -> std::io::Result<()> {
        let json = serde_json::to_vec(entry)?;
        // Begun with a line break: what a write that failed left in front of it is no part of it.
        let mut line = b"\n".to_vec();
        line.extend_from_slice(self.mark.of(&json).as_bytes());
        line.push(b' ');
        line.extend_from_slice(&json);
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).and_then(|()| file.sync_data())
    }

    /// Everything that was noted is in an index.
    pub(crate) fn remove(self) {
        // One that stays is read by the next run, which finds nothing new in it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The journals of runs that are over.
#[derive(Default)]
pub(crate) struct Left {
    /// What they noted. Lines that are cut or changed are left out.
    pub(crate) entries: Vec<PackEntry>,
    files: Vec<(PathBuf, File)>,
}

impl Left {
    /// Reads what other runs left in the folder of a repository's cache. Those under way are left alone.
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

    /// What they noted is in an index now, or not in the store.
    pub(crate) fn remove(self) {
        for (path, _lock) in self.files {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whether the run that wrote a journal is over. The lock is taken then, so that one run alone takes it up.
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
