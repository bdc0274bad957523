//! Fetches file content for the writing threads: ahead, in the order of the manifest, only the needed parts,
//! in few requests, and within a limit on memory.
//!
//! Both sides use the same order. [`Prefetcher`] goes through the chunks of a batch of files and merges them
//! into spans, stretches of packs; [`Feed`] asks for the same chunks and receives a new span when the kept
//! ones do not contain the next chunk.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cloudron_core::{Error, Result};

use crate::buffers::{Budget, Pool};
use crate::chunk::frame::unframe_to;
use crate::chunk::{ChunkId, ChunkNamer};
use crate::format::index::{Index, Location};
use crate::format::manifest::Extent;
use crate::format::pack::same;
use crate::format::pack_ranges::PackRangeReader;
use crate::{codes, layout};

/// The maximum length of a span, in bytes.
const SPAN: u32 = 3 << 20;
/// A gap between two chunks shorter than this, in bytes, is fetched too.
const GAP: u32 = 64 << 10;
/// The maximum number of bytes fetched ahead.
const AHEAD: usize = 16 << 20;
/// The number of spans kept by a reader.
const KEPT: usize = 2;
/// The number of spans kept for the following batches.
const RECENT: usize = 3;
/// The maximum size of unpacked chunks kept by a reader, in bytes, unless it is one chunk.
const UNPACKED: usize = 4 << 20;

/// A stretch of a pack, fetched once.
pub(super) struct PackRange {
    pack: u32,
    part: Range<u32>,
    content: OnceLock<Result<Vec<u8>>>,
    /// True if the span no longer counts as fetched ahead.
    received: AtomicBool,
    room: Arc<Room>,
}

/// Limits and buffers shared by all spans.
struct Room {
    ahead: Budget,
    buffers: Pool,
}

impl PackRange {
    fn frame(&self, at: &Location) -> Option<Range<usize>> {
        let inside = self.pack == at.pack && self.part.start <= at.offset;
        let end = at.offset.checked_add(at.length).filter(|end| inside && *end <= self.part.end)?;
        Some((at.offset - self.part.start) as usize..(end - self.part.start) as usize)
    }

    fn receive(&self) {
        if !self.received.swap(true, Ordering::Relaxed) {
            self.room.ahead.give(self.part.len());
        }
    }
}

impl Drop for PackRange {
    fn drop(&mut self) {
        self.receive();
        if let Some(Ok(buffer)) = self.content.take() {
            self.room.buffers.give(buffer);
        }
    }
}

/// Fetches spans, and unpacks chunks from them.
pub(super) struct Source<'a> {
    index: &'a Index,
    namer: ChunkNamer,
    parts: PackRangeReader<'a>,
    room: Arc<Room>,
}

impl<'a> Source<'a> {
    pub(super) fn new(index: &'a Index, parts: PackRangeReader<'a>, namer: ChunkNamer) -> Self {
        let room = Room { ahead: Budget::new(AHEAD), buffers: Pool::new(4, 2 * SPAN as usize) };
        Self { index, namer, parts, room: Arc::new(room) }
    }

    /// Returns the announcer of spans, and the queue for [`fetch_all`](Self::fetch_all).
    pub(super) fn prefetcher(&self) -> (Prefetcher<'_>, Mutex<SpanQueue>) {
        let (queue, spans) = channel();
        let prefetcher = Prefetcher {
            source: self,
            queue,
            output: channel().0,
            open: None,
            kept: VecDeque::new(),
            recent: VecDeque::new(),
        };
        (prefetcher, Mutex::new(spans))
    }

    /// Fetches spans until no more are announced.
    pub(super) fn fetch_all(&self, queue: &Mutex<SpanQueue>) {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(span) = next else { return };
            // With only one reference left, nobody needs it any more.
            if Arc::strong_count(&span) > 1 {
                let _ = span.content.set(self.fetch(span.pack, span.part.clone()));
            }
        }
    }

    fn fetch(&self, pack: u32, part: Range<u32>) -> Result<Vec<u8>> {
        let mut buffer = self.room.buffers.take(part.len());
        self.parts.read(pack, part, &mut buffer)?;
        Ok(buffer)
    }

    /// Reads the content of a chunk from another of its locations, after the announced one failed.
    ///
    /// # Errors
    /// The error of the first location.
    fn elsewhere(&self, id: &ChunkId, first: &Location, error: Error, content: &mut Vec<u8>) -> Result<()> {
        if !(error.is(&codes::OBJECT_CORRUPT) || error.is(&codes::OBJECT_MISSING)) {
            return Err(error);
        }
        for at in self.index.places(id).filter(|at| (at.pack, at.offset) != (first.pack, first.offset)) {
            let Some(end) = at.offset.checked_add(at.length) else { continue };
            let found = self.fetch(at.pack, at.offset..end).and_then(|plain| {
                let unpacked = self.unpack(id, &at, &plain, content);
                self.room.buffers.give(plain);
                unpacked
            });
            match found {
                Ok(()) => return Ok(()),
                Err(e) if e.is(&codes::OBJECT_CORRUPT) || e.is(&codes::OBJECT_MISSING) => {}
                Err(e) => return Err(e),
            }
        }
        Err(error)
    }

    fn location(&self, id: &ChunkId) -> Result<Location> {
        let unknown = || format!("chunk {id:?} is in no pack that the index knows");
        self.index.get(id).ok_or_else(|| Error::new(&codes::OBJECT_MISSING, unknown()))
    }

    fn unpack(&self, id: &ChunkId, at: &Location, frame: &[u8], content: &mut Vec<u8>) -> Result<()> {
        let damaged = |what: &str| {
            let name = layout::pack(&self.index.packs[at.pack as usize].0);
            Error::new(&codes::OBJECT_CORRUPT, format!("chunk {id:?} in {name} {what}"))
        };
        content.clear();
        unframe_to(frame, at.raw, content).map_err(|e| damaged(&format!("is damaged: {e}")))?;
        if self.namer.name(content) == *id { Ok(()) } else { Err(damaged("has another hash than its name")) }
    }
}

/// Spans waiting to be fetched.
pub(super) type SpanQueue = Receiver<Arc<PackRange>>;

/// Announces the content that will be needed.
pub(super) struct Prefetcher<'s> {
    source: &'s Source<'s>,
    queue: Sender<Arc<PackRange>>,
    output: Sender<Arc<PackRange>>,
    open: Option<(u32, Range<u32>)>,
    /// The spans that the reader of this batch has at this point, besides the open one.
    kept: VecDeque<(u32, Range<u32>)>,
    /// The last announced spans of any batch, newest first: the next batch may need them as well.
    recent: VecDeque<Arc<PackRange>>,
}

impl Prefetcher<'_> {
    /// Begins a batch. The receiver returns the spans announced from now on.
    pub(super) fn begin(&mut self) -> Receiver<Arc<PackRange>> {
        let (output, spans) = channel();
        self.output = output;
        self.kept.clear();
        spans
    }

    /// Announces the content of a file. Waits while enough is fetched ahead.
    pub(super) fn announce(&mut self, extents: &[Extent]) {
        for extent in extents {
            let Extent::Data { chunk, .. } = extent else { continue };
            // The reader reports a chunk that is in no index.
            let Some(at) = self.source.index.get(chunk) else { continue };
            let part = at.offset..at.offset.saturating_add(at.length);
            if self.has(at.pack, &part) || self.extend(at.pack, &part) {
                continue;
            }
            self.close();
            self.kept.truncate(KEPT - 1);
            match self.recent.iter().position(|span| span.frame(&at).is_some()) {
                Some(n) => self.again(n),
                None => self.open = Some((at.pack, part)),
            }
        }
    }

    /// Ends a batch.
    pub(super) fn end(&mut self) {
        self.close();
        self.output = channel().0;
    }

    fn has(&self, pack: u32, part: &Range<u32>) -> bool {
        let inside =
            |(p, kept): &(u32, Range<u32>)| *p == pack && kept.start <= part.start && part.end <= kept.end;
        self.open.iter().chain(&self.kept).any(inside)
    }

    /// Extends the open span, if the part follows closely.
    fn extend(&mut self, pack: u32, part: &Range<u32>) -> bool {
        let Some((open_pack, open)) = &mut self.open else { return false };
        let close = *open_pack == pack && part.start >= open.end && part.start - open.end <= GAP;
        if !close || part.end - open.start > SPAN {
            return false;
        }
        open.end = part.end;
        true
    }

    fn close(&mut self) {
        let Some((pack, part)) = self.open.take() else { return };
        let room = self.source.room.clone();
        room.ahead.take(part.len());
        self.kept.push_front((pack, part.clone()));
        let (content, received) = (OnceLock::new(), AtomicBool::new(false));
        let span = Arc::new(PackRange { pack, part, content, received, room });
        // The reader may have stopped. Then it is not fetched either.
        if self.output.send(span.clone()).is_ok() && self.queue.send(span.clone()).is_ok() {
            self.recent.truncate(RECENT - 1);
            self.recent.push_front(span);
        }
    }

    /// Passes on a span that was announced for an earlier batch.
    fn again(&mut self, n: usize) {
        let Some(span) = self.recent.remove(n) else { return };
        self.kept.push_front((span.pack, span.part.clone()));
        let _ = self.output.send(span.clone());
        self.recent.push_front(span);
    }
}

/// Provides chunks to a thread that writes files.
pub(super) struct Feed<'s> {
    source: &'s Source<'s>,
    spans: Option<Receiver<Arc<PackRange>>>,
    /// Newest first.
    kept: VecDeque<Arc<PackRange>>,
    /// Newest last.
    unpacked: VecDeque<(ChunkId, Vec<u8>)>,
}

impl<'s> Feed<'s> {
    pub(super) fn new(source: &'s Source<'s>) -> Self {
        Self { source, spans: None, kept: VecDeque::new(), unpacked: VecDeque::new() }
    }

    /// Begins a batch for which these spans were announced.
    pub(super) fn begin(&mut self, spans: Receiver<Arc<PackRange>>) {
        self.spans = Some(spans);
        self.kept.clear();
    }

    /// Ends a batch, and drops the spans that were not read.
    pub(super) fn end(&mut self) {
        self.spans = None;
        self.kept.clear();
    }

    /// Returns the content of a chunk, checked.
    ///
    /// # Errors
    /// `object-missing` or `object-corrupt`, naming the pack; errors of the store.
    pub(super) fn chunk(&mut self, id: &ChunkId) -> Result<&[u8]> {
        let at = match self.unpacked.iter().position(|(known, _)| known == id) {
            Some(at) => at,
            None => {
                self.unpack(id)?;
                self.unpacked.len() - 1
            }
        };
        Ok(&self.unpacked[at].1)
    }

    fn unpack(&mut self, id: &ChunkId) -> Result<()> {
        let at = self.source.location(id)?;
        let mut content = self.make_room(at.raw as usize);
        let span = self.span(&at);
        let unpacked = match &span {
            Some((span, frame)) => match span.content.wait() {
                Ok(plain) => self.source.unpack(id, &at, &plain[frame.clone()], &mut content),
                Err(e) => Err(same(e)),
            },
            // It was not announced.
            None => {
                self.source.fetch(at.pack, at.offset..at.offset.saturating_add(at.length)).and_then(|plain| {
                    let unpacked = self.source.unpack(id, &at, &plain, &mut content);
                    self.source.room.buffers.give(plain);
                    unpacked
                })
            }
        };
        if let Err(e) = unpacked {
            self.source.elsewhere(id, &at, e, &mut content)?;
        }
        self.unpacked.push_back((*id, content));
        Ok(())
    }

    /// Drops the oldest chunks. Returns a buffer for the next one.
    fn make_room(&mut self, length: usize) -> Vec<u8> {
        let mut spare = Vec::new();
        let used =
            |kept: &VecDeque<(ChunkId, Vec<u8>)>| kept.iter().map(|(_, c)| c.capacity()).sum::<usize>();
        while used(&self.unpacked) + length > UNPACKED {
            let Some((_, buffer)) = self.unpacked.pop_front() else { break };
            if buffer.capacity() >= length || spare.is_empty() {
                spare = buffer;
            }
        }
        spare
    }

    /// Returns the span that contains a chunk: one of those kept, or one still to be received.
    fn span(&mut self, at: &Location) -> Option<(Arc<PackRange>, Range<usize>)> {
        let known = self.kept.iter().find_map(|span| Some((span.clone(), span.frame(at)?)));
        if known.is_some() {
            return known;
        }
        let spans = self.spans.as_ref()?;
        while let Ok(span) = spans.recv() {
            span.receive();
            self.kept.truncate(KEPT - 1);
            self.kept.push_front(span.clone());
            if let Some(frame) = span.frame(at) {
                return Some((span, frame));
            }
        }
        None
    }
}
