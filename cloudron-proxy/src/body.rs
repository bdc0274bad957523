//! The bodies of requests to upstreams and of responses to clients.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use crate::fields;
use crate::front::Held;
use crate::stall::Stall;
use crate::upstream::Lease;

/// The error of a body that does not end well. Nobody but hyper sees it, which closes the connection.
pub(crate) type BodyError = Box<dyn StdError + Send + Sync>;

/// The body of a response.
#[derive(Debug)]
pub(crate) struct Body {
    kind: Kind,
    /// What is released, and recorded, when the response ends.
    held: Option<Held>,
}

#[derive(Debug)]
enum Kind {
    Page(Option<Bytes>),
    Relay(Box<Relay>),
}

/// The body of an upstream's response.
#[derive(Debug)]
struct Relay {
    incoming: Incoming,
    stall: Stall,
    lease: Option<Lease>,
}

impl Body {
    /// Creates a body from memory.
    pub(crate) fn page(text: Bytes) -> Self {
        Self { kind: Kind::Page((!text.is_empty()).then_some(text)), held: None }
    }

    /// Creates the body of an upstream's response, which may pause for `limit`.
    pub(crate) fn relay(incoming: Incoming, limit: Duration, lease: Option<Lease>) -> Self {
        let relay = Relay { incoming, stall: Stall::new(limit), lease };
        Self { kind: Kind::Relay(Box::new(relay)), held: None }
    }

    /// Releases these things when the response ends.
    pub(crate) fn holding(mut self, held: Held) -> Self {
        self.held = Some(held);
        self
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let frame = match &mut this.kind {
            Kind::Page(text) => text.take().map(|text| Ok(Frame::data(text))),
            Kind::Relay(relay) => ready!(next(&mut relay.incoming, &mut relay.stall, cx)),
        };
        if let (Some(Ok(frame)), Some(held)) = (&frame, &mut this.held) {
            held.count(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame.map(|frame| frame.map(without_forbidden_trailers)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Page(text) => text.is_none(),
            Kind::Relay(relay) => relay.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Page(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Kind::Relay(relay) => relay.incoming.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let whole = self.is_end_stream();
        if let (true, Some(held)) = (whole, &mut self.held) {
            held.complete();
        }
        if let (true, Kind::Relay(relay)) = (whole, &mut self.kind)
            && let Some(lease) = relay.lease.take()
        {
            lease.give_back();
        }
    }
}

/// How the body of a request failed on the client's side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fate(Arc<AtomicU8>);

impl Fate {
    const BROKEN: u8 = 1;
    const SLOW: u8 = 2;

    /// Returns whether the client broke off or sent a body that is malformed.
    pub(crate) fn is_broken(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::BROKEN
    }

    /// Returns whether the client paused for too long.
    pub(crate) fn is_slow(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::SLOW
    }
}

/// The body of a request to an upstream.
#[derive(Debug)]
pub(crate) struct Outgoing {
    incoming: Option<Incoming>,
    stall: Stall,
    fate: Fate,
    trailers: bool,
}

impl Outgoing {
    /// Creates the body from that of a client's request, which may pause for `limit`. Trailers are passed on if the
    /// upstream's protocol has a place for them.
    pub(crate) fn new(incoming: Incoming, limit: Duration, trailers: bool) -> Self {
        let incoming = (!incoming.is_end_stream()).then_some(incoming);
        Self { incoming, stall: Stall::new(limit), fate: Fate::default(), trailers }
    }

    /// Creates an empty body.
    pub(crate) fn empty() -> Self {
        Self { incoming: None, stall: Stall::new(Duration::MAX), fate: Fate::default(), trailers: false }
    }

    /// Returns whether there is no body.
    pub(crate) fn is_empty(&self) -> bool {
        self.incoming.is_none()
    }

    /// Returns what is said of the body when it fails.
    pub(crate) fn fate(&self) -> Fate {
        self.fate.clone()
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        match ready!(next(incoming, &mut this.stall, cx)) {
            Some(Err(error)) => {
                let fate = if error.is::<Paused>() { Fate::SLOW } else { Fate::BROKEN };
                this.fate.0.store(fate, Ordering::Relaxed);
                Poll::Ready(Some(Err(error)))
            }
            Some(Ok(frame)) if frame.is_trailers() && !this.trailers => Poll::Ready(None),
            frame => Poll::Ready(frame.map(|frame| frame.map(without_forbidden_trailers))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// The peer paused for too long.
#[derive(Debug)]
struct Paused;

impl std::fmt::Display for Paused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body paused for too long")
    }
}

impl StdError for Paused {}

fn next(
    incoming: &mut Incoming,
    stall: &mut Stall,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    match Pin::new(incoming).poll_frame(cx) {
        Poll::Ready(frame) => {
            stall.end();
            Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
        }
        Poll::Pending => {
            ready!(stall.poll(cx));
            Poll::Ready(Some(Err(Paused.into())))
        }
    }
}

fn without_forbidden_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            fields::trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}
