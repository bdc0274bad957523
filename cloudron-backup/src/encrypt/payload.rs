//! The payload of an age file: 64 KiB pieces, each encrypted with ChaCha20-Poly1305 with its number and a
//! flag for the last piece as the nonce. See <https://age-encryption.org/v1>, "Payload".
//!
//! The crate `age` does the same at less than half of the speed.

use std::io::{Error, ErrorKind, Result, SeekFrom, Write};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

use super::{ReadSeek, SealingWriter};

const PIECE: usize = 64 << 10;
const SEALED: usize = PIECE + 16;

/// The key of a payload. It is used for one file only.
pub(super) struct PayloadKey(LessSafeKey);

impl PayloadKey {
    pub(super) fn derive(file_key: &[u8], nonce: &[u8; 16]) -> Self {
        let secret = Salt::new(HKDF_SHA256, nonce).extract(file_key);
        let okm = secret.expand(&[b"payload"], &CHACHA20_POLY1305).expect("a key is short enough");
        Self(LessSafeKey::new(UnboundKey::from(okm)))
    }

    fn seal(&self, number: u64, last: bool, piece: &mut Vec<u8>) -> Result<()> {
        let sealed = self.0.seal_in_place_append_tag(nonce(number, last), Aad::empty(), piece);
        sealed.map_err(|_| Error::other("a piece cannot be sealed"))
    }

    fn open<'p>(&self, number: u64, last: bool, piece: &'p mut [u8]) -> Result<&'p [u8]> {
        let opened = self.0.open_in_place(nonce(number, last), Aad::empty(), piece);
        opened.map(|plain| &*plain).map_err(|_| Error::new(ErrorKind::InvalidData, "decryption error"))
    }
}

/// Returns the nonce: eleven bytes of the number, and one byte for the flag of the last piece.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(last);
    Nonce::assume_unique_for_key(nonce)
}

/// Encrypts a payload.
pub(super) struct PayloadWriter<W> {
    key: PayloadKey,
    number: u64,
    piece: Vec<u8>,
    output: W,
}

impl<W: Write> PayloadWriter<W> {
    /// Writes the header, and begins the payload after it.
    pub(super) fn new(key: PayloadKey, header: &[u8], mut output: W) -> Result<Self> {
        output.write_all(header)?;
        Ok(Self { key, number: 0, piece: Vec::with_capacity(SEALED), output })
    }

    fn seal(&mut self, last: bool) -> Result<()> {
        self.key.seal(self.number, last, &mut self.piece)?;
        self.output.write_all(&self.piece)?;
        self.number += 1;
        self.piece.clear();
        Ok(())
    }
}

impl<W: Write> Write for PayloadWriter<W> {
    fn write(&mut self, content: &[u8]) -> Result<usize> {
        // A piece is encrypted once it is known not to be the last one.
        if self.piece.len() == PIECE && !content.is_empty() {
            self.seal(false)?;
        }
        let length = content.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&content[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> Result<()> {
        self.output.flush()
    }
}

impl<W: Write + Send> SealingWriter for PayloadWriter<W> {
    fn finish(mut self: Box<Self>) -> Result<()> {
        self.seal(true)?;
        self.output.flush()
    }
}

/// Fills `part` with the plaintext from `offset` on. The file must be positioned after its header; `key`
/// returns the payload's key for the nonce that follows the header.
pub(super) fn read_part(
    key: impl FnOnce(&[u8; 16]) -> PayloadKey,
    sealed: &mut dyn ReadSeek,
    offset: u64,
    part: &mut [u8],
) -> Result<()> {
    let mut nonce = [0; 16];
    sealed.seek(SeekFrom::Current(-16))?;
    sealed.read_exact(&mut nonce)?;
    let key = key(&nonce);
    let start = sealed.stream_position()?;
    let length = sealed.seek(SeekFrom::End(0))?.saturating_sub(start);
    let pieces = length.div_ceil(SEALED as u64);
    let (mut number, mut skip) = (offset / PIECE as u64, (offset % PIECE as u64) as usize);
    let (mut piece, mut rest) = (vec![0; SEALED], part);
    sealed.seek(SeekFrom::Start(start.saturating_add(number.saturating_mul(SEALED as u64))))?;
    while !rest.is_empty() {
        if number >= pieces {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let here = (length - number * SEALED as u64).min(SEALED as u64) as usize;
        sealed.read_exact(&mut piece[..here])?;
        let plain = key.open(number, number + 1 == pieces, &mut piece[..here])?;
        let found = plain.get(skip..).unwrap_or_default();
        let taken = found.len().min(rest.len());
        rest[..taken].copy_from_slice(&found[..taken]);
        rest = &mut rest[taken..];
        (number, skip) = (number + 1, 0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::encrypt::{AgeIdentities, AgeRecipients, Decryptor, Encryptor};
    use crate::keys::Identity;

    fn keys() -> (AgeRecipients, AgeIdentities) {
        let identity = Identity::generate();
        let recipients = AgeRecipients::parse([identity.recipient()]).unwrap();
        (recipients, AgeIdentities::parse([&identity.to_secret()]).unwrap())
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n / 251) as u8 ^ n as u8).collect()
    }

    #[test]
    fn what_is_sealed_here_opens_with_the_crate_whatever_its_length() {
        let (recipients, identities) = keys();
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7] {
            let plain = content(length);
            let mut sealed = Vec::new();
            let mut writer = recipients.seal(Box::new(&mut sealed)).unwrap();
            plain.chunks(7_777).for_each(|part| writer.write_all(part).unwrap());
            writer.finish().unwrap();
            assert_eq!(identities.open_bytes(&sealed).unwrap(), plain, "{length}");
        }
    }

    #[test]
    fn any_part_is_read_and_none_behind_the_end() {
        let (recipients, identities) = keys();
        let plain = content(2 * PIECE + 100);
        let sealed = recipients.seal_bytes(&plain).unwrap();
        for (offset, length) in
            [(0, 10), (0, plain.len()), (PIECE - 1, 2), (PIECE, PIECE), (2 * PIECE + 99, 1)]
        {
            let mut part = vec![0; length];
            identities.open_part(&mut Cursor::new(&sealed), offset as u64, &mut part).unwrap();
            assert_eq!(part, plain[offset..offset + length], "{length} at {offset}");
        }
        for (offset, length) in [(0, plain.len() + 1), (plain.len(), 1), (usize::MAX, 1)] {
            let mut part = vec![0; length];
            assert!(identities.open_part(&mut Cursor::new(&sealed), offset as u64, &mut part).is_err());
        }
    }

    #[test]
    fn a_part_that_was_changed_or_cut_is_refused() {
        let (recipients, identities) = keys();
        let sealed = recipients.seal_bytes(&content(2 * PIECE)).unwrap();
        let open = |sealed: &[u8]| identities.open_part(&mut Cursor::new(sealed), 0, &mut vec![0; 2 * PIECE]);
        open(&sealed).unwrap();
        for at in (0..sealed.len()).step_by(997) {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&changed).is_err(), "byte {at}");
            assert!(open(&sealed[..at]).is_err(), "cut at {at}");
        }
        let mut first = vec![0; 10];
        let cut = &sealed[..sealed.len() - SEALED];
        assert!(
            identities.open_part(&mut Cursor::new(cut), 0, &mut first).is_err(),
            "the last one has a mark"
        );
    }
}
