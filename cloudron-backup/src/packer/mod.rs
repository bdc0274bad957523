//! Turns chunks into stored packs, with threads for compression, encryption and upload. The data that waits
//! between them is limited in bytes, and buffers are reused.

pub(crate) mod journal;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use cloudron_core::{Error, Result};

use crate::buffers::{Budget, Pool};
use crate::chunk::ChunkId;
use crate::chunk::frame::Framer;
use crate::encrypt::Encryptor;
use crate::format::index::{Kind, PackEntry, Scope, object};
use crate::format::pack::{self, PackWriter};
use crate::keys::Signer;
use crate::layout;
use crate::store::blocking::Blocking;
use journal::Journal;

/// The number of packs after which an index object is written, so that little is lost if the run is killed.
const PACKS_PER_INDEX: usize = 16;
/// The number of parallel uploads: a remote store has a high latency.
const UPLOADS: usize = 3;
/// The maximum number of bytes of chunks that wait to be compressed or encrypted.
const WAITING: usize = 4 << 20;
/// The number of chunk buffers kept: all that are in use at a time. Freeing one would be worse: an allocator
/// then takes larger ones from a common heap, which becomes fragmented.
const BUFFERS: usize = 5;
/// The maximum number of waiting chunks, however short they are.
const QUEUE: usize = 256;

/// A numbered chunk. Packs contain chunks in the order in which they came, so that those of a file are adjacent.
struct Chunk {
    number: u64,
    id: ChunkId,
    content: Vec<u8>,
}

struct Framed {
    number: u64,
    id: ChunkId,
    /// The frame, or the content if it cannot be compressed.
    frame: Vec<u8>,
    compressed: bool,
    raw: u32,
}

/// The input for chunks to be stored.
pub(crate) struct Uploads<'a> {
    queue: SyncSender<Chunk>,
    state: &'a State,
}

/// The shared state of the threads.
struct State {
    failure: Mutex<Option<Error>>,
    failed: AtomicBool,
    added: AtomicU64,
    taken: AtomicU64,
    waiting: Budget,
    chunks: Pool,
    packs: Pool,
    /// Packs that are stored but not indexed yet.
    unindexed: Mutex<Vec<PackEntry>>,
}

/// The destination of packs, and the keys that encrypt them.
pub(crate) struct Target<'a> {
    pub(crate) store: &'a Blocking,
    pub(crate) data: &'a dyn Encryptor,
    pub(crate) index: &'a dyn Encryptor,
    pub(crate) repository: &'a str,
    /// The signer of index objects.
    pub(crate) signer: &'a Signer,
    pub(crate) journal: Option<&'a Journal>,
}

impl State {
    fn new() -> Self {
        Self {
            failure: Mutex::default(),
            failed: AtomicBool::new(false),
            added: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            waiting: Budget::new(WAITING),
            chunks: Pool::new(BUFFERS, 6 << 20),
            packs: Pool::new(UPLOADS + 1, pack::CAPACITY),
            unindexed: Mutex::default(),
        }
    }

    fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
        self.waiting.close();
    }

    fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Uploads<'_> {
    /// Returns a buffer for a chunk.
    pub(crate) fn buffer(&self, capacity: usize) -> Vec<u8> {
        self.state.chunks.take(capacity)
    }

    /// Adds a chunk. Waits while the queue is full.
    ///
    /// # Errors
    /// The error of a worker thread. After an error, nothing more can be stored.
    pub(crate) fn store(&self, id: ChunkId, content: Vec<u8>) -> Result<()> {
        if self.state.waiting.take(content.len()) {
            let number = self.state.taken.fetch_add(1, Ordering::Relaxed);
            if self.queue.send(Chunk { number, id, content }).is_ok() {
                return Ok(());
            }
        }
        let stopped = || Error::new(&cloudron_core::codes::FAILED, "the upload stopped");
        Err(self.state.failure().unwrap_or_else(stopped))
    }
}

/// Runs `work` with threads that store its chunks. Returns after everything is stored and indexed: the
/// result, and the number of bytes added to the store.
pub(crate) fn with<T: Send>(
    target: &Target<'_>,
    work: impl FnOnce(&Uploads<'_>) -> Result<T>,
) -> Result<(T, u64)> {
    let state = State::new();
    let result = std::thread::scope(|scope| {
        let (chunk_queue, chunks) = sync_channel::<Chunk>(QUEUE);
        let (frame_queue, frames) = sync_channel::<Framed>(QUEUE);
        let (pack_queue, packs) = sync_channel::<PackWriter>(0);
        let (chunks, packs) =
            (std::sync::Arc::new(Mutex::new(chunks)), std::sync::Arc::new(Mutex::new(packs)));
        let compressors = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 4);
        let state = &state;
        for _ in 0..compressors {
            let (chunks, frame_queue) = (chunks.clone(), frame_queue.clone());
            scope.spawn(move || guard(state, || compress(&chunks, &frame_queue, state)));
        }
        for _ in 0..UPLOADS {
            let packs = packs.clone();
            scope.spawn(move || guard(state, || upload(&packs, target, state)));
        }
        drop((chunks, frame_queue, packs));
        scope.spawn(move || guard(state, || pack(&frames, &pack_queue, target.data, state)));
        // Dropping the queue lets the threads finish, one after another.
        let uploads = Uploads { queue: chunk_queue, state };
        let result = work(&uploads);
        drop(uploads);
        result
    });
    // An error of a later stage is the cause of errors in earlier ones.
    if let Some(error) = state.failure() {
        return Err(error);
    }
    // Also after a cancellation: stored packs shorten the next run.
    let indexed = write_index(target, &state, 1);
    let result = result?;
    indexed?;
    Ok((result, state.added.load(Ordering::Relaxed)))
}

fn guard(state: &State, work: impl FnOnce() -> Result<()>) {
    if let Err(e) = work() {
        state.fail(e);
    }
}

/// Returns the next item of a queue shared by several threads.
fn next<T>(queue: &Mutex<Receiver<T>>) -> Option<T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn compress(chunks: &Mutex<Receiver<Chunk>>, frames: &SyncSender<Framed>, state: &State) -> Result<()> {
    let mut framer = Framer::new()?;
    while let Some(Chunk { number, id, content }) = next(chunks) {
        let mut frame = state.chunks.take(Framer::longest(content.len()));
        let raw = u32::try_from(content.len()).expect("a chunk is shorter than 4 GiB");
        let compressed = framer.compress_to(&content, &mut frame)?;
        let (frame, spare) = if compressed { (frame, content) } else { (content, frame) };
        state.chunks.give(spare);
        if frames.send(Framed { number, id, frame, compressed, raw }).is_err() {
            // The next stage failed, and has recorded the reason.
            state.waiting.close();
            break;
        }
    }
    Ok(())
}

fn pack(
    frames: &Receiver<Framed>,
    packs: &SyncSender<PackWriter>,
    key: &dyn Encryptor,
    state: &State,
) -> Result<()> {
    let mut open: Option<PackWriter> = None;
    for Framed { id, frame, compressed, raw, .. } in in_order(frames) {
        let mut pack = match open.take() {
            Some(pack) => pack,
            None => PackWriter::in_buffer(key, state.packs.take(pack::CAPACITY))?,
        };
        match compressed {
            true => pack.add(id, &frame, raw)?,
            false => pack.add_raw(id, &frame)?,
        }
        state.chunks.give(frame);
        state.waiting.give(raw as usize);
        if !pack.is_full() {
            open = Some(pack);
        } else if packs.send(pack).is_err() {
            return Ok(());
        }
    }
    if let Some(pack) = open {
        let _ = packs.send(pack);
    }
    Ok(())
}

/// Returns the frames in the order of their numbers. Early frames wait, and count as waiting until they are packed.
fn in_order(frames: &Receiver<Framed>) -> impl Iterator<Item = Framed> {
    let (mut early, mut next) = (BTreeMap::new(), 0);
    std::iter::from_fn(move || {
        while !early.contains_key(&next) {
            let frame = frames.recv().ok()?;
            early.insert(frame.number, frame);
        }
        next += 1;
        early.remove(&(next - 1))
    })
}

fn upload(packs: &Mutex<Receiver<PackWriter>>, target: &Target<'_>, state: &State) -> Result<()> {
    // After a failure no backup is made, so nothing more is stored.
    while let Some(pack) = next(packs).filter(|_| !state.failed.load(Ordering::Relaxed)) {
        let (content, entry) = pack.seal()?;
        let content: Bytes = state.packs.share(content);
        if let Some(journal) = target.journal {
            journal.add(&entry);
        }
        target.store.put(&layout::pack(&entry.pack), &content)?;
        state.added.fetch_add(content.len() as u64, Ordering::Relaxed);
        state.unindexed.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        write_index(target, state, PACKS_PER_INDEX)?;
    }
    Ok(())
}

/// Writes an index object for the stored packs, if there are enough of them.
fn write_index(target: &Target<'_>, state: &State, enough: usize) -> Result<()> {
    let entries = {
        let mut unindexed = state.unindexed.lock().unwrap_or_else(PoisonError::into_inner);
        if unindexed.len() < enough {
            return Ok(());
        }
        std::mem::take(&mut *unindexed)
    };
    let size = store_index(target, &entries)?;
    state.added.fetch_add(size, Ordering::Relaxed);
    Ok(())
}

/// Stores an index object with these lines. Returns its size.
pub(crate) fn store_index(target: &Target<'_>, entries: &[PackEntry]) -> Result<u64> {
    let scope = Scope { kind: Kind::Index, repository: target.repository, of: None };
    let object = object::encode(entries, scope, target.signer, target.index)?;
    target.store.put(&layout::index(&layout::object_id(&object)), &object)?;
    Ok(object.len() as u64)
}
