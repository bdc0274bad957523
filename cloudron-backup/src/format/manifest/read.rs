//! Reads a manifest as a stream.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};

use cloudron_core::{Error, Result};
use sha2::{Digest, Sha256};

use super::check::{Checker, MAX_EXTENTS};
use super::{EXTENTS_PER_LINE, Entry, Header, KNOWN, Kind, MoreExtents};
use crate::codes;
use crate::encrypt::Decryptor;
use crate::format::summary::{ManifestRef, Summary};
use crate::runtime::Stop;
use crate::store::blocking::Blocking;

/// The maximum length of a line, in bytes.
const MAX_LINE: u64 = 64 << 20;
/// The number of bytes fetched per request.
const PART: u64 = 4 << 20;

fn corrupt(text: impl Into<String>) -> Error {
    Error::new(&codes::SNAPSHOT_CORRUPT, text)
}

/// Fetches a manifest, still encrypted, into a temporary file, and checks it against its summary.
pub(crate) fn fetch(store: &Blocking, key: &str, expected: &ManifestRef, stop: &Stop) -> Result<File> {
    let failed = |e| Error::io(std::env::temp_dir(), e);
    let mut file = tempfile::tempfile().map_err(failed)?;
    let (mut hash, mut at) = (Sha256::new(), 0);
    // One more byte than expected is requested, to detect appended data.
    let end = expected.size.saturating_add(1);
    while at < expected.size {
        stop.check()?;
        let part = match store.get_range(key, at..at.saturating_add(PART).min(end)) {
            Err(e) if e.is(&codes::OBJECT_MISSING) => return Err(corrupt(format!("{key} is missing"))),
            part => part?,
        };
        if part.is_empty() {
            return Err(corrupt(format!("{key} is cut at {at} bytes")));
        }
        hash.update(&part);
        file.write_all(&part).map_err(failed)?;
        at += part.len() as u64;
    }
    if at != expected.size {
        return Err(corrupt(format!("{key} has more than {} bytes", expected.size)));
    }
    if hex::encode(hash.finalize()) != expected.sha256 {
        return Err(corrupt(format!("{key} does not have the hash that its summary says")));
    }
    Ok(file)
}

/// The maximum number of bytes read for the first line of a manifest.
const HEAD: u64 = 1 << 20;

/// Reads the first line of a manifest that no summary names. Anybody can encrypt one to the repository, so no
/// more is read than that line may take. Returns `None` for an object that is no manifest.
///
/// # Errors
/// Errors of the store.
pub(crate) fn first_line(store: &Blocking, key: &str, open: &dyn Decryptor) -> Result<Option<Header>> {
    let start = match store.get_range(key, 0..HEAD) {
        Err(e) if e.is(&codes::OBJECT_MISSING) => return Ok(None),
        other => other?,
    };
    let failed = |e| Error::io(std::env::temp_dir(), e);
    let mut file = tempfile::tempfile().map_err(failed)?;
    file.write_all(&start).map_err(failed)?;
    match ManifestReader::new(&file, open).map(|reader| reader.header().clone()) {
        Ok(header) => Ok(Some(header)),
        Err(e) if e.is(&codes::SNAPSHOT_CORRUPT) || e.is(&codes::REPOSITORY_NEWER) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Reads the lines of a manifest.
pub(crate) struct ManifestReader<'a> {
    lines: BufReader<zstd::stream::read::Decoder<'static, BufReader<Box<dyn Read + Send + 'a>>>>,
    header: Header,
    check: Checker,
    entries: u64,
    line: Vec<u8>,
    ended: bool,
}

impl<'a> ManifestReader<'a> {
    /// Reads from the start of a file returned by [`fetch`].
    pub(crate) fn new(file: &'a File, key: &dyn Decryptor) -> Result<Self> {
        let mut file = file;
        file.seek(SeekFrom::Start(0)).map_err(|e| Error::io("(manifest)", e))?;
        let input = BufReader::with_capacity(256 << 10, file);
        let opened = key.open(Box::new(input)).map_err(|e| corrupt(format!("the manifest: {e}")))?;
        let lines = zstd::stream::read::Decoder::new(opened)
            .map_err(|e| corrupt(format!("the manifest does not decompress: {e}")))?;
        let header = Header {
            manifest: 0,
            id: String::new(),
            repository: String::new(),
            writer: None,
            sources: Vec::new(),
        };
        let mut this = Self {
            lines: BufReader::with_capacity(256 << 10, lines),
            header,
            check: Checker::new(&[])?,
            entries: 0,
            line: Vec::new(),
            ended: false,
        };
        this.next_line()?;
        this.header = this.parse()?;
        if !KNOWN.contains(&this.header.manifest) {
            let text =
                format!("the manifest has format {}, which this program does not know", this.header.manifest);
            return Err(Error::new(&codes::REPOSITORY_NEWER, text));
        }
        this.check = Checker::new(&this.header.sources)?;
        Ok(this)
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Checks that the manifest has the sources of its summary: a writer's certificate limits the sources in
    /// the summary.
    ///
    /// # Errors
    /// `snapshot-corrupt`.
    pub(crate) fn check_sources(&self, summary: &Summary) -> Result<()> {
        let named = summary.sources.iter().map(|s| (s.name.as_str(), Some(s.path.as_str())));
        if self.header.sources.iter().map(|s| (s.name.as_str(), s.path.to_str())).eq(named) {
            return Ok(());
        }
        Err(corrupt(format!("the manifest of {} holds other folders than its summary says", summary.id)))
    }

    fn next_line(&mut self) -> Result<()> {
        self.line.clear();
        let read = (&mut self.lines).take(MAX_LINE).read_until(b'\n', &mut self.line);
        read.map_err(|e| corrupt(format!("the manifest is damaged: {e}")))?;
        match self.line.pop() {
            Some(b'\n') => Ok(()),
            _ => Err(corrupt("the manifest is cut")),
        }
    }

    fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.line)
            .map_err(|e| corrupt(format!("a line of the manifest is damaged: {e}")))
    }

    /// Returns the next entry, with all its extents, or `None` at the proper end.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        if self.ended {
            return Ok(None);
        }
        self.next_line()?;
        let mut entry: Entry = self.parse()?;
        if entry.kind == Kind::End {
            self.ended = true;
            if entry.entries != self.entries {
                return Err(corrupt("the manifest does not have as many entries as it says"));
            }
            return Ok(None);
        }
        self.entries += 1;
        let more = std::mem::take(&mut entry.more) as usize;
        if more > MAX_EXTENTS / EXTENTS_PER_LINE {
            return Err(corrupt("an entry of the manifest has more extents than a file can have"));
        }
        for _ in 0..more {
            self.next_line()?;
            entry.extents.extend(self.parse::<MoreExtents>()?.extents);
        }
        self.check.entry(&entry)?;
        Ok(Some(entry))
    }
}
