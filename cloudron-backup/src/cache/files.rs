//! The file cache: a list of the files as of the last backup, so that unchanged files are not read again.
//!
//! It is written and read in the order of the walk, so that memory use does not depend on the number of
//! files. Each set of sources has its own list, so that two alternating jobs do not overwrite each other's.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use cloudron_core::{Error, Result};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::files::meta::Meta;
use crate::format::manifest::order::in_order;
use crate::format::manifest::{Entry, HeaderSource};

const VERSION: u32 = 2;
const NAME: &str = "files";
/// The maximum number of listings kept, one per set of sources.
const LISTINGS: usize = 16;
const TOTALS: &str = "totals";

#[derive(PartialEq, Serialize, Deserialize)]
struct Head {
    cache: u32,
    repository: String,
}

/// A file at the last backup: its stamp for detecting changes, and its line in the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CachedFile {
    #[serde(rename = "c")]
    ctime: (i64, u32),
    #[serde(rename = "i")]
    ino: u64,
    #[serde(rename = "e")]
    pub(crate) entry: Entry,
    /// The hashes of its pieces, for a large file.
    #[serde(rename = "p", default)]
    pub(crate) pieces: Option<String>,
}

impl CachedFile {
    /// Checks whether the file is unchanged. Any change of a file or of its attributes updates ctime.
    pub(crate) fn is_current(&self, meta: &Meta) -> bool {
        (self.ctime, self.ino, self.entry.mtime, self.entry.size)
            == (meta.ctime, meta.ino, meta.mtime, meta.size)
    }
}

/// The number of hash digits before each line. The content of the listing goes into the next manifest, so
/// damage must be detected.
const MARK: usize = 16;

fn mark(text: &[u8]) -> [u8; MARK] {
    let mut mark = [0; MARK];
    let hash = blake3::hash(text);
    hex::encode_to_slice(&hash.as_bytes()[..MARK / 2], &mut mark).expect("two digits for each byte");
    mark
}

/// Parses the rest of a line after checking its hash.
fn parse<T: serde::de::DeserializeOwned>(line: &[u8]) -> Option<T> {
    let (found, text) = line.strip_suffix(b"\n")?.split_first_chunk::<MARK>()?;
    (*found == mark(text)).then(|| serde_json::from_slice(text).ok())?
}

/// The size of the last backup, for the progress bar of the next one.
#[derive(Serialize, Deserialize)]
struct Totals {
    sources: Vec<PathBuf>,
    bytes: u64,
}

fn paths(sources: &[HeaderSource]) -> Vec<PathBuf> {
    sources.iter().map(|s| s.path.clone()).collect()
}

/// Returns the file name of the listing for these sources.
fn name(sources: &[HeaderSource]) -> String {
    let mut hash = blake3::Hasher::new();
    for source in sources {
        hash.update(crate::files::path_bytes(&source.path)).update(b"\0");
    }
    format!("{NAME}-{}", &hash.finalize().to_hex()[..16])
}

/// Checks whether a file in a cache folder is a listing.
pub(crate) fn is_listing(name: &str) -> bool {
    name == NAME || name.strip_prefix(NAME).is_some_and(|rest| rest.starts_with('-'))
}

/// Returns the listings in a folder, newest first.
fn listings(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let named = entries.filter(|e| e.file_name().to_str().is_some_and(is_listing)).map(|e| e.path());
    let dated = |path: PathBuf| Some((std::fs::metadata(&path).and_then(|m| m.modified()).ok()?, path));
    let mut found: Vec<_> = named.filter_map(dated).collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}

/// Returns the size of these sources at the last backup, in bytes, if known.
pub(crate) fn expected(dir: &Path, sources: &[HeaderSource]) -> Option<u64> {
    let totals: Totals = serde_json::from_slice(&std::fs::read(dir.join(TOTALS)).ok()?).ok()?;
    (totals.sources == paths(sources)).then_some(totals.bytes)
}

/// Saves the current size of the sources. Only the progress bar depends on it.
pub(crate) fn expect(dir: &Path, sources: &[HeaderSource], bytes: u64) {
    let totals = Totals { sources: paths(sources), bytes };
    let _ = serde_json::to_vec(&totals).map(|text| crate::files::private_write(&dir.join(TOTALS), &text));
}

/// Reads the listing alongside the walk.
pub(crate) struct CacheReader {
    lines: BufReader<File>,
    head: Option<CachedFile>,
}

impl CacheReader {
    /// Opens the listing of these sources, or else the newest one: its sources may share folders with these.
    pub(crate) fn open(dir: &Path, repository: &str, sources: &[HeaderSource]) -> Option<Self> {
        let own = dir.join(name(sources));
        std::iter::once(own).chain(listings(dir)).find_map(|path| Self::read(&path, repository))
    }

    fn read(path: &Path, repository: &str) -> Option<Self> {
        let mut lines = BufReader::with_capacity(256 << 10, File::open(path).ok()?);
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line).ok()?;
        let head: Head = parse(&line)?;
        let expected = Head { cache: VERSION, repository: repository.to_owned() };
        let mut this = (head == expected).then_some(Self { lines, head: None })?;
        this.advance();
        Some(this)
    }

    fn advance(&mut self) {
        let mut line = Vec::new();
        // A damaged line ends the use of the listing: all files after it are read.
        self.head = match self.lines.read_until(b'\n', &mut line) {
            Ok(n) if n > 0 => parse(&line),
            _ => None,
        };
    }

    /// Finds the file of this path. Paths must be requested in the order of the walk.
    pub(crate) fn find(&mut self, path: &[u8]) -> Option<CachedFile> {
        loop {
            match in_order(&self.head.as_ref()?.entry.path_bytes(), path) {
                std::cmp::Ordering::Less => self.advance(),
                std::cmp::Ordering::Greater => return None,
                std::cmp::Ordering::Equal => {
                    let found = self.head.take();
                    self.advance();
                    return found;
                }
            }
        }
    }
}

/// Writes the listing for the next backup.
pub(crate) struct CacheWriter {
    file: BufWriter<NamedTempFile>,
    target: PathBuf,
}

#[derive(Serialize)]
struct Line<'a> {
    c: (i64, u32),
    i: u64,
    e: &'a Entry,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: &'a Option<String>,
}

impl CacheWriter {
    pub(crate) fn new(dir: &Path, repository: &str, sources: &[HeaderSource]) -> Result<Self> {
        // Temporary files are created with mode 0600, and the listing keeps it.
        let file = crate::files::temporary::named(dir).map_err(|e| Error::io(dir, e))?;
        let mut this =
            Self { file: BufWriter::with_capacity(256 << 10, file), target: dir.join(name(sources)) };
        this.line(&Head { cache: VERSION, repository: repository.to_owned() })?;
        Ok(this)
    }

    fn line(&mut self, line: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec(line).map_err(|e| Error::io(&self.target, e.into()))?;
        let parts = [&mark(&text)[..], &text, b"\n"];
        parts.iter().try_for_each(|part| self.file.write_all(part)).map_err(|e| Error::io(&self.target, e))
    }

    pub(crate) fn add(&mut self, stamp: &Stamp, entry: &Entry) -> Result<()> {
        self.line(&Line { c: stamp.ctime, i: stamp.ino, e: entry, p: &stamp.pieces })
    }

    /// Replaces the old listing.
    pub(crate) fn publish(self) -> Result<()> {
        let file = self.file.into_inner().map_err(|e| Error::io(&self.target, e.into_error()))?;
        file.persist(&self.target).map_err(|e| Error::io(&self.target, e.error))?;
        for old in listings(self.target.parent().unwrap_or(Path::new("/"))).into_iter().skip(LISTINGS) {
            let _ = std::fs::remove_file(old);
        }
        Ok(())
    }
}

/// The values that the listing keeps of a file besides its manifest line.
#[derive(Debug)]
pub(crate) struct Stamp {
    pub(crate) ctime: (i64, u32),
    pub(crate) ino: u64,
    pub(crate) pieces: Option<String>,
}

/// Creates a listing for tests.
#[cfg(test)]
pub(crate) fn listing(repository: &str, paths: &[&[u8]]) -> Vec<u8> {
    let line = |text: Vec<u8>| [&mark(&text)[..], &text, b"\n"].concat();
    let head = Head { cache: VERSION, repository: repository.to_owned() };
    let mut all = line(serde_json::to_vec(&head).unwrap());
    for path in paths {
        let entry = Entry::new(crate::format::manifest::Kind::File, path);
        all.extend(line(serde_json::to_vec(&Line { c: (1, 2), i: 3, e: &entry, p: &None }).unwrap()));
    }
    all
}

/// Looks paths up in a listing of unchanged files.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_listing(dir: &Path, repository: &str, paths: &[&[u8]]) {
    if let Some(mut listing) = CacheReader::open(dir, repository, &[]) {
        paths.iter().for_each(|path| drop(listing.find(path)));
    }
}
