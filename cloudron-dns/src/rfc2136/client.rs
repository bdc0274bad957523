//! Messages to one server over TCP and their answers, signed and checked, always within a time limit.

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
use super::message::{LONGEST, Message, QUERY, Writer};
use super::tsig::{Verifier, sign};
use crate::Name;

/// How many questions are on their way at a time.
const PIPELINE: usize = 32;

pub(super) struct Client {
    pub(super) server: SocketAddr,
    pub(super) key: Option<TsigKey>,
    pub(super) limit: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

/// A connection to the server.
pub(super) struct Connection<'a> {
    client: &'a Client,
    stream: TcpStream,
}

/// A message on its way, and what its answer must be.
pub(super) struct Asked<'a> {
    id: u16,
    kind: u16,
    question: Vec<u8>,
    verifier: Option<Verifier<'a>>,
}

impl Asked<'_> {
    /// Whether all that was answered so far is covered by signatures, if there are any.
    pub(super) fn settled(&self) -> bool {
        self.verifier.as_ref().is_none_or(Verifier::settled)
    }

    fn check(&mut self, bytes: &[u8], message: &Message, now: u64) -> Result<(), Problem> {
        if !message.answers(self.id, self.kind) {
            return Err(Problem::Garbled("it does not answer what was asked"));
        }
        if let Some(verifier) = &mut self.verifier {
            verifier.check(bytes, message, now).map_err(|why| Problem::Distrust(why, message.code()))?;
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
    /// Signs and sends a message of a kind about a name and type.
    pub(super) async fn send(
        &mut self,
        kind: u16,
        (about, rtype): (&Name, u16),
        write: impl FnOnce(&mut Writer),
    ) -> Result<Asked<'a>, Problem> {
        let id = u16::from_be_bytes(random::bytes());
        let mut writer = Writer::new(id, kind, about, rtype);
        write(&mut writer);
        let mut bytes = writer.into_bytes();
        let verifier = self.client.key.as_ref().map(|key| sign(&mut bytes, key, self.client.now()));
        let length = u16::try_from(bytes.len()).map_err(|_| {
            Problem::Unreachable(format!(
                "a message of {} bytes, above {LONGEST}, cannot be sent",
                bytes.len()
            ))
        })?;
        let framed = [&length.to_be_bytes(), &bytes[..]].concat();
        match timeout(self.client.limit, self.stream.write_all(&framed)).await {
            Ok(sent) => sent.map_err(|e| Problem::Silent(e.to_string()))?,
            Err(_) => return Err(Problem::Silent(self.client.late())),
        }
        let question = [super::message::wire(about), rtype.to_be_bytes().to_vec()].concat();
        Ok(Asked { id, kind, question, verifier })
    }

    /// The next message of an answer.
    pub(super) async fn receive(&mut self, asked: &mut Asked<'_>) -> Result<Message, Problem> {
        let (bytes, message) = self.next().await?;
        asked.check(&bytes, &message, self.client.now())?;
        Ok(message)
    }

    /// The answers to several questions, in the order of the questions. They may come in any order.
    pub(super) async fn ask(&mut self, questions: &[(Name, u16)]) -> Result<Vec<Message>, Problem> {
        let mut answers = Vec::with_capacity(questions.len());
        for questions in questions.chunks(PIPELINE) {
            let mut waiting = BTreeMap::new();
            for (at, (name, rtype)) in questions.iter().enumerate() {
                let asked = self.send(QUERY, (name, *rtype), |_| {}).await?;
                // Of two equal ids, the first one would wait for ever.
                if waiting.insert(asked.id, (at, asked)).is_some() {
                    return Err(Problem::Silent("two questions got the same number".into()));
                }
            }
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
        Ok((bytes, message))
    }
}
