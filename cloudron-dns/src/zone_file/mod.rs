//! Zone files in the standard presentation format (RFC 1035, section 5), and lists of record sets in JSON.
//!
//! ```
//! use cloudron_dns::{Name, zone_file};
//!
//! let text = b"$TTL 1h\n@  IN MX 10 my\nmy IN A  192.0.2.1 ; the server\n";
//! let read = zone_file::read(text, &zone_file::ReadOptions::new(Name::parse("example.com")?))?;
//! assert_eq!(read.sets[0].to_string(), "example.com. 3600 IN MX 10 my.example.com.");
//! # Ok::<(), cloudron_dns::Error>(())
//! ```
//!
//! Supported are `$ORIGIN`, `$TTL` (RFC 2308), times with units, parentheses, comments, blank owners, escapes, quoted
//! and plain strings, and data as bytes (RFC 3597). `$INCLUDE` and `$GENERATE` are refused. Signatures and denials of
//! DNSSEC are skipped, because the name server generates them. [`write()`] returns a canonical file: the same sets give
//! the same bytes.

#[cfg(feature = "json")]
mod json;
mod lexer;
mod reader;
mod writer;

#[cfg(feature = "json")]
pub use json::from_json;
pub(crate) use lexer::{Word, words};
pub use reader::read;
pub use writer::{check_complete, write};

use crate::{Name, RecordSet, Ttl};

/// Maximum size of a file, in bytes.
pub const MAX_BYTES: usize = 64 << 20;

/// Maximum length of a record or directive over all its lines, in bytes. The longest possible data of a record fits,
/// even if all of it is escaped.
pub const MAX_ENTRY: usize = 512 << 10;

/// Options for reading a zone file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The origin of relative names before the first `$ORIGIN`; without it, relative names are refused.
    pub origin: Option<Name>,
    /// The TTL of records before the first TTL in the file.
    pub ttl: Ttl,
}

impl ReadOptions {
    /// Creates options with this origin and a default TTL of five minutes.
    pub fn new(origin: Name) -> Self {
        Self { origin: Some(origin), ttl: Ttl::DEFAULT }
    }

    /// Sets another default TTL.
    pub fn with_ttl(self, ttl: Ttl) -> Self {
        Self { ttl, ..self }
    }
}

/// The contents of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZoneFile {
    /// The record sets, sorted by name and type.
    pub sets: Vec<RecordSet>,
    /// Deviations from the file.
    pub notes: Vec<Note>,
}

/// A part of the file that was not taken literally.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The line, from 1.
    pub line: usize,
    /// The deviation, as text.
    pub what: String,
}

/// Reads a zone file, or a JSON list of record sets, up to [`MAX_BYTES`].
///
/// # Errors
/// As [`read_any`], and those of reading, with `name` for the file.
#[cfg(feature = "json")]
pub fn read_from(
    file: impl std::io::Read,
    name: &std::path::Path,
    options: &ReadOptions,
) -> crate::Result<ZoneFile> {
    use std::io::Read;
    let mut bytes = Vec::new();
    // One byte more than is allowed shows that there are too many.
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|e| crate::Error::io(name, e))?;
    read_any(&bytes, options)
}

/// Parses a zone file, or a JSON list of record sets; the first non-blank character decides.
///
/// # Errors
/// As [`read()`] and [`from_json`].
#[cfg(feature = "json")]
pub fn read_any(bytes: &[u8], options: &ReadOptions) -> crate::Result<ZoneFile> {
    let text = without_bom(bytes);
    match text.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'[' | b'{') => Ok(ZoneFile { sets: from_json(text)?, notes: Vec::new() }),
        _ => read(bytes, options),
    }
}

fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}
