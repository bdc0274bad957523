//! Files with holes: the old format of GNU tar, and those of pax.

use cloudron_core::Result;

use super::header::{BLOCK, number};
use super::pax::{Records, parse};
use super::{Bytes, Reader, corrupt};

/// The maximum number of stretches of data in a file: a map of these takes 64 MiB.
const MAX_STRETCHES: usize = 4 << 20;

/// A stretch of data in a file with holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// The data stretches of a file with holes.
pub(super) struct Map {
    pub(super) data: Vec<Data>,
    /// The size of the file, in bytes.
    pub(super) size: u64,
}

/// Checks that a map is in ascending order, has as much data as is stored, and ends with the file.
pub(super) fn check(map: &[Data], stored: u64, size: u64) -> std::result::Result<(), &'static str> {
    let (mut at, mut data) = (0u64, 0u64);
    for Data { offset, length } in map {
        let end = offset.checked_add(*length).filter(|end| *offset >= at && *end <= size);
        at = end.ok_or("the map of a file with holes makes no sense")?;
        data += length;
    }
    if data == stored { Ok(()) } else { Err("the map of a file with holes is not that of its content") }
}

impl<B: Bytes> Reader<B> {
    /// Reads the map in the header and in following blocks.
    pub(super) fn old_gnu_sparse(&mut self, header: &[u8; BLOCK]) -> Result<Map> {
        let mut map = Vec::new();
        let size = number(&header[483..495]).ok().and_then(|n| u64::try_from(n).ok());
        let size = size.ok_or_else(|| corrupt("the size of a file with holes cannot be read", self.at))?;
        self.take_pairs(&mut map, &header[386..482])?;
        let mut more = header[482] != 0;
        while more {
            let mut block = [0; BLOCK];
            self.fill(&mut block)?;
            self.take_pairs(&mut map, &block[..504])?;
            more = block[504] != 0;
        }
        Ok(Map { data: map, size })
    }

    fn take_pairs(&self, map: &mut Vec<Data>, pairs: &[u8]) -> Result<()> {
        for pair in pairs.chunks_exact(24).take_while(|p| p[0] != 0) {
            let read = |field| number(field).ok().and_then(|n| u64::try_from(n).ok());
            let (Some(offset), Some(length)) = (read(&pair[..12]), read(&pair[12..])) else {
                return Err(corrupt("the map of a file with holes cannot be read", self.at));
            };
            map.push(Data { offset, length });
        }
        self.check_length(map)
    }

    fn check_length(&self, map: &[Data]) -> Result<()> {
        if map.len() <= MAX_STRETCHES {
            return Ok(());
        }
        Err(corrupt("a file has more holes than any file has", self.at))
    }

    /// Reads the map in the records, or before the content: decimal lines, padded to a block.
    pub(super) fn pax_sparse(&mut self, records: &mut Records) -> Result<Map> {
        let sparse = records.sparse.take().unwrap_or_default();
        let size = sparse.size.ok_or_else(|| corrupt("a file with holes has no size", self.at))?;
        if !sparse.in_content {
            return Ok(Map { data: sparse.map, size });
        }
        let mut lines = Lines::default();
        let count = self.number_line(&mut lines)?;
        let mut map = Vec::new();
        for _ in 0..count {
            let (offset, length) = (self.number_line(&mut lines)?, self.number_line(&mut lines)?);
            map.push(Data { offset, length });
            self.check_length(&map)?;
        }
        Ok(Map { data: map, size })
    }

    fn number_line(&mut self, lines: &mut Lines) -> Result<u64> {
        let mut digits = Vec::new();
        loop {
            if lines.at == lines.block.len() {
                self.map_block(lines)?;
            }
            let byte = lines.block[lines.at];
            lines.at += 1;
            match byte {
                b'\n' => return parse(&digits).map_err(|e| corrupt(e, self.at)),
                _ if digits.len() > 20 => return Err(corrupt("a map has no number", self.at)),
                _ => digits.push(byte),
            }
        }
    }

    /// Reads a further block of the map, which is a part of the stored content.
    fn map_block(&mut self, lines: &mut Lines) -> Result<()> {
        if self.left < BLOCK as u64 {
            return Err(corrupt("the map of a file with holes is cut", self.at));
        }
        lines.block.resize(BLOCK, 0);
        lines.at = 0;
        self.fill(&mut lines.block)?;
        self.left -= BLOCK as u64;
        Ok(())
    }
}

#[derive(Default)]
struct Lines {
    block: Vec<u8>,
    at: usize,
}
