//! The manifest: one line for every file and folder of a backup.

mod check;
pub(crate) mod order;
mod read;
mod write;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use check::{MAX_EXTENTS, MAX_FILE};
pub(crate) use read::{ManifestReader, fetch, first_line};
pub(crate) use write::ManifestWriter;
pub(crate) use write::describe;

use crate::chunk::ChunkId;
use crate::files::xattrs::Xattrs;
use crate::keys::WriterId;

/// The version of the manifest format that is written.
pub(crate) const VERSION: u32 = 2;
/// The versions that can be read. The header of version 1 has no writer.
const KNOWN: std::ops::RangeInclusive<u32> = 1..=2;
/// The maximum number of extents in a line.
pub(crate) const EXTENTS_PER_LINE: usize = 1024;

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The version of the format.
    pub(crate) manifest: u32,
    /// The backup.
    pub(crate) id: String,
    /// The repository.
    pub(crate) repository: String,
    /// The writer that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) writer: Option<WriterId>,
    /// The sources of the backup.
    pub(crate) sources: Vec<HeaderSource>,
}

/// A source in the header.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HeaderSource {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
}

/// The type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    File,
    Dir,
    Symlink,
    Hardlink,
    Fifo,
    Block,
    Char,
    /// The last line.
    End,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Dir => "dir",
            Self::Symlink => "symlink",
            Self::Hardlink => "hardlink",
            Self::Fifo => "fifo",
            Self::Block => "block",
            Self::Char => "char",
            Self::End => "end",
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path64: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) mode: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) uid: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) gid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) mtime: (i64, u32),
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target64: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) rdev: (u32, u32),
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few_xattrs")]
    xattrs: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<ChunkId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few_extents")]
    pub(crate) extents: Vec<Extent>,
    /// The number of following lines with further extents.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) more: u32,
    /// In the last line: the number of entries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) entries: u64,
}

/// A line of further extents.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MoreExtents {
    #[serde(deserialize_with = "few_extents")]
    pub(crate) extents: Vec<Extent>,
}

impl Entry {
    pub(crate) fn new(kind: Kind, path: &[u8]) -> Self {
        let (path, path64) = encode(path);
        Self {
            kind,
            path,
            path64,
            mode: 0,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            mtime: (0, 0),
            size: 0,
            target: None,
            target64: None,
            rdev: (0, 0),
            xattrs: Vec::new(),
            sha256: None,
            extents: Vec::new(),
            more: 0,
            entries: 0,
        }
    }

    pub(crate) fn end(entries: u64) -> Self {
        Self { path: None, entries, ..Self::new(Kind::End, b"") }
    }

    /// Returns the absolute path as bytes.
    pub(crate) fn path_bytes(&self) -> Cow<'_, [u8]> {
        decode(self.path.as_deref(), self.path64.as_deref())
    }

    pub(crate) fn path(&self) -> PathBuf {
        OsStr::from_bytes(&self.path_bytes()).into()
    }

    pub(crate) fn set_path(&mut self, path: &[u8]) {
        (self.path, self.path64) = encode(path);
    }

    /// Returns the target of a symbolic link, or the absolute path of the first name of a hard link.
    pub(crate) fn target(&self) -> Vec<u8> {
        decode(self.target.as_deref(), self.target64.as_deref()).into_owned()
    }

    pub(crate) fn target_path(&self) -> PathBuf {
        std::ffi::OsString::from_vec(self.target()).into()
    }

    pub(crate) fn set_target(&mut self, target: &[u8]) {
        (self.target, self.target64) = encode(target);
    }

    pub(crate) fn xattrs(&self) -> Xattrs {
        let decode =
            |(name, value): &(String, String)| (name.clone(), BASE64.decode(value).unwrap_or_default());
        self.xattrs.iter().map(decode).collect()
    }

    /// Returns the attributes, with `None` for a value that is not base64.
    fn raw_xattrs(&self) -> impl Iterator<Item = (String, Option<Vec<u8>>)> {
        self.xattrs.iter().map(|(name, value)| (name.clone(), BASE64.decode(value).ok()))
    }

    pub(crate) fn set_xattrs(&mut self, xattrs: &Xattrs) {
        self.xattrs = xattrs.iter().map(|(name, value)| (name.clone(), BASE64.encode(value))).collect();
    }

    pub(crate) fn take_xattrs_of(&mut self, other: &Self) {
        self.xattrs.clone_from(&other.xattrs);
    }
}

fn few_extents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Extent>, D::Error> {
    at_most(EXTENTS_PER_LINE, deserializer)
}

fn few_xattrs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    at_most(check::MAX_XATTRS, deserializer)
}

/// Parses a list of at most `most` elements: a parsed line takes many times its length in memory.
fn at_most<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    most: usize,
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct Elements<T>(usize, std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a list of at most {}", self.0)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(element) = seq.next_element()? {
                if list.len() == self.0 {
                    return Err(serde::de::Error::invalid_length(self.0 + 1, &self));
                }
                list.push(element);
            }
            Ok(list)
        }
    }
    deserializer.deserialize_seq(Elements(most, std::marker::PhantomData))
}

/// Returns the bytes as text if they are UTF-8, else as base64.
fn encode(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64.encode(bytes))),
    }
}

fn decode<'a>(text: Option<&'a str>, base64: Option<&str>) -> Cow<'a, [u8]> {
    match (text, base64) {
        (Some(text), _) => Cow::Borrowed(text.as_bytes()),
        (None, Some(encoded)) => Cow::Owned(BASE64.decode(encoded).unwrap_or_default()),
        (None, None) => Cow::Borrowed(b""),
    }
}

/// A stretch of a file: `[chunk, length]` from the start of a chunk, `[chunk, length, offset]` from an offset
/// in it, `[null, length]` for a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Data { chunk: ChunkId, length: u32, offset: u32 },
    Hole(u64),
}

impl Extent {
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Data { length, .. } => u64::from(*length),
            Self::Hole(length) => *length,
        }
    }
}

impl Serialize for Extent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Hole(length) => (None::<ChunkId>, length).serialize(serializer),
            Self::Data { chunk, length, offset: 0 } => (chunk, length).serialize(serializer),
            Self::Data { chunk, length, offset } => {
                let mut tuple = serializer.serialize_tuple(3)?;
                tuple.serialize_element(chunk)?;
                tuple.serialize_element(length)?;
                tuple.serialize_element(offset)?;
                tuple.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Extent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Extent;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("[chunk, length, offset]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Extent, A::Error> {
                let short = || serde::de::Error::custom("an extent is too short");
                let chunk: Option<ChunkId> = seq.next_element()?.ok_or_else(short)?;
                let length: u64 = seq.next_element()?.ok_or_else(short)?;
                let offset: u32 = seq.next_element()?.unwrap_or(0);
                let Some(chunk) = chunk else { return Ok(Extent::Hole(length)) };
                let length = u32::try_from(length).map_err(serde::de::Error::custom)?;
                Ok(Extent::Data { chunk, length, offset })
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}

/// Returns the mode to restore: the set-user-id and set-group-id bits are kept only if the file has the right
/// user and group.
pub(crate) fn allowed_mode(entry: &Entry, has_user: bool, has_group: bool) -> u32 {
    let mut mode = entry.mode;
    if entry.kind != Kind::Dir {
        mode &= if has_user { !0 } else { !0o4000 };
        // Without the group's execute bit, the set-group-id bit has another meaning.
        mode &= if has_group || mode & 0o010 == 0 { !0 } else { !0o2000 };
    }
    mode
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_names_of_any_bytes_and_every_kind_of_extent() {
        let mut entry = Entry::new(Kind::File, b"/a/\xff\xfe \n\"x");
        entry.set_target(b"plain");
        entry.set_xattrs(&vec![("user.a".to_owned(), vec![0, 255])]);
        entry.extents = vec![
            Extent::Hole(1 << 40),
            Extent::Data { chunk: ChunkId([7; 32]), length: 5, offset: 0 },
            Extent::Data { chunk: ChunkId([8; 32]), length: 5, offset: 9 },
        ];
        let line = serde_json::to_string(&entry).unwrap();
        assert!(!line.contains('\n'));
        let back: Entry = serde_json::from_str(&line).unwrap();
        assert_eq!(back, entry);
        assert_eq!(&*back.path_bytes(), b"/a/\xff\xfe \n\"x");
        assert_eq!(back.target(), b"plain");
        assert_eq!(back.xattrs(), [("user.a".to_owned(), vec![0, 255])]);
    }
}
