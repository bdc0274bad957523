//! Signatures of messages (RFC 8945). Pure functions: the time is a parameter.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use super::code::Code;
use super::key::{TsigAlgorithm, TsigKey};
use super::message::{ANY, Message, Record, TSIG, wire};

/// Maximum difference of the two clocks, in seconds (RFC 8945, section 10).
const FUDGE: u16 = 300;

/// Maximum number of consecutive unsigned messages of one response (RFC 8945, section 5.3.1).
const MOST_UNSIGNED: usize = 99;

/// The data of a signature.
struct Signature {
    time: u64,
    fudge: u16,
    mac: Vec<u8>,
    original_id: u16,
    error: u16,
    other: Vec<u8>,
}

impl Signature {
    fn algorithm(algorithm: TsigAlgorithm) -> Vec<u8> {
        let name = algorithm.as_str();
        [&[name.len() as u8], name.as_bytes(), &[0]].concat()
    }

    fn write(&self, algorithm: TsigAlgorithm) -> Vec<u8> {
        let mut out = Self::algorithm(algorithm);
        out.extend(&self.time.to_be_bytes()[2..]);
        out.extend(self.fudge.to_be_bytes());
        out.extend((self.mac.len() as u16).to_be_bytes());
        out.extend(&self.mac);
        out.extend(self.original_id.to_be_bytes());
        out.extend(self.error.to_be_bytes());
        out.extend((self.other.len() as u16).to_be_bytes());
        out.extend(&self.other);
        out
    }

    fn read(rdata: &[u8], algorithm: TsigAlgorithm) -> Option<Self> {
        let name = Self::algorithm(algorithm);
        let (given, mut rest) = rdata.split_at_checked(name.len())?;
        if !given.eq_ignore_ascii_case(&name) {
            return None;
        }
        let mut take = |length: usize| {
            let (head, tail) = rest.split_at_checked(length)?;
            rest = tail;
            Some(head)
        };
        let word = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let time = word(take(6)?);
        let fudge = word(take(2)?) as u16;
        let length = word(take(2)?) as usize;
        let mac = take(length)?.to_vec();
        let original_id = word(take(2)?) as u16;
        let error = word(take(2)?) as u16;
        let length = word(take(2)?) as usize;
        let other = take(length)?.to_vec();
        Some(Self { time, fudge, mac, original_id, error, other })
    }

    /// Returns the data that is signed in addition to the message: everything, or only the times.
    fn variables(&self, key: &TsigKey, all: bool) -> Vec<u8> {
        let mut out = Vec::new();
        if all {
            out.extend(wire(key.name()));
            out.extend(ANY.to_be_bytes());
            out.extend(0_u32.to_be_bytes());
            out.extend(Self::algorithm(key.algorithm()));
        }
        out.extend(&self.time.to_be_bytes()[2..]);
        out.extend(self.fudge.to_be_bytes());
        if all {
            out.extend(self.error.to_be_bytes());
            out.extend((self.other.len() as u16).to_be_bytes());
            out.extend(&self.other);
        }
        out
    }
}

/// Signs a message at a time, in seconds since 1970, and returns the verifier of its response.
pub(super) fn sign<'a>(message: &mut Vec<u8>, key: &'a TsigKey, now: u64) -> Verifier<'a> {
    let original_id = u16::from_be_bytes([message[0], message[1]]);
    let mut signature =
        Signature { time: now, fudge: FUDGE, mac: Vec::new(), original_id, error: 0, other: Vec::new() };
    let digest = Digest::new(key).with(message).with(&signature.variables(key, true));
    signature.mac = digest.finish();
    append(message, key, &signature);
    Verifier { key, mac: signature.mac, pending: Vec::new(), unsigned: 0, first: true }
}

fn append(message: &mut Vec<u8>, key: &TsigKey, signature: &Signature) {
    let rdata = signature.write(key.algorithm());
    let record = Record { owner: wire(key.name()), rtype: TSIG, class: ANY, ttl: 0, rdata };
    let mut out = super::message::Writer::resume(std::mem::take(message));
    out.records(3, [&record]);
    *message = out.into_bytes();
}

/// The reason why a response is not authenticated, or the key not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Distrust {
    /// The server does not accept the key; its code. The response is not signed, so it may be forged.
    Key(Code),
    /// The clocks differ: the server's is this many seconds ahead.
    Clock(i64),
    /// The response is not signed, or not with this key; the reason.
    Answer(&'static str),
}

/// Verifies the messages of one response, in their order.
pub(super) struct Verifier<'a> {
    key: &'a TsigKey,
    /// The last signature, which the next one covers.
    mac: Vec<u8>,
    /// Messages since then that were not signed.
    pending: Vec<u8>,
    unsigned: usize,
    first: bool,
}

impl Verifier<'_> {
    /// Returns whether every message so far is covered by a signature.
    pub(super) fn settled(&self) -> bool {
        self.unsigned == 0 && !self.first
    }

    /// Verifies the next message of the response. The first one must be signed, and later ones at intervals.
    pub(super) fn check(&mut self, bytes: &[u8], message: &Message, now: u64) -> Result<(), Distrust> {
        let (Some(at), Some(record)) = (message.signed_at, message.additionals.last()) else {
            self.unsigned += 1;
            self.pending.extend(bytes);
            if self.first {
                return Err(Distrust::Answer("it is not signed"));
            }
            let enough = self.unsigned <= MOST_UNSIGNED;
            return if enough { Ok(()) } else { Err(Distrust::Answer("too much of it is not signed")) };
        };
        if record.owner.to_ascii_lowercase() != wire(self.key.name()) {
            return Err(Distrust::Answer("it is signed with another key"));
        }
        let Some(signature) = Signature::read(&record.rdata, self.key.algorithm()) else {
            return Err(self.unreadable(record));
        };
        let error = Code(signature.error);
        if signature.mac.is_empty() && error != Code::OK {
            return Err(Distrust::Key(error));
        }
        let digest = self.digest(bytes, at, &signature);
        if !digest.matches(&signature.mac) {
            return Err(Distrust::Answer("its signature is wrong"));
        }
        let ahead = match <[u8; 6]>::try_from(&signature.other[..]) {
            Ok([a, b, c, d, e, f]) if error == Code::BADTIME => u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
            _ => signature.time,
        };
        let ahead = ahead as i64 - now as i64;
        if error == Code::BADTIME || now.abs_diff(signature.time) > u64::from(signature.fudge) {
            return Err(Distrust::Clock(ahead));
        }
        if error != Code::OK {
            return Err(Distrust::Key(error));
        }
        (self.mac, self.first, self.unsigned) = (signature.mac, false, 0);
        self.pending.clear();
        Ok(())
    }

    /// Handles a server that does not know the key: it may name no algorithm, or another one.
    fn unreadable(&self, record: &Record) -> Distrust {
        let end = record.rdata.len();
        let error = record.rdata.get(end.saturating_sub(4)..end.saturating_sub(2)).map(|e| (e[0], e[1]));
        match error.map(|(high, low)| Code(u16::from_be_bytes([high, low]))) {
            Some(code @ (Code::BADKEY | Code::BADSIG)) => Distrust::Key(code),
            _ => Distrust::Answer("it is signed by another algorithm"),
        }
    }

    fn digest(&self, bytes: &[u8], at: usize, signature: &Signature) -> Digest {
        // The message before it was signed: with its first ID, and one record less.
        let mut head = bytes[..at].to_vec();
        head[..2].copy_from_slice(&signature.original_id.to_be_bytes());
        let count = u16::from_be_bytes([head[10], head[11]]).saturating_sub(1);
        head[10..12].copy_from_slice(&count.to_be_bytes());
        Digest::new(self.key)
            .with(&(self.mac.len() as u16).to_be_bytes())
            .with(&self.mac)
            .with(&self.pending)
            .with(&head)
            .with(&signature.variables(self.key, self.first))
    }
}

enum Digest {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

macro_rules! each {
    ($digest:expr, $mac:ident => $body:expr) => {
        match $digest {
            Digest::Sha1($mac) => $body,
            Digest::Sha256($mac) => $body,
            Digest::Sha384($mac) => $body,
            Digest::Sha512($mac) => $body,
        }
    };
}

fn keyed<M: Mac + KeyInit>(secret: &[u8]) -> M {
    <M as Mac>::new_from_slice(secret).expect("HMAC takes a key of any length")
}

impl Digest {
    fn new(key: &TsigKey) -> Self {
        let secret = key.secret_bytes();
        match key.algorithm() {
            TsigAlgorithm::HmacSha1 => Self::Sha1(keyed(&secret)),
            TsigAlgorithm::HmacSha256 => Self::Sha256(keyed(&secret)),
            TsigAlgorithm::HmacSha384 => Self::Sha384(keyed(&secret)),
            TsigAlgorithm::HmacSha512 => Self::Sha512(keyed(&secret)),
        }
    }

    fn with(mut self, bytes: &[u8]) -> Self {
        each!(&mut self, mac => mac.update(bytes));
        self
    }

    fn finish(self) -> Vec<u8> {
        each!(self, mac => mac.finalize().into_bytes().to_vec())
    }

    /// Compares in constant time, and accepts no truncated signature.
    fn matches(self, signature: &[u8]) -> bool {
        each!(self, mac => mac.verify_slice(signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{QUERY, Writer};
    use super::*;
    use crate::Name;

    const NOW: u64 = 1_700_000_000;

    fn key(algorithm: &str) -> TsigKey {
        TsigKey::parse(&format!("{algorithm}:k.example:c2VjcmV0IHNlY3JldA==")).unwrap()
    }

    fn question() -> Vec<u8> {
        Writer::new(7, QUERY, &Name::parse("example.com").unwrap(), 6).into_bytes()
    }

    /// Signs responses like a server: `covers` are the messages that this signature covers.
    struct Server {
        key: TsigKey,
        mac: Vec<u8>,
        first: bool,
    }

    impl Server {
        fn for_request(request: &[u8], key: TsigKey) -> Self {
            let message = Message::read(request).unwrap();
            let rdata = &message.additionals.last().unwrap().rdata;
            Self { mac: Signature::read(rdata, key.algorithm()).unwrap().mac, key, first: true }
        }

        fn sign(&mut self, unsigned: &[u8], message: &mut Vec<u8>, time: u64, error: Code, other: &[u8]) {
            let mut signature = Signature {
                time,
                fudge: FUDGE,
                mac: Vec::new(),
                original_id: u16::from_be_bytes([message[0], message[1]]),
                error: error.0,
                other: other.to_vec(),
            };
            let digest = Digest::new(&self.key).with(&(self.mac.len() as u16).to_be_bytes()).with(&self.mac);
            let digest =
                digest.with(unsigned).with(message).with(&signature.variables(&self.key, self.first));
            signature.mac = digest.finish();
            append(message, &self.key, &signature);
            (self.mac, self.first) = (signature.mac, false);
        }
    }

    fn check(verifier: &mut Verifier<'_>, bytes: &[u8]) -> Result<(), Distrust> {
        verifier.check(bytes, &Message::read(bytes).unwrap(), NOW)
    }

    #[test]
    fn an_answer_of_several_messages_is_believed_only_as_a_whole() {
        for algorithm in ["hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512"] {
            let key = key(algorithm);
            let mut request = question();
            let mut verifier = sign(&mut request, &key, NOW);
            let mut server = Server::for_request(&request, key.clone());
            let (mut first, second, mut third) = (question(), question(), question());
            server.sign(&[], &mut first, NOW, Code::OK, &[]);
            assert_eq!(check(&mut verifier, &first), Ok(()), "{algorithm}");
            assert!(verifier.settled());
            assert_eq!(check(&mut verifier, &second), Ok(()));
            assert!(!verifier.settled());
            server.sign(&second, &mut third, NOW + 1, Code::OK, &[]);
            let mut forged = Verifier { mac: verifier.mac.clone(), pending: vec![1], ..verifier };
            assert_eq!(check(&mut forged, &third), Err(Distrust::Answer("its signature is wrong")));
            let mut verifier = Verifier { pending: second, ..forged };
            assert_eq!(check(&mut verifier, &third), Ok(()));
            assert!(verifier.settled());
        }
    }

    #[test]
    fn an_answer_that_was_changed_or_stripped_is_not_believed() {
        let key = key("hmac-sha256");
        let mut request = question();
        let _ = sign(&mut request, &key, NOW);
        let mut answer = question();
        Server::for_request(&request, key.clone()).sign(&[], &mut answer, NOW, Code::OK, &[]);
        for at in [2, 3, 14, answer.len() - 20] {
            let mut verifier = sign(&mut question(), &key, NOW);
            let mut changed = answer.clone();
            changed[at] ^= 1;
            assert!(check(&mut verifier, &changed).is_err(), "byte {at}");
        }
        let mut verifier = sign(&mut question(), &key, NOW);
        assert_eq!(check(&mut verifier, &question()), Err(Distrust::Answer("it is not signed")));
        assert_eq!(check(&mut sign(&mut question(), &key, NOW), &answer), Ok(()));
    }

    #[test]
    fn the_difference_between_the_clocks_is_known_from_the_servers_own_time() {
        let key = key("hmac-sha256");
        let mut request = question();
        let mut verifier = sign(&mut request, &key, NOW);
        let mut answer = question();
        let theirs = (NOW - 4_000).to_be_bytes();
        Server::for_request(&request, key.clone()).sign(&[], &mut answer, NOW, Code::BADTIME, &theirs[2..]);
        assert_eq!(check(&mut verifier, &answer), Err(Distrust::Clock(-4_000)));
    }

    #[test]
    fn a_key_that_is_not_accepted_is_told_from_a_forged_answer() {
        let key = key("hmac-sha256");
        for code in [Code::BADKEY, Code::BADSIG] {
            let mut verifier = sign(&mut question(), &key, NOW);
            let mut answer = question();
            let signature = Signature {
                time: NOW,
                fudge: FUDGE,
                mac: Vec::new(),
                original_id: 7,
                error: code.0,
                other: Vec::new(),
            };
            append(&mut answer, &key, &signature);
            assert_eq!(check(&mut verifier, &answer), Err(Distrust::Key(code)));
        }
    }
}
