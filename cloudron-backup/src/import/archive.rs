//! Makes a backup of the content of a tar. File content is stored as it comes; the entries are kept in memory
//! until the end, because a manifest has the order of a walk.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use cloudron_core::{Error, Result, ResultExt};
use sha2::{Digest, Sha256};

use super::small_files::SmallFiles;
use crate::backup::entries::Writer;
use crate::backup::source::stream::Content;
use crate::backup::source::{Feed, ReadAhead, of_reader};
use crate::chunk::ChunkId;
use crate::codes;
use crate::files::path_bytes;
use crate::format::manifest::{Entry, HeaderSource, Kind};
use crate::format::summary::Origin;
use crate::import::tar::{Bytes, Data, Member, Reader};
use crate::runtime::Stop;

/// An additional file that belongs to the archive.
pub(crate) struct Extra {
    pub(crate) path: PathBuf,
    pub(crate) content: Vec<u8>,
}

/// The entries of a tar, below a path of the backup.
pub(crate) struct ArchiveFeed {
    pub(crate) name: String,
    /// The target of the archive's tree: an absolute path.
    pub(crate) target: PathBuf,
    pub(crate) reader: Box<dyn Read + Send>,
    /// The time of folders that are not in the archive, in seconds since 1970.
    pub(crate) time: i64,
    /// A file beside the tree, after it in the order of the walk.
    pub(crate) extra: Option<Extra>,
}

struct Input<'s> {
    reader: ReadAhead,
    stop: &'s Stop,
}

impl Bytes for Input<'_> {
    fn next(&mut self, most: usize) -> Result<&[u8]> {
        self.reader.next(most, self.stop)?.map_err(of_reader)
    }
}

impl Feed for ArchiveFeed {
    fn sources(&self) -> Vec<HeaderSource> {
        let source =
            |path: &PathBuf, kind| HeaderSource { name: self.name.clone(), path: path.clone(), kind };
        let tree = source(&self.target, Kind::Dir);
        std::iter::once(tree).chain(self.extra.as_ref().map(|e| source(&e.path, Kind::File))).collect()
    }

    fn origin(&self) -> Option<Origin> {
        Some(Origin { repository: String::new(), sequence: 0, writer: None })
    }

    fn give(self: Box<Self>, writer: &mut Writer<'_>) -> Result<()> {
        let input = Input { reader: ReadAhead::new(self.reader)?, stop: writer.stop };
        let mut reader = Reader::new(input);
        let mut tree = Tree::new(self.time);
        let mut last: Option<Vec<u8>> = None;
        loop {
            let next = reader.next();
            let next = next.doing(|| match &last {
                None => "reading the start of the archive".to_owned(),
                Some(path) => format!("reading what follows {}", show(path)),
            });
            let Some(member) = next? else { break };
            last = Some(member.path.clone());
            tree.take(member, &mut reader, writer)
                .doing(|| format!("reading {}", show(last.as_deref().unwrap_or_default())))?;
        }
        if last.is_none() {
            return Err(Error::new(&codes::OLD_BACKUP_CORRUPT, "there is nothing in the archive"));
        }
        tree.emit(path_bytes(&self.target), writer)?;
        match self.extra {
            Some(extra) => beside(&extra, self.time, writer),
            None => Ok(()),
        }
    }
}

fn show(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn beside(extra: &Extra, time: i64, writer: &mut Writer<'_>) -> Result<()> {
    let mut entry = Entry::new(Kind::File, path_bytes(&extra.path));
    (entry.mode, entry.mtime) = (0o600, (time, 0));
    let mut content = Content::new(writer);
    content.add(&extra.content, writer)?;
    content.finish(&mut entry, writer)?;
    writer.put(entry, None, None)
}

/// The entries found so far. A file with several names is one entry here.
struct Tree {
    entries: Vec<Entry>,
    /// The entries by path below the target, with a NUL in place of each slash, so that the order is that of
    /// a walk. The target itself is the empty path.
    names: BTreeMap<Vec<u8>, usize>,
    small: SmallFiles,
    time: i64,
}

impl Tree {
    fn new(time: i64) -> Self {
        let mut tree =
            Self { entries: Vec::new(), names: BTreeMap::new(), small: SmallFiles::default(), time };
        tree.add_folder(Vec::new(), 0o700);
        tree
    }

    fn add_folder(&mut self, name: Vec<u8>, mode: u32) {
        let mut entry = Entry::new(Kind::Dir, b"");
        (entry.mode, entry.mtime) = (mode, (self.time, 0));
        self.add(name, entry);
    }

    fn add(&mut self, name: Vec<u8>, entry: Entry) -> usize {
        self.entries.push(entry);
        // Of two members with the same name, tar keeps the last one.
        self.names.insert(name, self.entries.len() - 1);
        self.entries.len() - 1
    }

    /// Adds parent folders of a name that are not in the archive.
    fn add_parents(&mut self, name: &[u8]) {
        let ends = name.iter().enumerate().rev().filter(|(_, b)| **b == 0).map(|(i, _)| i);
        let missing: Vec<usize> = ends.take_while(|end| !self.names.contains_key(&name[..*end])).collect();
        for end in missing {
            self.add_folder(name[..end].to_vec(), 0o755);
        }
    }

    fn take(
        &mut self,
        member: Member,
        reader: &mut Reader<Input<'_>>,
        writer: &mut Writer<'_>,
    ) -> Result<()> {
        let name = clean(&member.path)?;
        self.add_parents(&name);
        if member.kind == Kind::Hardlink {
            return self.link(name, &member, writer);
        }
        let mut entry = entry_of(&member);
        if member.kind != Kind::File {
            self.add(name, entry);
            return Ok(());
        }
        if member.sparse.is_some() || member.size >= u64::from(writer.chunking.small_file) {
            let content = large(&member, reader, writer)?;
            content.finish(&mut entry, writer)?;
            self.add(name, entry);
            return Ok(());
        }
        let mut content = Vec::with_capacity(usize::try_from(member.size).unwrap_or(0));
        loop {
            match reader.content(u64::MAX)? {
                [] => break,
                block => content.extend_from_slice(block),
            }
        }
        writer.task.advance(member.size);
        let sha256 = ChunkId(Sha256::digest(&content).into());
        (entry.size, entry.sha256) = (member.size, Some(sha256));
        let at = self.add(name, entry);
        if content.is_empty() {
            return Ok(());
        }
        self.small.add(at, &content, sha256, &mut self.entries, writer)
    }

    /// Adds a further name of a file.
    fn link(&mut self, name: Vec<u8>, member: &Member, writer: &mut Writer<'_>) -> Result<()> {
        let target = clean(&member.target)?;
        match self.names.get(&target).copied() {
            Some(at) if self.entries[at].kind == Kind::Dir => {
                let text = format!("{} is the same as a folder", show(&member.path));
                Err(Error::new(&codes::OLD_BACKUP_CORRUPT, text))
            }
            Some(at) => {
                self.names.insert(name, at);
                Ok(())
            }
            None => {
                writer.counts.errors += 1;
                let (path, target) = (show(&member.path), show(&member.target));
                writer.warn(format!("{path} is not in the backup: the archive lacks {target}, which it is"));
                Ok(())
            }
        }
    }

    /// Passes the entries to the writer. The first name of a file is the file, further ones are links to it.
    fn emit(mut self, target: &[u8], writer: &mut Writer<'_>) -> Result<()> {
        self.small.close(&mut self.entries, writer)?;
        let full = |name: &[u8]| -> Vec<u8> {
            let below = name.iter().map(|b| if *b == 0 { b'/' } else { *b });
            let slash = (!name.is_empty()).then_some(b'/');
            target.iter().copied().chain(slash).chain(below).collect()
        };
        let mut first: Vec<Option<&[u8]>> = vec![None; self.entries.len()];
        for (name, at) in &self.names {
            writer.stop.check()?;
            self.check_parent(name)?;
            let path = full(name);
            let entry = match first[*at] {
                None => {
                    first[*at] = Some(name);
                    let mut entry = self.entries[*at].clone();
                    entry.set_path(&path);
                    entry
                }
                Some(original) => {
                    let mut entry = Entry::new(Kind::Hardlink, &path);
                    entry.set_target(&full(original));
                    entry
                }
            };
            writer.put(entry, None, None)?;
        }
        Ok(())
    }

    /// Refuses entries below a link or a file: they would be written somewhere else.
    fn check_parent(&self, name: &[u8]) -> Result<()> {
        let parent = match name.iter().rposition(|b| *b == 0) {
            Some(end) => &name[..end],
            None => &[],
        };
        let is_folder = |at: &usize| self.entries[*at].kind == Kind::Dir;
        if self.names.get(parent).is_some_and(is_folder) {
            return Ok(());
        }
        let below: Vec<u8> = name.iter().map(|b| if *b == 0 { b'/' } else { *b }).collect();
        let text = format!("{} in the archive is below something that is not a folder", show(&below));
        Err(Error::new(&codes::OLD_BACKUP_CORRUPT, text))
    }
}

/// Converts a name of the archive to a path below the target: without `.` and leading slashes, as tar reads it.
fn clean(name: &[u8]) -> Result<Vec<u8>> {
    let refused = |why: &str| {
        Error::new(&codes::OLD_BACKUP_CORRUPT, format!("the name {:?} in the archive {why}", show(name)))
    };
    if name.contains(&0) {
        return Err(refused("is not one that a file can have"));
    }
    let mut path = Vec::with_capacity(name.len());
    for part in name.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".") {
        if part == b".." {
            return Err(refused("leads out of its tree"));
        }
        if !path.is_empty() {
            path.push(0);
        }
        path.extend_from_slice(part);
    }
    Ok(path)
}

fn entry_of(member: &Member) -> Entry {
    let mut entry = Entry::new(member.kind, b"");
    entry.mode = member.mode;
    (entry.uid, entry.gid) = (member.uid, member.gid);
    (entry.user, entry.group) = (member.user.clone(), member.group.clone());
    (entry.mtime, entry.rdev) = (member.mtime, member.rdev);
    entry.set_xattrs(&member.xattrs);
    if member.kind == Kind::Symlink {
        entry.set_target(&member.target);
    }
    entry
}

/// Stores the content of a file that is large or has holes.
fn large(member: &Member, reader: &mut Reader<Input<'_>>, writer: &mut Writer<'_>) -> Result<Content> {
    let whole = [Data { offset: 0, length: member.size }];
    let mut content = Content::new(writer);
    for Data { offset, length } in member.sparse.as_deref().unwrap_or(&whole) {
        content.hole(offset - content.size, writer)?;
        let mut left = *length;
        while left > 0 {
            let block = reader.content(left)?;
            left -= block.len() as u64;
            content.add(block, writer)?;
        }
    }
    content.hole(member.size - content.size, writer)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_tar_reads_them_and_never_leave_the_tree() {
        assert_eq!(clean(b"./").unwrap(), b"");
        assert_eq!(clean(b"/etc//./passwd").unwrap(), b"etc\0passwd");
        for bad in [&b"../x"[..], b"a/../../b", b"a/..", b"a\0b"] {
            assert!(clean(bad).unwrap_err().is(&codes::OLD_BACKUP_CORRUPT));
        }
    }
}
