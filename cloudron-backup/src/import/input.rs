//! Extracts the tar from the file of an old backup.

use std::io::{BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cloudron_core::{Error, Result, Secret};

use super::cipher::{BLOCK, DecryptingReader, Derivation, cipher, decrypt};
use crate::backup::source::of_reader;
use crate::codes;
use crate::import::tar::looks_like_tar;

/// The number of bytes that identify the kind of file: the first block of a tar.
const HEAD: u64 = 512;
/// The minimum size of a backup: marker, salt and a block, or a gzip file with any content.
const SHORTEST: usize = 32;
/// The marker that `openssl enc` writes before the salt.
const SALTED: &[u8; 8] = b"Salted__";

/// The file itself, with the position of reading.
struct Raw {
    reader: Box<dyn Read + Send>,
    at: Arc<AtomicU64>,
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.reader.read(buffer) {
                Ok(n) => {
                    self.at.fetch_add(n as u64, Ordering::Relaxed);
                    return Ok(n);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                // Wrapped, to distinguish it from errors of decompression.
                Err(e) => return Err(std::io::Error::other(of_reader(e))),
            }
        }
    }
}

enum State {
    Closed(Raw, Option<Secret>),
    Open(Box<dyn Read + Send>),
    Failed,
}

/// The tar in the file of an old backup. The file is opened by the first read, on a thread that may block.
pub(super) struct Lazy {
    state: State,
    at: Arc<AtomicU64>,
}

impl Lazy {
    pub(super) fn boxed(reader: Box<dyn Read + Send>, key: Option<Secret>) -> Box<dyn Read + Send> {
        let at = Arc::new(AtomicU64::new(0));
        Box::new(Self { state: State::Closed(Raw { reader, at: at.clone() }, key), at })
    }

    fn read_tar(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if matches!(self.state, State::Closed(..))
            && let State::Closed(raw, key) = std::mem::replace(&mut self.state, State::Failed)
        {
            self.state = State::Open(open(raw, key.as_ref())?);
        }
        let State::Open(tar) = &mut self.state else {
            return Err(Error::new(&codes::OLD_BACKUP_CORRUPT, "it could not be read"));
        };
        tar.read(buffer).map_err(|e| match e.downcast::<Error>() {
            Ok(error) => error,
            Err(e) => {
                let at = self.at.load(Ordering::Relaxed);
                let text = format!("{e}, before byte {at} of the file");
                Error::new(&codes::OLD_BACKUP_CORRUPT, text)
            }
        })
    }
}

impl Read for Lazy {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.read_tar(buffer).map_err(std::io::Error::other)
    }
}

/// Detects the kind of a file, and unwraps it.
fn open(mut raw: Raw, key: Option<&Secret>) -> Result<Box<dyn Read + Send>> {
    let mut head = Vec::new();
    (&mut raw).take(HEAD).read_to_end(&mut head).map_err(of_reader)?;
    if head.len() < SHORTEST {
        let text = format!("the file has {} bytes only: it is cut, or something else", head.len());
        return Err(Error::new(&codes::OLD_BACKUP_CORRUPT, text));
    }
    if is_gzip(&head) {
        return Ok(gunzip(Cursor::new(head).chain(raw)));
    }
    if looks_like_tar(&head) {
        return Ok(Box::new(Cursor::new(head).chain(raw)));
    }
    let unknown = || {
        let text = "the file is neither a tar nor compressed by gzip nor encrypted by OpenSSL";
        Error::new(&codes::OLD_BACKUP_CORRUPT, text)
    };
    let hint = "give the backup key of the server that made it";
    let Some(rest) = head.strip_prefix(SALTED) else {
        // Servers from 2018 on encrypted without a salt, so that the content looks random.
        let Some(key) = key else { return Err(unknown().with_hint(format!("if it is encrypted, {hint}"))) };
        let cipher = cipher(key.expose().as_bytes(), &[], Derivation::Md5);
        if opens(&cipher, &head) {
            return Ok(gunzip(DecryptingReader::new(Cursor::new(head).chain(raw), cipher)));
        }
        let text = "the key does not open it, or it is no backup of the original Cloudron";
        return Err(Error::new(&codes::OLD_BACKUP_KEY, text).with_hint(hint));
    };
    let (salt, sealed) = rest.split_at(8);
    // A server without a key encrypted with the empty one.
    for password in [key.map_or("", Secret::expose), ""] {
        for derivation in [Derivation::Md5, Derivation::Sha256] {
            let cipher = cipher(password.as_bytes(), salt, derivation);
            if opens(&cipher, sealed) {
                return Ok(gunzip(DecryptingReader::new(Cursor::new(sealed.to_vec()).chain(raw), cipher)));
            }
        }
    }
    let text = match key {
        Some(_) => "the key does not open it",
        None => "it is encrypted",
    };
    Err(Error::new(&codes::OLD_BACKUP_KEY, text).with_hint(hint))
}

/// Checks whether the first block decrypts to the start of a gzip file.
fn opens(cipher: &cbc::Decryptor<aes::Aes256>, sealed: &[u8]) -> bool {
    let Some(mut block) = sealed.first_chunk::<BLOCK>().copied() else { return false };
    decrypt(&mut cipher.clone(), &mut block);
    is_gzip(&block)
}

/// Checks for a gzip header (RFC 1952, section 2.3): the magic, the only method, and no reserved flag.
fn is_gzip(start: &[u8]) -> bool {
    matches!(start, [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0)
}

fn gunzip(input: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(256 << 10, input)))
}
