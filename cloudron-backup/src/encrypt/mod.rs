//! How objects are sealed and opened.

mod age;
mod layer;
mod payload;

use std::fmt::Debug;
use std::io::{Read, Seek, Write};

use cloudron_core::{Error, Result};

pub use self::age::{AgeIdentities, AgePassphrase, AgeRecipients};
pub use self::layer::EncryptionLayer;
use crate::codes;

/// A writer that must be finished: what was written is complete only after that.
pub trait SealingWriter: Write + Send {
    /// Writes what is left.
    ///
    /// # Errors
    /// What the output reports.
    fn finish(self: Box<Self>) -> std::io::Result<()>;
}

/// Seals objects.
pub trait Encryptor: Send + Sync + Debug {
    /// A writer whose input comes out sealed in `output`.
    ///
    /// # Errors
    /// What the output reports.
    fn seal<'a>(&self, output: Box<dyn Write + Send + 'a>) -> Result<Box<dyn SealingWriter + 'a>>;

    /// Seals something in memory.
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

/// A sealed object that is read in places.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// Opens what an [`Encryptor`] sealed.
pub trait Decryptor: Send + Sync + Debug {
    /// A reader of the plain content. Reading fails with [`std::io::ErrorKind::InvalidData`] or
    /// `UnexpectedEof` where the sealed content was changed or cut.
    ///
    /// # Errors
    /// `object-corrupt` for what is not a sealed object of this kind, and for one sealed to others.
    fn open<'a>(&self, input: Box<dyn Read + Send + 'a>) -> Result<Box<dyn Read + Send + 'a>>;

    /// Opens something in memory.
    ///
    /// # Errors
    /// `object-corrupt` where it was changed, cut, or sealed to others.
    fn open_bytes(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        let mut plain = Vec::with_capacity(sealed.len());
        self.open(Box::new(sealed))?
            .read_to_end(&mut plain)
            .map_err(|e| Error::new(&codes::OBJECT_CORRUPT, format!("decryption failed: {e}")))?;
        Ok(plain)
    }

    /// Fills a buffer with the plain content from `offset` on, checked, reading as little of the sealed object as
    /// it can. By default, everything before it is read.
    ///
    /// # Errors
    /// `object-corrupt` where what was read was changed, cut, or sealed to others.
    fn open_part(&self, sealed: &mut dyn ReadSeek, offset: u64, part: &mut [u8]) -> Result<()> {
        let corrupt =
            |e: std::io::Error| Error::new(&codes::OBJECT_CORRUPT, format!("decryption failed: {e}"));
        let mut plain = self.open(Box::new(sealed))?;
        std::io::copy(&mut (&mut plain).take(offset), &mut std::io::sink()).map_err(corrupt)?;
        plain.read_exact(part).map_err(corrupt)
    }
}
