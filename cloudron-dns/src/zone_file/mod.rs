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
//! Read are `$ORIGIN`, `$TTL` (RFC 2308), times with units, parentheses, comments, blank owners, escapes, quoted and
//! plain strings, and data as bytes (RFC 3597). `$INCLUDE` and `$GENERATE` are refused. Signatures and denials of
//! DNSSEC are left out: the name server makes them. [`write()`] gives a canonical file: the same sets, the same bytes.

#[cfg(feature = "json")]
mod json;
mod lexer;
mod reader;
mod writer;

#[cfg(feature = "json")]
pub use json::from_json;
pub(crate) use lexer::{Word, words};
pub use reader::read;
pub use writer::write;

use crate::{Name, RecordSet, Ttl};

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 64 << 20;

/// The longest record or directive, in bytes, over all its lines. The longest data of a record fits, all of it escaped.
pub const MAX_ENTRY: usize = 512 << 10;

/// How a zone file is read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReadOptions {
    /// What relative names are relative to until `$ORIGIN` says otherwise; without it they are refused.
    pub origin: Option<Name>,
    /// The time to live of records before any was stated.
    pub ttl: Ttl,
}

impl ReadOptions {
    /// Names are relative to this one, and records that state none live for five minutes.
    pub fn new(origin: Name) -> Self {
        Self { origin: Some(origin), ttl: Ttl::DEFAULT }
    }

    /// The same options with another time to live where none is stated.
    pub fn with_ttl(self, ttl: Ttl) -> Self {
        Self { ttl, ..self }
    }
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZoneFile {
    /// The record sets, sorted by name and type.
    pub sets: Vec<RecordSet>,
    /// What was not taken as it is written.
    pub notes: Vec<Note>,
}

/// Something that was not taken as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The line, from 1.
    pub line: usize,
    /// What was done instead.
    pub what: String,
}

/// Reads a zone file, or a JSON list of record sets; the first character that is no blank tells which.
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
