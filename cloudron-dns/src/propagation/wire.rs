//! Messages on the wire, by hickory-proto, to and from this crate's types.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{DNSClass, Name as WireName, RData, Record};
use hickory_proto::serialize::binary::BinEncodable;

use crate::{Name, RecordData, RecordType};

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) rtype: RecordType,
    /// Whether a resolver is asked to look further; authoritative servers are not.
    pub(super) recursive: bool,
}

/// What an answer must repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    id: u16,
    /// The labels, in the case that was sent.
    name: Vec<Vec<u8>>,
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) name: Name,
    pub(super) ttl: u32,
    pub(super) data: RecordData,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: ResponseCode,
    pub(super) authoritative: bool,
    pub(super) recursion_available: bool,
    /// Whether it has to be asked for again over TCP.
    pub(super) truncated: bool,
    /// Whether the server left something out.
    pub(super) cut: bool,
    pub(super) answers: Vec<Answered>,
    pub(super) authorities: Vec<Answered>,
    pub(super) additionals: Vec<Answered>,
    /// The zone's start of authority, wherever it was in the message.
    pub(super) soa: Option<Soa>,
}

/// What matters of a zone's start of authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Soa {
    pub(super) zone: Name,
    pub(super) serial: u32,
    /// For how many seconds a resolver may remember that there is no such record (RFC 2308, section 5).
    pub(super) negative_ttl: u32,
}

impl Question {
    /// The message that asks it, with a random id, and a name in random case: one more thing that who guesses an
    /// answer does not know.
    pub(super) fn message(&self) -> Option<(Sent, Vec<u8>)> {
        let id = u16::from_be_bytes(cloudron_core::random::bytes());
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = self.recursive;
        let name = random_case(&self.name);
        message.add_query(Query::query(to_wire(&name)?, self.rtype.0.into()));
        let mut edns = Edns::new();
        // What passes without fragments everywhere (DNS flag day 2020).
        edns.set_max_payload(1232);
        message.set_edns(edns);
        message.to_vec().ok().map(|bytes| (Sent { id, name }, bytes))
    }

    /// Reads the answer to it; `None` for what is no answer to it.
    ///
    /// An answer that does not repeat the name in the case that was sent is taken as truncated, so that it is asked
    /// for again over TCP, where nobody guesses: some servers and the boxes before them write names in lower case.
    pub(super) fn reply(&self, sent: &Sent, bytes: &[u8]) -> Option<Reply> {
        let message = Message::from_vec(bytes).ok()?;
        let answers_this = message.queries.first().is_some_and(|q| {
            from_wire(q.name()).as_ref() == Some(&self.name) && u16::from(q.query_type()) == self.rtype.0
        });
        // A server that cannot read the question may answer without repeating it.
        let unread = message.queries.is_empty() && message.metadata.response_code != ResponseCode::NoError;
        let response =
            message.metadata.message_type == MessageType::Response && message.metadata.id == sent.id;
        if !response || !(answers_this || unread) {
            return None;
        }
        let repeats =
            message.queries.first().is_none_or(|q| q.name().iter().eq(sent.name.iter().map(Vec::as_slice)));
        let soa = message.answers.iter().chain(&message.authorities).find_map(soa);
        Some(Reply {
            code: message.metadata.response_code,
            authoritative: message.metadata.authoritative,
            recursion_available: message.metadata.recursion_available,
            truncated: message.metadata.truncation || !repeats,
            cut: message.metadata.truncation,
            answers: records(&message.answers),
            authorities: records(&message.authorities),
            additionals: records(&message.additionals),
            soa,
        })
    }
}

fn soa(record: &Record) -> Option<Soa> {
    let RData::SOA(SOA { serial, minimum, .. }) = &record.data else { return None };
    Some(Soa { zone: from_wire(&record.name)?, serial: *serial, negative_ttl: record.ttl.min(*minimum) })
}

/// The records that this crate can express.
fn records(records: &[Record]) -> Vec<Answered> {
    let internet = records.iter().filter(|r| r.dns_class == DNSClass::IN);
    let read = internet.filter_map(|record| {
        // Encoded alone, data has no compressed names.
        let rdata = record.data.to_bytes().ok()?;
        let data = RecordData::from_rdata(RecordType(record.record_type().into()), &rdata).ok()?;
        Some(Answered { name: from_wire(&record.name)?, ttl: record.ttl, data })
    });
    read.collect()
}

fn to_wire(labels: &[Vec<u8>]) -> Option<WireName> {
    WireName::from_labels(labels.iter().map(Vec::as_slice)).ok()
}

/// The labels of a name with each letter in upper or lower case.
fn random_case(name: &Name) -> Vec<Vec<u8>> {
    let mut labels = name.raw_labels();
    let random: [u8; 32] = cloudron_core::random::bytes();
    for (at, byte) in labels.iter_mut().flatten().enumerate() {
        if random[at / 8 % 32] >> (at % 8) & 1 == 1 {
            byte.make_ascii_uppercase();
        }
    }
    labels
}

fn from_wire(name: &WireName) -> Option<Name> {
    Name::from_labels(name.iter()).ok()
}
