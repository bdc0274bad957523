//! From chunks to stored packs: threads for compression and for upload, with bounded queues between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use cloudron_core::{Error, Result};

use crate::bridge::Blocking;
use crate::chunk::ChunkId;
use crate::chunk::frame::Framer;
use crate::encrypt::Encryptor;
use crate::index::{PackEntry, encode};
use crate::layout;
use crate::pack::PackWriter;

/// After so many packs an index object is written, so that a run that is killed loses little.
const PACKS_PER_INDEX: usize = 16;
/// Chunks that wait for compression. With their length this bounds memory.
const WAITING: usize = 4;

struct Chunk {
    id: ChunkId,
    content: Vec<u8>,
}

struct Framed {
    id: ChunkId,
    frame: Vec<u8>,
    raw: u32,
}

/// Takes chunks to be stored.
pub(crate) struct Uploads<'a> {
    queue: SyncSender<Chunk>,
    state: &'a State,
}

#[derive(Default)]
struct State {
    failure: Mutex<Option<Error>>,
    added: AtomicU64,
}

impl State {
    fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Uploads<'_> {
    /// Takes a chunk, and waits while there are enough.
    ///
    /// # Errors
    /// What a thread behind it met. Nothing can be stored any more then.
    pub(crate) fn store(&self, id: ChunkId, content: Vec<u8>) -> Result<()> {
        let sent = self.queue.send(Chunk { id, content });
        sent.map_err(|_| {
            self.state
                .failure()
                .unwrap_or_else(|| Error::new(&cloudron_core::codes::FAILED, "the upload stopped"))
        })
    }
}

/// Runs `work` with threads behind it that store its chunks. Returns once everything is stored and indexed:
/// the result, and the bytes that were added to the store.
pub(crate) fn with<T: Send>(
    store: &Blocking,
    data: &dyn Encryptor,
    for_index: &dyn Encryptor,
    work: impl FnOnce(&Uploads<'_>) -> Result<T>,
) -> Result<(T, u64)> {
    let state = State::default();
    let result = std::thread::scope(|scope| {
        let (chunk_queue, chunks) = sync_channel::<Chunk>(WAITING);
        let (frame_queue, frames) = sync_channel::<Framed>(WAITING);
        let (pack_queue, packs) = sync_channel::<(Bytes, PackEntry)>(0);
        let chunks = std::sync::Arc::new(Mutex::new(chunks));
        let compressors = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 4);
        let state = &state;
        for _ in 0..compressors {
            let (chunks, frame_queue) = (chunks.clone(), frame_queue.clone());
            scope.spawn(move || guard(state, || compress(&chunks, &frame_queue)));
        }
        drop((chunks, frame_queue));
        scope.spawn(move || guard(state, || pack(&frames, &pack_queue, data)));
        scope.spawn(move || guard(state, || upload(&packs, store, for_index, &state.added)));
        // Dropping the queue lets the threads finish, one after another.
        let uploads = Uploads { queue: chunk_queue, state };
        let result = work(&uploads);
        drop(uploads);
        result
    });
    // A failure behind the queue is the cause of one in front of it.
    match state.failure() {
        Some(error) => Err(error),
        None => Ok((result?, state.added.load(Ordering::Relaxed))),
    }
}

fn guard(state: &State, work: impl FnOnce() -> Result<()>) {
    if let Err(e) = work() {
        state.fail(e);
    }
}

fn compress(chunks: &Mutex<Receiver<Chunk>>, frames: &SyncSender<Framed>) -> Result<()> {
    let mut framer = Framer::new()?;
    loop {
        let next = chunks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Chunk { id, content }) = next else { return Ok(()) };
        let frame = framer.frame(&content)?;
        let raw = u32::try_from(content.len()).expect("a chunk is shorter than 4 GiB");
        if frames.send(Framed { id, frame, raw }).is_err() {
            // The next stage failed, and has said why.
            return Ok(());
        }
    }
}

fn pack(
    frames: &Receiver<Framed>,
    packs: &SyncSender<(Bytes, PackEntry)>,
    key: &dyn Encryptor,
) -> Result<()> {
    let mut open: Option<PackWriter> = None;
    for Framed { id, frame, raw } in frames {
        let mut pack = match open.take() {
            Some(pack) => pack,
            None => PackWriter::new(key)?,
        };
        pack.add(id, &frame, raw)?;
        if !pack.is_full() {
            open = Some(pack);
        } else if packs.send(pack.finish()?).is_err() {
            return Ok(());
        }
    }
    if let Some(pack) = open {
        let _ = packs.send(pack.finish()?);
    }
    Ok(())
}

fn upload(
    packs: &Receiver<(Bytes, PackEntry)>,
    store: &Blocking,
    key: &dyn Encryptor,
    added: &AtomicU64,
) -> Result<()> {
    let mut unindexed = Vec::new();
    for (content, entry) in packs {
        store.put(&layout::pack(&entry.pack), &content)?;
        added.fetch_add(content.len() as u64, Ordering::Relaxed);
        unindexed.push(entry);
        if unindexed.len() >= PACKS_PER_INDEX {
            write_index(&mut unindexed, store, key, added)?;
        }
    }
    write_index(&mut unindexed, store, key, added)
}

fn write_index(
    entries: &mut Vec<PackEntry>,
    store: &Blocking,
    key: &dyn Encryptor,
    added: &AtomicU64,
) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let object = encode(entries, key)?;
    store.put(&layout::index(&layout::object_id(&object)), &object)?;
    added.fetch_add(object.len() as u64, Ordering::Relaxed);
    entries.clear();
    Ok(())
}
