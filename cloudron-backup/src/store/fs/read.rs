//! Opens objects safely, even if another kind of file was put in their place.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Reads a whole object.
pub(super) fn whole(file: &Path) -> io::Result<Vec<u8>> {
    let mut opened = open(file)?;
    let size = usize::try_from(opened.metadata()?.len()).unwrap_or(0);
    let mut content = Vec::with_capacity(size);
    opened.read_to_end(&mut content)?;
    Ok(content)
}

/// Reads a part of an object, up to its end.
pub(super) fn range(file: &Path, range: Range<u64>) -> io::Result<Vec<u8>> {
    let mut file = open(file)?;
    let there = file.metadata()?.len().min(range.end).saturating_sub(range.start);
    // Allocated once, with one more byte, so that the end is seen without growing.
    let mut content = Vec::with_capacity(usize::try_from(there).unwrap_or(0) + 1);
    file.seek(SeekFrom::Start(range.start))?;
    file.take(range.end.saturating_sub(range.start)).read_to_end(&mut content)?;
    Ok(content)
}

/// Opens an object, which must be a regular file: opening a pipe would block, and a device never ends.
fn open(file: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(file)?;
    if opened.metadata()?.is_file() {
        return Ok(opened);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a file"))
}
