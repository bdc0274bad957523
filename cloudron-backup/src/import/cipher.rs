//! Decrypts old backups: AES-256 in CBC mode, as in `openssl enc -aes-256-cbc` and `crypto.createCipher` of
//! Node.js. There is no authentication: deliberate changes are not detected here.

use std::io::{Error, ErrorKind, Read};

use aes::Aes256;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecryptMut, KeyIvInit};
use md5::Digest as _;
use sha2::Digest as _;
use zeroize::Zeroizing;

/// The length of a block, in bytes.
pub(super) const BLOCK: usize = 16;
/// The lengths of the key and of the initial vector, in bytes.
const KEY_AND_IV: usize = 48;
/// The number of bytes decrypted at once.
const PART: usize = 64 << 10;

type Cbc = cbc::Decryptor<Aes256>;

/// The hash that derives the key from the password.
#[derive(Debug, Clone, Copy)]
pub(super) enum Derivation {
    /// The default of OpenSSL before 1.1.0, and of Node.js.
    Md5,
    /// The default since.
    Sha256,
}

/// Creates the cipher for a password, by EVP_BytesToKey with one round.
pub(super) fn cipher(password: &[u8], salt: &[u8], derivation: Derivation) -> Cbc {
    let derived = match derivation {
        Derivation::Md5 => derive(password, salt, |text| md5::Md5::digest(text).to_vec()),
        Derivation::Sha256 => derive(password, salt, |text| sha2::Sha256::digest(text).to_vec()),
    };
    let (key, iv) = derived.split_at(32);
    Cbc::new(GenericArray::from_slice(key), GenericArray::from_slice(iv))
}

/// Derives key and initial vector: concatenated hashes, each of the previous hash, the password and the salt.
fn derive(password: &[u8], salt: &[u8], hash: impl Fn(&[u8]) -> Vec<u8>) -> Zeroizing<Vec<u8>> {
    let mut derived = Zeroizing::new(Vec::with_capacity(2 * KEY_AND_IV));
    let mut last = Zeroizing::new(Vec::new());
    while derived.len() < KEY_AND_IV {
        last = Zeroizing::new(hash(&Zeroizing::new([&last, password, salt].concat())));
        derived.extend_from_slice(&last);
    }
    derived.truncate(KEY_AND_IV);
    derived
}

/// Decrypts whole blocks in place.
pub(super) fn decrypt(cipher: &mut Cbc, blocks: &mut [u8]) {
    for block in blocks.chunks_exact_mut(BLOCK) {
        cipher.decrypt_block_mut(GenericArray::from_mut_slice(block));
    }
}

/// Decrypts a stream, and removes the padding of its last block (PKCS #7).
pub(super) struct DecryptingReader<R> {
    input: R,
    cipher: Cbc,
    /// Encrypted bytes not processed yet: the last block is known only at the end.
    sealed: Vec<u8>,
    plain: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> DecryptingReader<R> {
    pub(super) fn new(input: R, cipher: Cbc) -> Self {
        let (sealed, plain) = (Vec::with_capacity(PART + BLOCK), Vec::with_capacity(PART + BLOCK));
        Self { input, cipher, sealed, plain, at: 0, ended: false }
    }

    fn fill(&mut self) -> std::io::Result<()> {
        let before = self.sealed.len();
        self.sealed.resize(before + PART, 0);
        let read = self.input.read(&mut self.sealed[before..]);
        self.sealed.truncate(before + read.as_ref().map_or(0, |n| *n));
        self.ended = read? == 0;
        let usable = match self.ended {
            true => self.sealed.len(),
            false => self.sealed.len().saturating_sub(1) / BLOCK * BLOCK,
        };
        let cut = |text| Err(Error::new(ErrorKind::InvalidData, text));
        if self.ended && (usable == 0 || usable % BLOCK != 0) {
            return cut("the encrypted data is cut");
        }
        (self.plain, self.at) = (self.sealed.drain(..usable).collect(), 0);
        decrypt(&mut self.cipher, &mut self.plain);
        if self.ended {
            let filler = usize::from(*self.plain.last().unwrap_or(&0));
            let content = self.plain.len().checked_sub(filler).filter(|_| (1..=BLOCK).contains(&filler));
            match content {
                Some(end) if self.plain[end..].iter().all(|b| usize::from(*b) == filler) => {
                    self.plain.truncate(end);
                }
                _ => return cut("the end of the encrypted data is missing or damaged"),
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for DecryptingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.plain.len() && !self.ended {
            self.fill()?;
        }
        let length = buffer.len().min(self.plain.len() - self.at);
        buffer[..length].copy_from_slice(&self.plain[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
