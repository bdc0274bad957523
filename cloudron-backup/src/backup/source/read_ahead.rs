//! Reading on a thread of its own, so that the backup neither waits for the reader's turn nor hangs with it.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use cloudron_core::{Error, Result};

use crate::runtime::Stop;

/// What is read at once, in bytes.
const BLOCK: usize = 256 << 10;
/// Blocks that wait. With their length this bounds memory.
const WAITING: usize = 4;
/// How often it is looked whether the backup should stop.
const LOOK: Duration = Duration::from_millis(100);

/// A reader that reads ahead. Its thread ends with the stream, or at the next block once this is dropped.
pub(crate) struct ReadAhead {
    blocks: Receiver<std::io::Result<Vec<u8>>>,
    block: Vec<u8>,
    at: usize,
    ended: bool,
}

impl ReadAhead {
    /// Begins to read.
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

    /// What comes next, at most `most` bytes: nothing at the end. The outer error says that the backup should
    /// stop, the inner one is the reader's.
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
                // The thread is gone without having said that it is the end: the reader panicked.
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

/// A whole block, or what is left before the end.
fn read_block(reader: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    let mut block = Vec::with_capacity(BLOCK);
    reader.take(BLOCK as u64).read_to_end(&mut block)?;
    Ok(block)
}
