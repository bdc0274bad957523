//! Reads on a separate thread, so that the backup can run in parallel and does not hang with the reader.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use cloudron_core::{Error, Result};

use crate::runtime::Stop;

/// The number of bytes per read.
const BLOCK: usize = 256 << 10;
/// The number of blocks in the queue. With their length this bounds memory.
const WAITING: usize = 4;
/// The interval at which cancellation is checked.
const LOOK: Duration = Duration::from_millis(100);

/// A reader that reads ahead. Its thread ends with the stream, or at the next block after this is dropped.
pub(crate) struct ReadAhead {
    blocks: Receiver<std::io::Result<Vec<u8>>>,
    block: Vec<u8>,
    at: usize,
    ended: bool,
}

impl ReadAhead {
    /// Starts to read.
    pub(crate) fn new(mut reader: Box<dyn Read + Send>) -> Result<Self> {
        let (queue, blocks) = sync_channel(WAITING);
        let work = move || {
            loop {
                let block = read_block(&mut reader);
                let last = !block.as_ref().is_ok_and(|b| !b.is_empty());
                if queue.send(block).is_err() || last {
                    return;
                }
            }
        };
        // Not one of the runtime's threads: a read that never returns would keep the runtime from ending.
        let spawned = std::thread::Builder::new().name("read-ahead".to_owned()).spawn(work);
        spawned.map_err(|e| Error::io("(thread)", e))?;
        Ok(Self { blocks, block: Vec::new(), at: 0, ended: false })
    }

    /// Returns the next bytes, at most `most`; empty at the end. The outer error means that the backup should
    /// stop, the inner one comes from the reader.
    pub(crate) fn next(&mut self, most: usize, stop: &Stop) -> Result<std::io::Result<&[u8]>> {
        while self.at == self.block.len() && !self.ended {
            stop.check()?;
            match self.blocks.recv_timeout(LOOK) {
                Ok(Ok(block)) => {
                    self.ended = block.is_empty();
                    (self.block, self.at) = (block, 0);
                }
                Ok(Err(e)) => return Ok(Err(e)),
                Err(RecvTimeoutError::Timeout) => {}
                // The thread ended without reporting the end of the stream: the reader panicked.
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Err(std::io::Error::other("the reader stopped without a word")));
                }
            }
        }
        let end = self.block.len().min(self.at.saturating_add(most));
        let found = &self.block[self.at..end];
        self.at = end;
        Ok(Ok(found))
    }
}

/// Reads a whole block, or the rest before the end.
fn read_block(reader: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    let mut block = Vec::with_capacity(BLOCK);
    reader.take(BLOCK as u64).read_to_end(&mut block)?;
    Ok(block)
}
