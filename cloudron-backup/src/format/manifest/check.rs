//! Checks that every manifest must pass before its content is used. Anybody with a writer's keys can create one.
//!
//! All readers and writers of manifests use these checks, so that restore, export and listing agree on the
//! content: a tree of plain names below the sources, in the order of the walk, with nothing below a link or a
//! file, and no file larger than a file system supports.

use std::collections::{HashSet, hash_map::RandomState};
use std::hash::BuildHasher;

use cloudron_core::{Error, Result};

use super::{Entry, Extent, HeaderSource, Kind};
use crate::chunk::frame::MAX_CHUNK;
use crate::codes;
use crate::format::manifest::order::in_order;

/// The maximum size of a file, in bytes, as in ext4. Hashing the holes of a larger one takes hours.
pub(crate) const MAX_FILE: u64 = 16 << 40;
/// The maximum number of extents of a file. All of them are in memory, at 48 bytes each.
pub(crate) const MAX_EXTENTS: usize = 8 << 20;
/// The maximum length of a path and of a link target, in bytes. A tree may be deeper than system calls allow.
const MAX_PATH: usize = 1 << 20;
/// The maximum number of attributes of an entry: Linux lists their names in 64 KiB.
pub(super) const MAX_XATTRS: usize = 16 << 10;
/// The maximum length of an attribute's name on Linux, in bytes.
const MAX_XATTR_NAME: usize = 255;
/// The maximum length of an attribute's value, in bytes. Linux allows 64 KiB.
const MAX_XATTR: usize = 1 << 20;
/// The maximum length of a user or group name, in bytes.
const MAX_OWNER: usize = 1024;
/// The maximum number of sources.
const MAX_SOURCES: usize = 64 << 10;

/// Checks the entries of one manifest, one after another.
#[derive(Debug)]
pub(crate) struct Checker {
    sources: HashSet<Vec<u8>>,
    /// The path of the previous entry.
    last: Vec<u8>,
    /// The path of the innermost folder of the current entries.
    folder: Vec<u8>,
    /// The lengths of the paths of its parent folders and, last, of itself.
    open: Vec<usize>,
    /// All folders so far, by a hash with a random key.
    folders: HashSet<u64>,
    hasher: RandomState,
    bytes: u64,
}

impl Checker {
    /// Creates a checker for the sources in the header.
    pub(super) fn new(sources: &[HeaderSource]) -> Result<Self> {
        if sources.len() > MAX_SOURCES {
            return Err(refused(b"(header)", "has too many sources"));
        }
        let path = |s: &HeaderSource| std::os::unix::ffi::OsStrExt::as_bytes(s.path.as_os_str()).to_vec();
        let sources: HashSet<Vec<u8>> = sources.iter().map(path).collect();
        match sources.iter().find(|path| !is_plain(path)) {
            Some(path) => Err(refused(path, "is not an absolute path of plain names")),
            None => Ok(Self {
                sources,
                last: Vec::new(),
                folder: Vec::new(),
                open: Vec::new(),
                folders: HashSet::new(),
                hasher: RandomState::new(),
                bytes: 0,
            }),
        }
    }

    /// Checks the next entry, with all its extents.
    ///
    /// # Errors
    /// `snapshot-corrupt`.
    pub(super) fn entry(&mut self, entry: &Entry) -> Result<()> {
        let path = entry.path_bytes();
        self.place(entry, &path).and_then(|()| self.content(entry)).map_err(|why| refused(&path, why))?;
        if entry.kind == Kind::Dir {
            self.open.push(path.len());
            self.folder.clear();
            self.folder.extend_from_slice(&path);
            self.folders.insert(self.hasher.hash_one(&*path));
        }
        self.last.clear();
        self.last.extend_from_slice(&path);
        Ok(())
    }

    /// Checks the location of an entry: in the innermost folder or one of its parents, or a source itself.
    fn place(&mut self, entry: &Entry, path: &[u8]) -> std::result::Result<(), &'static str> {
        if !is_plain(path) {
            return Err("is not an absolute path of plain names");
        }
        if in_order(&self.last, path).is_ge() {
            return Err("is not in the order of a walk");
        }
        let parent = parent(path);
        while let Some(length) = self.open.last() {
            self.folder.truncate(*length);
            if parent == Some(&self.folder) {
                break;
            }
            self.open.pop();
        }
        if self.open.is_empty() && !self.sources.contains(path) {
            return Err("is neither a source nor in a folder of the backup");
        }
        match entry.kind {
            Kind::Hardlink => self.first_name(&entry.target(), path),
            Kind::Symlink if entry.target().len() > MAX_PATH => Err("has too long a target"),
            Kind::Symlink if entry.target().contains(&0) => Err("has a NUL in its target"),
            _ => Ok(()),
        }
    }

    /// Checks the target of a hard link: an earlier entry, no folder, and not below a link.
    fn first_name(&self, target: &[u8], path: &[u8]) -> std::result::Result<(), &'static str> {
        let is_folder = |path: &[u8]| self.folders.contains(&self.hasher.hash_one(path));
        let earlier = is_plain(target) && in_order(target, path).is_lt();
        let placed = self.sources.contains(target) || parent(target).is_some_and(is_folder);
        if earlier && placed && !is_folder(target) {
            Ok(())
        } else {
            Err("is a hard link to no earlier entry")
        }
    }

    /// Checks sizes and attributes.
    fn content(&mut self, entry: &Entry) -> std::result::Result<(), &'static str> {
        let length = length(&entry.extents).ok_or("has an extent that no chunk holds")?;
        match entry.kind {
            Kind::File if entry.size > MAX_FILE => return Err("is larger than a file can be"),
            Kind::File if entry.sha256.is_none() => return Err("has no hash"),
            Kind::File if length != entry.size => return Err("does not add up to its size"),
            Kind::File => {}
            _ if entry.size != 0 || !entry.extents.is_empty() => return Err("has content and is no file"),
            _ => {}
        }
        self.bytes = self.bytes.checked_add(entry.size).ok_or("makes the backup larger than it can be")?;
        if entry.mtime.1 >= 1_000_000_000 {
            return Err("has a time that is none");
        }
        let odd = |name: &Option<String>| {
            name.as_ref().is_some_and(|n| n.len() > MAX_OWNER || n.bytes().any(|b| b.is_ascii_control()))
        };
        if odd(&entry.user) || odd(&entry.group) {
            return Err("has an owner whose name cannot be one");
        }
        let named = |name: &str| (1..=MAX_XATTR_NAME).contains(&name.len()) && !name.bytes().any(|b| b == 0);
        let sound = |(name, value): &(String, Option<Vec<u8>>)| {
            named(name) && value.as_ref().is_some_and(|v| v.len() <= MAX_XATTR)
        };
        if !entry.raw_xattrs().all(|attribute| sound(&attribute)) {
            return Err("has an attribute that cannot be one");
        }
        Ok(())
    }
}

/// Returns the total length of all extents, each of which must lie within a chunk.
fn length(extents: &[Extent]) -> Option<u64> {
    extents.iter().try_fold(0u64, |sum, extent| {
        let within = match extent {
            Extent::Data { length, offset, .. } => {
                *length > 0 && offset.checked_add(*length).is_some_and(|end| end <= MAX_CHUNK)
            }
            Extent::Hole(length) => *length > 0,
        };
        sum.checked_add(extent.length()).filter(|_| within)
    })
}

/// Checks that a path is `/`, or absolute and made of plain names.
fn is_plain(path: &[u8]) -> bool {
    let name = |name: &[u8]| !name.is_empty() && name != b"." && name != b"..";
    let names = path.strip_prefix(b"/").filter(|_| path.len() <= MAX_PATH && !path.contains(&0));
    names.is_some_and(|names| names.is_empty() || names.split(|b| *b == b'/').all(name))
}

/// Returns the path of the parent folder, or `None` for the root.
fn parent(path: &[u8]) -> Option<&[u8]> {
    match path.iter().rposition(|b| *b == b'/')? {
        0 if path.len() == 1 => None,
        0 => Some(b"/"),
        end => Some(&path[..end]),
    }
}

fn refused(path: &[u8], why: &str) -> Error {
    let path = String::from_utf8_lossy(path);
    let shown: String = path.chars().take(200).flat_map(char::escape_debug).collect();
    let text = format!("the manifest cannot be believed: {shown} {why}");
    Error::new(&codes::SNAPSHOT_CORRUPT, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::ChunkId;

    fn file(path: &str, size: u64, extents: Vec<Extent>) -> Entry {
        let mut entry = Entry::new(Kind::File, path.as_bytes());
        (entry.size, entry.extents, entry.sha256) = (size, extents, Some(ChunkId([1; 32])));
        entry
    }

    fn link(kind: Kind, path: &str, target: &[u8]) -> Entry {
        let mut entry = Entry::new(kind, path.as_bytes());
        entry.set_target(target);
        entry
    }

    fn folder(path: &str) -> Entry {
        Entry::new(Kind::Dir, path.as_bytes())
    }

    fn plain(path: &str) -> Entry {
        file(path, 0, Vec::new())
    }

    fn check(entries: &[Entry]) -> Result<()> {
        let source = |path: &str| HeaderSource { name: "x".into(), path: path.into(), kind: Kind::Dir };
        let mut checker = Checker::new(&[source("/s"), source("/t/one")])?;
        entries.iter().try_for_each(|entry| checker.entry(entry))
    }

    #[test]
    fn a_walk_of_a_tree_is_believed() {
        check(&[
            folder("/s"),
            folder("/s/a"),
            plain("/s/a/x"),
            link(Kind::Symlink, "/s/a/y", b"/etc"),
            plain("/s/a.b"),
            link(Kind::Hardlink, "/s/z", b"/s/a/x"),
            link(Kind::Hardlink, "/s/zz", b"/s/a/y"),
            plain("/t/one"),
        ])
        .unwrap();
        let mut checker =
            Checker::new(&[HeaderSource { name: "all".into(), path: "/".into(), kind: Kind::Dir }]).unwrap();
        for entry in [folder("/"), folder("/etc"), plain("/etc/x"), plain("/y")] {
            checker.entry(&entry).unwrap();
        }
    }

    #[test]
    fn what_leaves_the_tree_is_refused() {
        for path in
            ["/s/../x", "/s/./x", "/s//x", "/s/x/", "s/x", "", "/", "/etc/x", "/sx", "/s/a\0b", "//s/x"]
        {
            assert!(check(&[folder("/s"), plain(path)]).is_err(), "{path:?}");
        }
        let below = [link(Kind::Symlink, "/s/l", b"/etc"), link(Kind::Fifo, "/s/l", b""), plain("/s/l")];
        for above in below {
            assert!(check(&[folder("/s"), above, plain("/s/l/x")]).is_err());
        }
        assert!(check(&[plain("/s/a")]).is_err(), "its folder is not there");
        assert!(check(&[folder("/s"), plain("/s/b"), plain("/s/a")]).is_err(), "out of order");
        assert!(check(&[folder("/s"), plain("/s/a"), folder("/s/a")]).is_err(), "twice");
        assert!(check(&[folder("/s"), link(Kind::Symlink, "/s/l", b"a\0b")]).is_err());
    }

    #[test]
    fn a_hard_link_leads_to_an_earlier_entry_in_the_tree() {
        for target in ["/etc/passwd", "/s/l/passwd", "/s/../x", "/s/later", "/s/d", "", "/s/hard", "/s"] {
            let entries = [
                folder("/s"),
                folder("/s/d"),
                plain("/s/d/x"),
                link(Kind::Symlink, "/s/f", b"/etc"),
                link(Kind::Hardlink, "/s/hard", target.as_bytes()),
            ];
            assert!(check(&entries).is_err(), "{target}");
        }
    }

    #[test]
    fn sizes_are_those_of_the_extents_and_within_bounds() {
        let data = |length, offset| Extent::Data { chunk: ChunkId([7; 32]), length, offset };
        let whole = MAX_CHUNK;
        check(&[folder("/s"), file("/s/a", u64::from(whole) + 9, vec![data(whole, 0), Extent::Hole(9)])])
            .unwrap();
        for (size, extents) in [
            (10, vec![data(9, 0)]),
            (0, vec![data(0, 0)]),
            (u64::from(whole), vec![data(whole, 1)]),
            (u64::from(u32::MAX), vec![data(u32::MAX, u32::MAX)]),
            (1 << 62, vec![Extent::Hole(1 << 62)]),
            (0, vec![Extent::Hole(u64::MAX), Extent::Hole(1)]),
            (MAX_FILE + 1, vec![Extent::Hole(MAX_FILE + 1)]),
        ] {
            assert!(check(&[folder("/s"), file("/s/a", size, extents)]).is_err(), "{size}");
        }
        let mut sized = folder("/s");
        sized.size = u64::MAX;
        assert!(check(&[sized]).is_err());
    }

    #[test]
    fn attributes_are_such_as_a_system_has() {
        let with = |name: &str, value: &[u8]| {
            let mut entry = plain("/s/a");
            entry.set_xattrs(&vec![(name.to_owned(), value.to_vec())]);
            check(&[folder("/s"), entry])
        };
        with("user.a=b", b"x").unwrap();
        assert!(with("user.\0", b"x").is_err() && with("", b"x").is_err());
        assert!(with(&"a".repeat(256), b"x").is_err() && with("user.a", &vec![0; MAX_XATTR + 1]).is_err());
        let text = r#"{"type":"file","path":"/s/a","sha256":"00","xattrs":[["user.a","?"]]}"#;
        let text = text.replace("\"00\"", &format!("\"{}\"", "00".repeat(32)));
        assert!(check(&[folder("/s"), serde_json::from_str(&text).unwrap()]).is_err());
    }
}
