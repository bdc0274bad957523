//! Sends messages to one server over TCP, and verifies signed responses, always within a time limit.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use cloudron_core::{Clock, random};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::failure::Problem;
use super::key::TsigKey;
use super::message::{LONGEST, Message, QUERY, Record, UPDATE, Writer};
use super::tsig::{Distrust, Verifier, sign};
use crate::{Name, RecordType};

/// Maximum number of concurrent messages.
const PIPELINE: usize = 64;

pub(super) struct Client {
    pub(super) server: SocketAddr,
    pub(super) key: Option<TsigKey>,
    pub(super) limit: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

/// A message to send: its kind, name and type, and for an update its preconditions and changes.
pub(super) struct Request {
    pub(super) kind: u16,
    pub(super) about: Name,
    pub(super) rtype: u16,
    pub(super) prerequisites: Vec<Record>,
    pub(super) changes: Vec<Record>,
}

impl Request {
    pub(super) fn question(about: &Name, rtype: u16) -> Self {
        Self { kind: QUERY, about: about.clone(), rtype, prerequisites: Vec::new(), changes: Vec::new() }
    }

    pub(super) fn update(zone: &Name, prerequisites: Vec<Record>, changes: Vec<Record>) -> Self {
        Self { kind: UPDATE, about: zone.clone(), rtype: RecordType::SOA.0, prerequisites, changes }
    }
}

/// A connection to the server.
pub(super) struct Connection<'a> {
    client: &'a Client,
    stream: TcpStream,
}

/// A message that was sent, and the requirements for its response.
pub(super) struct Asked<'a> {
    id: u16,
    kind: u16,
    question: Vec<u8>,
    verifier: Option<Verifier<'a>>,
}

impl Asked<'_> {
    /// Returns whether everything received so far is covered by signatures, if there are any.
    pub(super) fn settled(&self) -> bool {
        self.verifier.as_ref().is_none_or(Verifier::settled)
    }

    fn check(&mut self, bytes: &[u8], message: &Message, now: u64) -> Result<(), Problem> {
        if !message.answers(self.id, self.kind) {
            return Err(Problem::Garbled("it does not answer what was asked"));
        }
        if let Some(verifier) = &mut self.verifier {
            match verifier.check(bytes, message, now) {
                // Servers do not sign that they know nothing of a zone. Who forges that gains no more than silence.
                Err(Distrust::Answer(_)) if message.signed_at.is_none() && message.code().denies() => {}
                Err(why) => return Err(Problem::Distrust(why, message.code())),
                Ok(()) => {}
            }
        }
        let same = |(name, rtype): &(Vec<u8>, u16)| {
            let asked = [name.to_ascii_lowercase(), rtype.to_be_bytes().to_vec()].concat();
            asked == self.question
        };
        match &message.question {
            // Later messages of a transfer, and answers to updates, need not repeat it.
            Some(question) if !same(question) => Err(Problem::Garbled("it is about something else")),
            _ if message.truncated() => Err(Problem::Garbled("it is cut off, although it came over TCP")),
            _ => Ok(()),
        }
    }
}

impl Client {
    pub(super) async fn connect(&self) -> Result<Connection<'_>, Problem> {
        tracing::debug!(server = %self.server, signed = self.key.is_some(), "connecting");
        let stream = match timeout(self.limit, TcpStream::connect(self.server)).await {
            Ok(stream) => stream.map_err(|e| Problem::Unreachable(e.to_string()))?,
            Err(_) => return Err(Problem::Unreachable(self.late())),
        };
        // Messages are small, and are not written in pieces.
        let _ = stream.set_nodelay(true);
        Ok(Connection { client: self, stream })
    }

    fn late(&self) -> String {
        format!("nothing within {} seconds", self.limit.as_secs_f32())
    }

    fn now(&self) -> u64 {
        self.clock.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

impl<'a> Connection<'a> {
    /// Signs and sends a message.
    pub(super) async fn send(&mut self, request: &Request) -> Result<Asked<'a>, Problem> {
        let mut out = Vec::new();
        let asked = self.frame(request, u16::from_be_bytes(random::bytes()), &mut out)?;
        self.write(&out).await?;
        Ok(asked)
    }

    fn frame(&self, request: &Request, id: u16, out: &mut Vec<u8>) -> Result<Asked<'a>, Problem> {
        let Request { kind, about, rtype, .. } = request;
        let (conditions, changes) = (request.prerequisites.len(), request.changes.len());
        match *kind {
            UPDATE => tracing::info!(zone = %about, conditions, changes, "sends an update"),
            _ => tracing::debug!(name = %about, rtype = %RecordType(*rtype), "asks"),
        }
        let mut writer = Writer::new(id, *kind, about, *rtype);
        writer.records(1, &request.prerequisites);
        writer.records(2, &request.changes);
        let mut bytes = writer.into_bytes();
        let verifier = self.client.key.as_ref().map(|key| sign(&mut bytes, key, self.client.now()));
        let length = u16::try_from(bytes.len()).map_err(|_| {
            Problem::Unreachable(format!(
                "a message of {} bytes, above {LONGEST}, cannot be sent",
                bytes.len()
            ))
        })?;
        out.extend(length.to_be_bytes());
        out.extend(bytes);
        let question = [super::message::wire(about), rtype.to_be_bytes().to_vec()].concat();
        Ok(Asked { id, kind: *kind, question, verifier })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        match timeout(self.client.limit, self.stream.write_all(bytes)).await {
            Ok(sent) => sent.map_err(|e| Problem::Silent(e.to_string())),
            Err(_) => Err(Problem::Silent(self.client.late())),
        }
    }

    /// Returns the next message of a response.
    pub(super) async fn receive(&mut self, asked: &mut Asked<'_>) -> Result<Message, Problem> {
        let (bytes, message) = self.next().await?;
        asked.check(&bytes, &message, self.client.now())?;
        Ok(message)
    }

    /// Sends several messages and returns their responses, in the order of the messages. They may arrive in any order.
    pub(super) async fn ask(&mut self, requests: &[Request]) -> Result<Vec<Message>, Problem> {
        let mut answers = Vec::with_capacity(requests.len());
        for requests in requests.chunks(PIPELINE) {
            let (mut out, mut waiting) = (Vec::new(), BTreeMap::new());
            let first = u16::from_be_bytes(random::bytes());
            for (at, request) in requests.iter().enumerate() {
                let asked = self.frame(request, first.wrapping_add(at as u16), &mut out)?;
                waiting.insert(asked.id, (at, asked));
            }
            self.write(&out).await?;
            let mut found = BTreeMap::new();
            while !waiting.is_empty() {
                let (bytes, message) = self.next().await?;
                let (at, mut asked) = waiting
                    .remove(&message.id)
                    .ok_or(Problem::Garbled("it does not answer what was asked"))?;
                asked.check(&bytes, &message, self.client.now())?;
                found.insert(at, message);
            }
            answers.extend(found.into_values());
        }
        Ok(answers)
    }

    async fn next(&mut self) -> Result<(Vec<u8>, Message), Problem> {
        let message = async {
            let length = self.stream.read_u16().await?;
            let mut bytes = vec![0; usize::from(length)];
            self.stream.read_exact(&mut bytes).await?;
            Ok(bytes)
        };
        let bytes = match timeout(self.client.limit, message).await {
            Ok(bytes) => bytes.map_err(|e: std::io::Error| Problem::Silent(e.to_string()))?,
            Err(_) => return Err(Problem::Silent(self.client.late())),
        };
        let message = Message::read(&bytes).ok_or(Problem::Garbled("it is not a DNS message"))?;
        tracing::debug!(bytes = bytes.len(), code = ?message.code(), "answered");
        Ok((bytes, message))
    }
}
