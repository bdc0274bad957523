//! Fields and packets of SSH (RFC 4251, section 5; RFC 4253, section 6; RFC 5647 as implemented by OpenSSH).

use std::io::{self, Read, Write};
use std::net::TcpStream;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Maximum size of a packet, in bytes.
const MOST: usize = 1 << 20;

/// Writes the fields of a message.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn message(number: u8) -> Self {
        Self(vec![number])
    }

    pub(super) fn byte(self, byte: u8) -> Self {
        self.raw(&[byte])
    }

    pub(super) fn number(self, number: u32) -> Self {
        self.raw(&number.to_be_bytes())
    }

    pub(super) fn string(self, text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        self.number(text.len() as u32).raw(text)
    }

    /// Writes a positive number of any length, big-endian.
    pub(super) fn positive(self, bytes: &[u8]) -> Self {
        let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
        let bytes = &bytes[start..];
        match bytes.first() {
            Some(first) if first & 0x80 != 0 => self.string([&[0], bytes].concat()),
            _ => self.string(bytes),
        }
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads the fields of a message.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> io::Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn number(&mut self) -> io::Result<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn string(&mut self) -> io::Result<&'a [u8]> {
        let length = self.number()? as usize;
        self.take(length)
    }
}

/// Pads a message so that its length, without the first `apart` bytes, is a multiple of 16.
fn padded(message: &[u8], apart: usize) -> Vec<u8> {
    let length = 5 + message.len() - apart;
    let padding = 16 - length % 16 + if 16 - length % 16 < 4 { 16 } else { 0 };
    let packet = Writer::default().number((1 + message.len() + padding) as u32).byte(padding as u8);
    packet.raw(message).raw(&vec![0; padding]).done()
}

/// Returns the message in a packet without its length.
fn message(packet: &[u8]) -> io::Result<Vec<u8>> {
    let (padding, rest) = packet.split_first().ok_or(io::ErrorKind::UnexpectedEof)?;
    let end = rest.len().checked_sub(usize::from(*padding)).ok_or(io::ErrorKind::InvalidData)?;
    Ok(rest[..end].to_vec())
}

fn length(stream: &mut TcpStream) -> io::Result<([u8; 4], usize)> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    let length = u32::from_be_bytes(bytes) as usize;
    if length > MOST { Err(io::ErrorKind::InvalidData.into()) } else { Ok((bytes, length)) }
}

pub(super) fn send_clear(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    stream.write_all(&padded(message, 0))
}

pub(super) fn receive_clear(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (_, length) = length(stream)?;
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet)?;
    message(&packet)
}

/// The key of one direction and its counter.
struct Half {
    key: LessSafeKey,
    nonce: [u8; 12],
}

impl Half {
    fn new((key, nonce): (&[u8], &[u8])) -> Self {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes"));
        Self { key, nonce: nonce[..12].try_into().expect("12 bytes") }
    }

    /// Returns the nonce of the next packet: four fixed bytes and a counter.
    fn next(&mut self) -> Nonce {
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let counter = u64::from_be_bytes(self.nonce[4..].try_into().expect("8 bytes")).wrapping_add(1);
        self.nonce[4..].copy_from_slice(&counter.to_be_bytes());
        nonce
    }
}

/// A connection with encrypted packets.
pub(super) struct Sealed {
    stream: TcpStream,
    theirs: Half,
    ours: Half,
}

impl Sealed {
    pub(super) fn new(stream: TcpStream, theirs: (&[u8], &[u8]), ours: (&[u8], &[u8])) -> Self {
        Self { stream, theirs: Half::new(theirs), ours: Half::new(ours) }
    }

    pub(super) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let packet = padded(message, 4);
        let (length, body) = packet.split_at(4);
        let mut sealed = body.to_vec();
        let nonce = self.ours.next();
        let done = self.ours.key.seal_in_place_append_tag(nonce, Aad::from(length), &mut sealed);
        done.map_err(|_| io::Error::other("sealing"))?;
        self.stream.write_all(&[length, &sealed].concat())
    }

    pub(super) fn receive(&mut self) -> io::Result<Vec<u8>> {
        let (bytes, length) = length(&mut self.stream)?;
        let mut sealed = vec![0; length + 16];
        self.stream.read_exact(&mut sealed)?;
        let nonce = self.theirs.next();
        let opened = self.theirs.key.open_in_place(nonce, Aad::from(bytes), &mut sealed);
        message(opened.map_err(|_| io::Error::other("a packet that was changed"))?)
    }
}
