//! Copies chosen backups into another repository with other keys.
//!
//! Content is read and checked chunk by chunk, named with the key of the target, and stored there unless it
//! exists. Files keep their chunks, so that a backup made to the target itself shares them.

use std::collections::{HashMap, HashSet};

use cloudron_core::{BackupId, Error, ErrorKind, Result, Task, Unit};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::cache::history::SnapshotHistory;
use crate::chunk::{ChunkId, ChunkNamer, hash_zeros, slice};
use crate::copy::TransferReport;
use crate::format::condemned::packs_to_rely_on;
use crate::format::index::{Index, Whose};
use crate::format::lock::Lock;
use crate::format::manifest::{self, Entry, Extent, Header, Kind, ManifestWriter, describe};
use crate::format::pack::ChunkReader;
use crate::format::summary::{self, Origin, Summary};
use crate::packer::{self, Packer};
use crate::snapshot::{Backup, Reading, Skipped, Writing, namer, sequence, slot};
use crate::{codes, layout};

/// Copies backups, each whole or not at all, in the given order.
pub(crate) fn run(from: &Reading<'_>, to: &Writing<'_>, ids: &[BackupId]) -> Result<TransferReport> {
    if from.config.id == to.config.id {
        let text = format!("{} and {} hold the same repository", from.store.url(), to.store.url());
        return Err(Error::new(&codes::REPOSITORY_EXISTS, text)
            .with_hint("copy the repository as it is, which takes no key"));
    }
    let source_index = from.index(None)?;
    let key = from.config.owner_decryptor(from.identity)?;
    let mut transfer = Transfer {
        from,
        to,
        chunks: ChunkReader::new(from.store, &source_index, &*key, namer(from.identity)?),
        namer: ChunkNamer::new(to.keys.chunk_key()?),
        index: Index::default(),
        names: HashMap::new(),
        sound: HashSet::new(),
        seen: SnapshotHistory::load(to.memory, &to.config.id, &to.store.url()),
    };
    let mut report = TransferReport::default();
    for id in ids {
        match transfer.backup(id, &mut report) {
            Ok(()) => {}
            // If one is damaged, the others are still copied.
            Err(e) if concerns_one(&e) => {
                from.progress.warn(format!("{id} was not copied: {e}"));
                report.failed.push(Skipped { backup: id.clone(), reason: e.to_string() });
            }
            Err(e) => return Err(e),
        }
    }
    Ok(report)
}

fn concerns_one(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound)
        || error.is(&codes::BACKUP_EXISTS)
        || error.is(&codes::BACKUP_ABORTED)
}

/// Returns the chunks in the target.
fn target_index(to: &Writing<'_>) -> Result<Index> {
    let key = to.config.index_decryptor(&to.keys.index_identity)?;
    let key = (&*key, &to.trust);
    let packs = packs_to_rely_on(to.store, key, None, to.stop)?;
    let index = Index::load(to.store, key, None, &packs, Whose::Mine(to.writer()), to.stop)?;
    for (object, error) in &index.unusable {
        to.progress.warn(format!("{object} cannot be used, what it lists is stored again: {error}"));
    }
    Ok(index)
}

struct Transfer<'a> {
    from: &'a Reading<'a>,
    to: &'a Writing<'a>,
    chunks: ChunkReader<'a>,
    namer: ChunkNamer,
    index: Index,
    /// The names in the target of chunks of the source, as far as they are stored.
    names: HashMap<ChunkId, ChunkId>,
    /// Contents whose hash was checked: a fingerprint of the hash and its extents.
    sound: HashSet<[u8; 32]>,
    /// The record of the target's backups, which determines the next number.
    seen: SnapshotHistory,
}

/// The chunks copied for one backup, which count as stored after all of it is.
#[derive(Default)]
struct Brought {
    names: HashMap<ChunkId, ChunkId>,
    sent: HashSet<ChunkId>,
}

impl Transfer<'_> {
    fn backup(&mut self, id: &BackupId, report: &mut TransferReport) -> Result<()> {
        let backup = self.from.backup(id)?;
        if self.is_there(&backup.summary)? {
            report.present.push(id.clone());
            return Ok(());
        }
        // As for a backup made there: the lock is written before the list of stored objects is read.
        let mut lock = Lock::take(self.to.store, id.as_str(), &backup.summary.host, &self.to.signer)?;
        self.to.store.check_conditional(lock.key())?;
        self.index = target_index(self.to)?;
        self.names.retain(|_, name| self.index.contains(name));
        let (data, for_index) = (self.to.config.data_encryptor()?, self.to.config.index_encryptor()?);
        let header = Header {
            manifest: manifest::VERSION,
            id: id.to_string(),
            repository: self.to.config.id.clone(),
            writer: self.to.signer.writer(),
            sources: backup.entries()?.header().sources.clone(),
        };
        let manifest = ManifestWriter::new(&std::env::temp_dir(), &*data, &header)?;
        let task = self.from.progress.task(format!("Copying {id}"), Unit::Bytes, Some(backup.summary.bytes));
        let mut brought = Brought::default();
        let target = self.to.target(&*data, &*for_index, None);
        let (manifest, added) =
            packer::run(&target, |packer| self.entries(&backup, manifest, packer, &mut brought, &task))?;
        self.names.extend(brought.names);
        let manifest = manifest.finish()?;
        let made = self.publish(backup.summary, &manifest, added, &mut lock)?;
        lock.release(&made.id);
        task.finish();
        report.copied.push(id.clone());
        report.files += made.files;
        report.bytes += made.bytes;
        report.added_bytes += made.added_bytes;
        Ok(())
    }

    /// Checks whether the target already has the backup.
    fn is_there(&self, ours: &Summary) -> Result<bool> {
        let id = &ours.id;
        let what =
            |s: &Summary| (s.time, s.host.clone(), s.fqdn.clone(), s.files, s.bytes, s.entries.clone());
        let theirs = slot::made(self.to.store, &self.to.trust, id)?;
        if theirs.iter().any(|theirs| what(ours) == what(theirs)) {
            return Ok(true);
        }
        if !theirs.iter().any(|theirs| theirs.writer == self.to.signer.writer()) {
            return Ok(false);
        }
        let text = format!("another backup {id} is in {}", self.to.store.url());
        Err(Error::new(&codes::BACKUP_EXISTS, text))
    }

    fn entries(
        &mut self,
        backup: &Backup,
        mut manifest: ManifestWriter,
        packer: &Packer<'_>,
        brought: &mut Brought,
        task: &Task,
    ) -> Result<ManifestWriter> {
        let mut entries = backup.entries()?;
        while let Some(mut entry) = entries.next()? {
            self.from.stop.check()?;
            if entry.kind == Kind::File {
                self.file(&mut entry, packer, brought)
                    .map_err(|e| e.while_doing(format!("copying {}", entry.path().display())))?;
            }
            manifest.entry(&mut entry)?;
            task.advance(entry.size);
        }
        Ok(manifest)
    }

    /// Stores the content of a file, and gives its extents the chunk names of the target. The content is read
    /// again only if these chunks have not been checked against the file's hash yet.
    fn file(&mut self, entry: &mut Entry, packer: &Packer<'_>, brought: &mut Brought) -> Result<()> {
        let fingerprint = fingerprint(entry)?;
        let proven = self.sound.contains(&fingerprint);
        let mut hash = Sha256::new();
        for extent in &mut entry.extents {
            self.from.stop.check()?;
            let Extent::Data { chunk, length, offset } = extent else {
                if !proven {
                    hash_zeros(&mut hash, extent.length(), self.from.stop)?;
                }
                continue;
            };
            let known = self.names.get(chunk).or_else(|| brought.names.get(chunk)).copied();
            if let (Some(name), true) = (known, proven) {
                *chunk = name;
                continue;
            }
            let content = self.chunks.chunk(chunk)?;
            hash.update(slice(&content, *offset, *length)?);
            *chunk = match known {
                Some(name) => name,
                None => self.store(*chunk, &content, packer, brought)?,
            };
        }
        let found = ChunkId(hash.finalize().into());
        if !proven && entry.sha256 != Some(found) {
            let text = "its content does not have the hash that the manifest says";
            return Err(Error::new(&codes::OBJECT_CORRUPT, text));
        }
        self.sound.insert(fingerprint);
        Ok(())
    }

    fn store(
        &self,
        chunk: ChunkId,
        content: &[u8],
        packer: &Packer<'_>,
        brought: &mut Brought,
    ) -> Result<ChunkId> {
        let name = self.namer.name(content);
        if !self.index.contains(&name) && brought.sent.insert(name) {
            packer.store(name, content.to_vec())?;
        }
        brought.names.insert(chunk, name);
        Ok(name)
    }

    /// Stores the manifest and, at the end, the summary, which makes the copy listed.
    fn publish(
        &mut self,
        summary: Summary,
        manifest: &NamedTempFile,
        added: u64,
        lock: &mut Lock,
    ) -> Result<Summary> {
        let store = self.to.store;
        self.from.stop.check()?;
        let described = describe(manifest.path())?;
        // An existing object of this name has the same content, since it is named by its hash.
        store.put_new_file(&layout::manifest(&described.sha256), manifest.path())?;
        let warn = |missing| self.from.progress.warn(missing);
        let (repository, sequence, writer) = (summary.repository.clone(), summary.sequence, summary.writer);
        let made = Origin { repository, sequence, writer };
        let writer = self.to.writer();
        let mut copy = Summary {
            schema: summary::SCHEMA,
            writer: Some(writer),
            origin: Some(summary.origin.clone().unwrap_or(made)),
            repository: self.to.config.id.clone(),
            sequence: sequence::next(store, &self.to.trust, writer, &mut self.seen, warn)?,
            added_bytes: added + described.size,
            manifest: described,
            ..summary
        };
        lock.stay();
        match slot::publish(store, &self.to.trust, &mut copy, &self.to.signer) {
            Err(e) if e.is(&codes::BACKUP_EXISTS) || e.is(&codes::BACKUP_ABORTED) => {
                lock.may_go();
                return Err(e);
            }
            published => published?,
        }
        self.seen.add(&copy);
        self.seen.save();
        Ok(copy)
    }
}

/// Returns a fingerprint of the content that an entry describes.
fn fingerprint(entry: &Entry) -> Result<[u8; 32]> {
    let text = serde_json::to_vec(&(entry.sha256, &entry.extents));
    let text = text.map_err(|e| Error::io("(memory)", e.into()))?;
    Ok(*blake3::hash(&text).as_bytes())
}
