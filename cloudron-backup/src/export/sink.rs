//! The output of an export: a plain tar, or through zstd and age.

use std::io::{BufWriter, Read, Write};
use std::path::PathBuf;

use cloudron_core::Result;

use super::{ExportFormat, SealTo, output_failed};
use crate::encrypt::{AgeIdentities, AgePassphrase, AgeRecipients, Decryptor, Encryptor, SealingWriter};
use crate::keys::Identity;

/// The compression level: at this one zstd keeps up with a disk.
const LEVEL: i32 = 3;
const BUFFER: usize = 256 << 10;

enum Layers<'a> {
    Plain(BufWriter<Box<dyn Write + Send + 'a>>),
    Sealed(zstd::stream::write::Encoder<'static, Box<dyn SealingWriter + 'a>>),
}

/// Writes a tar to its output.
pub(super) struct Sink<'a> {
    layers: Layers<'a>,
    path: PathBuf,
}

impl<'a> Sink<'a> {
    pub(super) fn new(
        output: Box<dyn Write + Send + 'a>,
        format: &ExportFormat,
        identity: &Identity,
        path: PathBuf,
    ) -> Result<Self> {
        let output = BufWriter::with_capacity(BUFFER, output);
        let layers = match format {
            ExportFormat::Tar => Layers::Plain(output),
            ExportFormat::TarZstdAge(to) => {
                let sealed = encryptor(to, identity)?.seal(Box::new(output))?;
                let encoder = zstd::stream::write::Encoder::new(sealed, LEVEL);
                let mut encoder = encoder.map_err(|e| output_failed(&path, e))?;
                encoder.include_checksum(true).map_err(|e| output_failed(&path, e))?;
                Layers::Sealed(encoder)
            }
        };
        Ok(Self { layers, path })
    }

    pub(super) fn write(&mut self, content: &[u8]) -> Result<()> {
        let written = match &mut self.layers {
            Layers::Plain(output) => output.write_all(content),
            Layers::Sealed(output) => output.write_all(content),
        };
        written.map_err(|e| output_failed(&self.path, e))
    }

    /// Flushes the data written so far.
    pub(super) fn flush(&mut self) -> Result<()> {
        let flushed = match &mut self.layers {
            Layers::Plain(output) => output.flush(),
            Layers::Sealed(output) => output.flush(),
        };
        flushed.map_err(|e| output_failed(&self.path, e))
    }

    /// Writes the remaining data.
    pub(super) fn finish(self) -> Result<()> {
        let finished = match self.layers {
            Layers::Plain(mut output) => output.flush(),
            Layers::Sealed(output) => output.finish().and_then(SealingWriter::finish),
        };
        finished.map_err(|e| output_failed(&self.path, e))
    }
}

fn encryptor(to: &SealTo, identity: &Identity) -> Result<Box<dyn Encryptor>> {
    let own = identity.recipient();
    Ok(match to {
        SealTo::Repository => Box::new(AgeRecipients::parse([own])?),
        SealTo::Recipients(others) => {
            let others = others.iter().filter(|r| **r != own).cloned();
            Box::new(AgeRecipients::parse(others.chain([own.clone()]))?)
        }
        SealTo::Passphrase(passphrase) => {
            Box::new(AgePassphrase::new(passphrase.clone(), AgePassphrase::WORK_FACTOR))
        }
    })
}

/// Returns the tar in a partial file, as far as it goes: reading fails where it was truncated.
pub(super) fn read_back<'a>(
    input: Box<dyn Read + Send + 'a>,
    format: &ExportFormat,
    identity: &Identity,
) -> Result<Box<dyn Read + 'a>> {
    let opened = match format {
        ExportFormat::Tar => return Ok(input),
        ExportFormat::TarZstdAge(SealTo::Passphrase(passphrase)) => {
            AgePassphrase::new(passphrase.clone(), AgePassphrase::WORK_FACTOR).open(input)?
        }
        ExportFormat::TarZstdAge(_) => AgeIdentities::parse([&identity.to_secret()])?.open(input)?,
    };
    let decoder = zstd::stream::read::Decoder::new(opened);
    Ok(Box::new(decoder.map_err(|e| output_failed("(zstd)".as_ref(), e))?))
}
