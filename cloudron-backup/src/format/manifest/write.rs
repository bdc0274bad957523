//! Writes a manifest as a stream.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use cloudron_core::{Error, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::check::Checker;
use super::{EXTENTS_PER_LINE, Entry, Extent, Header, MoreExtents};
use crate::encrypt::{Encryptor, SealingWriter};
use crate::format::summary::ManifestRef;

/// A manifest being written to a temporary file, encrypted from the first byte.
pub(crate) struct ManifestWriter {
    file: NamedTempFile,
    lines: BufWriter<zstd::stream::write::Encoder<'static, Box<dyn SealingWriter>>>,
    /// Refuses entries that readers would refuse.
    check: Checker,
    entries: u64,
}

impl ManifestWriter {
    /// Begins a manifest in a temporary file in `folder`.
    pub(crate) fn new(folder: &Path, key: &dyn Encryptor, header: &Header) -> Result<Self> {
        let named = |e| Error::io(folder, e);
        let file = crate::files::temporary::named(folder).map_err(named)?;
        let output: File = file.as_file().try_clone().map_err(named)?;
        let sealed = key.seal(Box::new(BufWriter::with_capacity(256 << 10, output)))?;
        let lines = zstd::stream::write::Encoder::new(sealed, 3).map_err(named)?;
        let mut this = Self {
            file,
            lines: BufWriter::with_capacity(64 << 10, lines),
            check: Checker::new(&header.sources)?,
            entries: 0,
        };
        this.line(header)?;
        Ok(this)
    }

    fn line(&mut self, line: &impl Serialize) -> Result<()> {
        let written = serde_json::to_writer(&mut self.lines, line).map_err(std::io::Error::from);
        written.and_then(|()| self.lines.write_all(b"\n")).map_err(|e| Error::io(self.file.path(), e))
    }

    /// Adds an entry.
    pub(crate) fn entry(&mut self, entry: &mut Entry) -> Result<()> {
        self.check.entry(entry)?;
        self.entries += 1;
        if entry.extents.len() <= EXTENTS_PER_LINE {
            return self.line(entry);
        }
        let rest: Vec<Extent> = entry.extents.split_off(EXTENTS_PER_LINE);
        entry.more = u32::try_from(rest.len().div_ceil(EXTENTS_PER_LINE)).unwrap_or(u32::MAX);
        self.line(entry)?;
        for extents in rest.chunks(EXTENTS_PER_LINE) {
            self.line(&MoreExtents { extents: extents.to_vec() })?;
        }
        // The caller continues with the original entry.
        entry.extents.extend(rest);
        entry.more = 0;
        Ok(())
    }

    /// Ends the manifest. Returns the file.
    pub(crate) fn finish(mut self) -> Result<NamedTempFile> {
        self.line(&Entry::end(self.entries))?;
        let path = self.file.path().to_owned();
        let finished = self.lines.into_inner().map_err(|e| e.into_error()).and_then(|l| l.finish());
        finished.and_then(SealingWriter::finish).map_err(|e| Error::io(&path, e))?;
        Ok(self.file)
    }
}

pub(crate) fn describe(manifest: &Path) -> Result<ManifestRef> {
    let failed = |e| Error::io(manifest, e);
    let mut file = std::fs::File::open(manifest).map_err(failed)?;
    let mut hash = Sha256::new();
    let size = std::io::copy(&mut file, &mut hash).map_err(failed)?;
    Ok(ManifestRef { size, sha256: hex::encode(hash.finalize()) })
}
