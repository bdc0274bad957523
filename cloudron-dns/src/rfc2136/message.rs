//! Converts messages to and from wire format (RFC 1035, section 4; RFC 2136, section 2).
//!
//! Only the required parts of a message are interpreted, and data of unknown types is kept as bytes: any zone can be
//! read, whatever its records.

use super::code::Code;
use super::input::Input;
use crate::Name;

/// Kinds of messages, as bits of the second word.
pub(super) const QUERY: u16 = 0;
pub(super) const UPDATE: u16 = 5 << 11;
const RESPONSE: u16 = 1 << 15;
const OPCODE: u16 = 0b1111 << 11;
const AUTHORITATIVE: u16 = 1 << 10;
const TRUNCATED: u16 = 1 << 9;

/// Classes. The last two have a meaning in updates only.
pub(super) const IN: u16 = 1;
pub(super) const NONE: u16 = 254;
pub(super) const ANY: u16 = 255;

/// Types that are not record types.
pub(super) const TSIG: u16 = 250;
pub(super) const AXFR: u16 = 252;
pub(super) const ANY_TYPE: u16 = 255;

/// Maximum length of a message over TCP, in bytes.
pub(super) const LONGEST: usize = 65_535;

/// Returns a name in wire format: labels with their lengths, uncompressed.
pub(super) fn wire(name: &Name) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.raw_labels() {
        out.push(label.len() as u8);
        out.extend(label);
    }
    out.push(0);
    out
}

/// Parses a name in wire format; `None` for a name that this crate cannot represent, such as `a.*.b`.
pub(super) fn name(wire: &[u8]) -> Option<Name> {
    let (mut labels, mut rest) = (Vec::new(), wire);
    while let Some((&length, after)) = rest.split_first().filter(|(length, _)| **length > 0) {
        let (label, after) = after.split_at_checked(usize::from(length))?;
        labels.push(label);
        rest = after;
    }
    Name::from_labels(labels).ok()
}

/// A message that is being written. Names are not compressed.
#[derive(Clone)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Creates a message of a kind for one name, type and class.
    pub(super) fn new(id: u16, kind: u16, about: &Name, rtype: u16) -> Self {
        let mut bytes = Vec::with_capacity(512);
        for word in [id, kind, 1, 0, 0, 0] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(wire(about));
        bytes.extend(rtype.to_be_bytes());
        bytes.extend(IN.to_be_bytes());
        Self { bytes }
    }

    /// Continues a message that was written before.
    pub(super) fn resume(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Appends records to a section: 1 (answers or prerequisites), 2 (authorities or updates) or 3 (additionals).
    /// Sections must be written in their order.
    pub(super) fn records<'a>(&mut self, section: usize, records: impl IntoIterator<Item = &'a Record>) {
        for record in records {
            record.write(&mut self.bytes);
            let at = 4 + 2 * section;
            let count = u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]).saturating_add(1);
            self.bytes[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// One record, with its owner and data uncompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) owner: Vec<u8>,
    pub(super) rtype: u16,
    pub(super) class: u16,
    pub(super) ttl: u32,
    pub(super) rdata: Vec<u8>,
}

impl Record {
    /// Returns its length in bytes.
    pub(super) fn length(&self) -> usize {
        self.owner.len() + 10 + self.rdata.len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(&self.owner);
        out.extend(self.rtype.to_be_bytes());
        out.extend(self.class.to_be_bytes());
        out.extend(self.ttl.to_be_bytes());
        out.extend((self.rdata.len() as u16).to_be_bytes());
        out.extend(&self.rdata);
    }
}

/// A parsed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: u16,
    flags: u16,
    pub(super) question: Option<(Vec<u8>, u16)>,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
    pub(super) additionals: Vec<Record>,
    /// The offset of the last record of the message, if it is a signature.
    pub(super) signed_at: Option<usize>,
}

impl Message {
    /// Parses a message; `None` if the bytes are not a message.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut input = Input::new(bytes);
        let [id, flags, questions, answers, authorities, additionals] = [(); 6].map(|()| input.word());
        let mut question = None;
        for _ in 0..questions? {
            let asked = (input.name()?, input.word()?);
            input.word()?;
            question.get_or_insert(asked);
        }
        let mut section = |count: u16, last: &mut usize| {
            let mut records = Vec::new();
            for _ in 0..count {
                *last = input.at;
                records.push(input.record()?);
            }
            Some(records)
        };
        let mut last = 0;
        let mut message = Self {
            id: id?,
            flags: flags?,
            question,
            answers: section(answers?, &mut last)?,
            authorities: section(authorities?, &mut last)?,
            additionals: section(additionals?, &mut last)?,
            signed_at: None,
        };
        let signed = message.additionals.last().is_some_and(|record| record.rtype == TSIG);
        message.signed_at = signed.then_some(last);
        Some(message)
    }

    /// Returns whether it is the response to a message of that kind.
    pub(super) fn answers(&self, id: u16, kind: u16) -> bool {
        self.id == id && self.flags & RESPONSE != 0 && self.flags & OPCODE == kind
    }

    pub(super) fn authoritative(&self) -> bool {
        self.flags & AUTHORITATIVE != 0
    }

    pub(super) fn truncated(&self) -> bool {
        self.flags & TRUNCATED != 0
    }

    pub(super) fn code(&self) -> Code {
        Code(self.flags & 0b1111)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn example() -> Name {
        Name::parse("my.example.com").unwrap()
    }

    fn record(rtype: u16, rdata: &[u8]) -> Record {
        Record { owner: wire(&example()), rtype, class: IN, ttl: 300, rdata: rdata.to_vec() }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::new(7, UPDATE, &example(), 6);
        writer.records(1, &[record(255, b"")]);
        writer.records(2, &[record(1, b"abcd"), record(65_280, b"x")]);
        let message = Message::read(&writer.into_bytes()).unwrap();
        assert_eq!(message.question, Some((wire(&example()), 6)));
        assert_eq!(message.answers, [record(255, b"")]);
        assert_eq!(message.authorities, [record(1, b"abcd"), record(65_280, b"x")]);
        assert!(!message.answers(7, UPDATE) && message.signed_at.is_none());
    }

    #[test]
    fn compressed_names_are_written_out() {
        let mut bytes = Writer::new(7, QUERY, &example(), 15).into_bytes();
        bytes[7] = 1;
        // An MX record at the name that was asked for (offset 12), whose target is `mx` in its zone (offset 15).
        bytes.extend(b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x01\x2c\x00\x07\x00\x0a\x02mx\xc0\x0f");
        let message = Message::read(&bytes).unwrap();
        assert_eq!(message.answers, [record(15, b"\0\x0a\x02mx\x07example\x03com\0")]);
    }

    #[test]
    fn a_name_that_points_at_itself_or_forward_is_no_name() {
        for pointer in [12_u8, 13, 40] {
            let mut bytes = Writer::new(7, QUERY, &Name::root(), 1).into_bytes();
            bytes.truncate(12);
            bytes.extend([0xc0, pointer, 0, 1, 0, 1]);
            assert_eq!(Message::read(&bytes), None);
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_a_parser_panic(
            counts in proptest::collection::vec(0_u8..3, 4),
            body in proptest::collection::vec(prop_oneof![Just(0_u8), Just(0xc0), Just(12), any::<u8>()], 0..200),
        ) {
            let mut bytes = vec![0, 1, 0x80, 0];
            bytes.extend(counts.iter().flat_map(|count| [0, *count]));
            bytes.extend(body);
            if let Some(message) = Message::read(&bytes) {
                for record in message.answers.iter().chain(&message.authorities) {
                    prop_assert!(record.owner.len() <= 255);
                    let _ = name(&record.owner);
                }
            }
        }
    }
}
