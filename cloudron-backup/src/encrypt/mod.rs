//! Encryption and decryption of objects.

mod age;
mod layer;
mod payload;

use std::fmt::Debug;
use std::io::{Read, Seek, Write};

use cloudron_core::{Error, Result};

pub use self::age::{AgeIdentities, AgePassphrase, AgeRecipients};
pub use self::layer::EncryptionLayer;
use crate::codes;

/// A writer that must be finished: the output is complete only afterwards.
pub trait SealingWriter: Write + Send {
    /// Writes the remaining data.
    ///
    /// # Errors
    /// Errors of the output.
    fn finish(self: Box<Self>) -> std::io::Result<()>;
}

/// Encrypts objects.
pub trait Encryptor: Send + Sync + Debug {
    /// Returns a writer that encrypts its input into `output`.
    ///
    /// # Errors
    /// Errors of the output.
    fn seal<'a>(&self, output: Box<dyn Write + Send + 'a>) -> Result<Box<dyn SealingWriter + 'a>>;

    /// Encrypts data in memory.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    fn seal_bytes(&self, plain: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = Vec::with_capacity(plain.len() + plain.len() / 4096 + 1024);
        let failed = |e: std::io::Error| Error::io("(memory)", e);
        let mut writer = self.seal(Box::new(&mut sealed))?;
        writer.write_all(plain).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(sealed)
    }
}

/// An encrypted object with random access.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// Decrypts objects of an [`Encryptor`].
pub trait Decryptor: Send + Sync + Debug {
    /// Returns a reader of the plaintext. Reading fails with [`std::io::ErrorKind::InvalidData`] or
    /// `UnexpectedEof` if the object was changed or truncated.
    ///
    /// # Errors
    /// `object-corrupt` for other content, and for an object encrypted to other keys.
    fn open<'a>(&self, input: Box<dyn Read + Send + 'a>) -> Result<Box<dyn Read + Send + 'a>>;

    /// Decrypts data in memory.
    ///
    /// # Errors
    /// `object-corrupt` if it was changed, truncated, or encrypted to other keys.
    fn open_bytes(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        let mut plain = Vec::with_capacity(sealed.len());
        self.open(Box::new(sealed))?
            .read_to_end(&mut plain)
            .map_err(|e| Error::new(&codes::OBJECT_CORRUPT, format!("decryption failed: {e}")))?;
        Ok(plain)
    }

    /// Fills a buffer with the plaintext from `offset` on, authenticated, reading as little of the encrypted
    /// object as possible. The default implementation reads everything before it.
    ///
    /// # Errors
    /// `object-corrupt` if the part that was read was changed, truncated, or encrypted to other keys.
    fn open_part(&self, sealed: &mut dyn ReadSeek, offset: u64, part: &mut [u8]) -> Result<()> {
        let corrupt =
            |e: std::io::Error| Error::new(&codes::OBJECT_CORRUPT, format!("decryption failed: {e}"));
        let mut plain = self.open(Box::new(sealed))?;
        std::io::copy(&mut (&mut plain).take(offset), &mut std::io::sink()).map_err(corrupt)?;
        plain.read_exact(part).map_err(corrupt)
    }
}
