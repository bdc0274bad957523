//! Converts messages between hickory-proto and this crate's types.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{DNSClass, Name as WireName, RData, Record};
use hickory_proto::serialize::binary::BinEncodable;

use crate::{Name, RecordData, RecordType};

/// One query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) rtype: RecordType,
    /// True if recursion is requested; false for authoritative servers.
    pub(super) recursive: bool,
}

/// The parts of a query that its response must repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    id: u16,
    /// The labels, with the letter case that was sent.
    name: Vec<Vec<u8>>,
}

/// One record of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) name: Name,
    pub(super) ttl: u32,
    pub(super) data: RecordData,
}

/// The response of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: ResponseCode,
    pub(super) authoritative: bool,
    pub(super) recursion_available: bool,
    /// True if the query must be repeated over TCP.
    pub(super) truncated: bool,
    /// True if the server omitted something (TC bit).
    pub(super) cut: bool,
    pub(super) answers: Vec<Answered>,
    pub(super) authorities: Vec<Answered>,
    pub(super) additionals: Vec<Answered>,
    /// The zone's SOA record, from any section.
    pub(super) soa: Option<Soa>,
}

/// The relevant fields of a zone's SOA record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Soa {
    pub(super) zone: Name,
    pub(super) serial: u32,
    /// Time in seconds for which a resolver may cache that the record does not exist (RFC 2308, section 5).
    pub(super) negative_ttl: u32,
}

impl Question {
    /// Returns the message of this query, with a random ID and random letter case of the name, which makes it harder to
    /// forge a response.
    pub(super) fn message(&self) -> Option<(Sent, Vec<u8>)> {
        let id = u16::from_be_bytes(cloudron_core::random::bytes());
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = self.recursive;
        let name = random_case(&self.name);
        message.add_query(Query::query(to_wire(&name)?, self.rtype.0.into()));
        let mut edns = Edns::new();
        // The size that passes everywhere without fragments (DNS flag day 2020).
        edns.set_max_payload(1232);
        message.set_edns(edns);
        message.to_vec().ok().map(|bytes| (Sent { id, name }, bytes))
    }

    /// Parses the response to this query; `None` if it is not a response to it.
    ///
    /// A response that does not repeat the name with the letter case that was sent counts as truncated, so that the
    /// query is repeated over TCP, where responses are harder to forge: some servers and middleboxes write names in
    /// lower case.
    pub(super) fn reply(&self, sent: &Sent, bytes: &[u8]) -> Option<Reply> {
        let message = Message::from_vec(bytes).ok()?;
        let answers_this = message.queries.first().is_some_and(|q| {
            from_wire(q.name()).as_ref() == Some(&self.name) && u16::from(q.query_type()) == self.rtype.0
        });
        // A server that cannot parse the query may answer without repeating it.
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

/// Returns the records that this crate can represent.
fn records(records: &[Record]) -> Vec<Answered> {
    let internet = records.iter().filter(|r| r.dns_class == DNSClass::IN);
    let read = internet.filter_map(|record| {
        // Encoded separately, data contains no compressed names.
        let rdata = record.data.to_bytes().ok()?;
        let data = RecordData::from_rdata(RecordType(record.record_type().into()), &rdata).ok()?;
        Some(Answered { name: from_wire(&record.name)?, ttl: record.ttl, data })
    });
    read.collect()
}

fn to_wire(labels: &[Vec<u8>]) -> Option<WireName> {
    WireName::from_labels(labels.iter().map(Vec::as_slice)).ok()
}

/// Returns the labels of a name with each letter in random case.
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
