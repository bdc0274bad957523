//! Reads files with holes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use rustix::io::Errno;

/// The minimum length of a hole, in bytes. A shorter one is read as zeros, which costs less.
pub(crate) const MIN_HOLE: u64 = 64 << 10;

/// A stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stretch {
    /// Content, with its length in bytes.
    Data(u64),
    /// A hole that reads as zeros, with its length in bytes.
    Hole(u64),
}

/// Reads a file from its start to `size` or its end, stretch by stretch.
pub(crate) struct SparseReader<'a> {
    file: &'a File,
    position: u64,
    /// The end of the data that `position` is in.
    data_end: u64,
    size: u64,
    sparse: bool,
}

/// The result of one read.
pub(crate) enum Step {
    /// The number of bytes of content in the buffer.
    Data(usize),
    /// A hole of this length.
    Hole(u64),
    /// The end of the file.
    End,
}

impl<'a> SparseReader<'a> {
    pub(crate) fn new(file: &'a File, size: u64, sparse: bool) -> Self {
        Self { file, position: 0, data_end: if sparse { 0 } else { size }, size, sparse }
    }

    pub(crate) fn next(&mut self, buffer: &mut [u8]) -> std::io::Result<Step> {
        if self.position >= self.size {
            return Ok(Step::End);
        }
        if self.sparse && self.position >= self.data_end {
            let hole = match self.find_data() {
                // The file system does not report holes: they are read as zeros.
                Err(e) if !is_io(&e) => {
                    (self.sparse, self.data_end) = (false, self.size);
                    (&mut &*self.file).seek(SeekFrom::Start(self.position))?;
                    0
                }
                found => found?,
            };
            if hole > 0 {
                self.position += hole;
                return Ok(Step::Hole(hole));
            }
        }
        let wanted = buffer.len().min(usize::try_from(self.data_end - self.position).unwrap_or(usize::MAX));
        let got = self.file.read(&mut buffer[..wanted])?;
        self.position += got as u64;
        // The file was truncated: the rest no longer exists.
        Ok(if got == 0 { Step::End } else { Step::Data(got) })
    }

    /// Finds the next data and positions the file there. Returns the length of the hole before it.
    fn find_data(&mut self) -> std::io::Result<u64> {
        let seek = |to| match rustix::fs::seek(self.file, to) {
            Ok(at) => Ok(at.min(self.size)),
            // There is none after this point.
            Err(Errno::NXIO) => Ok(self.size),
            Err(e) => Err(std::io::Error::from(e)),
        };
        let mut data = seek(rustix::fs::SeekFrom::Data(self.position))?;
        if data - self.position < MIN_HOLE {
            data = self.position;
        }
        // Short holes are joined with the data on both sides.
        let mut end = data;
        while end < self.size {
            end = seek(rustix::fs::SeekFrom::Hole(end))?;
            let next = seek(rustix::fs::SeekFrom::Data(end))?;
            if next - end >= MIN_HOLE || next >= self.size {
                break;
            }
            end = next;
        }
        // A short hole at the very end is data as well.
        if self.size - end < MIN_HOLE {
            end = self.size;
        }
        self.data_end = if data < self.size && end == data { self.size } else { end };
        (&mut &*self.file).seek(SeekFrom::Start(data))?;
        Ok(data - self.position)
    }
}

/// Checks whether the disk failed, rather than that a call is not supported.
fn is_io(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn stretches(file: &File, size: u64) -> (Vec<Stretch>, Vec<u8>) {
        let mut reader = SparseReader::new(file, size, true);
        let (mut found, mut content, mut buffer) = (Vec::new(), Vec::new(), vec![0; 10_000]);
        loop {
            match reader.next(&mut buffer).unwrap() {
                Step::End => return (found, content),
                Step::Hole(n) => {
                    found.push(Stretch::Hole(n));
                    content.resize(content.len() + n as usize, 0);
                }
                Step::Data(n) => {
                    content.extend_from_slice(&buffer[..n]);
                    match found.last_mut() {
                        Some(Stretch::Data(length)) => *length += n as u64,
                        _ => found.push(Stretch::Data(n as u64)),
                    }
                }
            }
        }
    }

    #[test]
    fn the_stretches_of_a_file_make_up_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        let mut file = File::create(&path).unwrap();
        for (at, text) in [(0u64, "start"), (3 << 20, "middle"), ((3 << 20) + 20_000, "near")] {
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
        file.set_len(8 << 20).unwrap();
        let (found, content) = stretches(&File::open(&path).unwrap(), 8 << 20);
        assert_eq!(content, std::fs::read(&path).unwrap());
        assert!(found.iter().filter(|s| matches!(s, Stretch::Hole(_))).count() <= 2, "{found:?}");
    }

    #[test]
    fn a_file_that_is_one_hole_has_no_data() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hole");
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let (found, content) = stretches(&File::open(&path).unwrap(), 1 << 20);
        assert_eq!(content.len(), 1 << 20);
        assert!(found == [Stretch::Hole(1 << 20)] || found == [Stretch::Data(1 << 20)], "{found:?}");
    }
}
