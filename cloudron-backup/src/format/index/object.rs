//! An index object: lines of packs, signed by their author.

use std::io::{BufRead, BufReader, Read, Write};

use bytes::Bytes;
use cloudron_core::{Error, Result};
use ed25519_dalek::Signer as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::PackEntry;
use crate::chunk::frame::MAX_CHUNK;
use crate::codes;
use crate::encrypt::{Decryptor, Encryptor};
use crate::format::pack;
use crate::format::trust::{Source, Trust};
use crate::keys::{Signer, WriterId};

/// The start of the signed text, followed by the SHA-256 of all lines.
const SIGNED: &[u8] = b"cloudron-backup index v2\n";
/// The version of the header.
const VERSION: u32 = 2;
/// The maximum ratio of unpacked to packed size of an index: two thirds of it are ids, which do not compress.
const MOST_UNPACKED: usize = 16;
/// The maximum length of a chunk's frame, in bytes.
const MAX_FRAME: u32 = MAX_CHUNK + (1 << 20);

/// The purpose of an object's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Packs in use.
    Index,
    /// Packs to be deleted.
    Condemned,
}

/// The context that an object belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) kind: Kind,
    pub(crate) repository: &'a str,
    /// The original writer of the lines, if the owner only passes them on. The owner has read and hashed all
    /// packs in other objects it signs.
    pub(crate) of: Option<WriterId>,
}

/// The lines of an object.
#[derive(Debug)]
pub(crate) struct Lines {
    /// The author of the lines.
    pub(crate) source: Source,
    pub(crate) entries: Vec<PackEntry>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    index: u32,
    kind: Kind,
    repository: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<WriterId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<Value>,
}

#[derive(Serialize, Deserialize)]
struct Trailer {
    signature: String,
}

fn corrupt(text: impl Into<String>) -> Error {
    Error::new(&codes::OBJECT_CORRUPT, text)
}

/// Encodes lines into an object.
pub(crate) fn encode(
    entries: &[PackEntry],
    scope: Scope<'_>,
    signer: &Signer,
    key: &dyn Encryptor,
) -> Result<Bytes> {
    let failed = |e: std::io::Error| Error::io("(memory)", e);
    let certificate = signer.certificate.as_ref();
    let certificate = certificate.map(|c| serde_json::to_value(c).expect("a certificate is plain JSON"));
    let Scope { kind, repository, of } = scope;
    let header = Header { index: VERSION, kind, repository: repository.to_owned(), of, certificate };
    let mut packed = zstd::stream::write::Encoder::new(Vec::new(), 3).map_err(failed)?;
    let (mut hash, mut line) = (Sha256::new(), Vec::new());
    let mut write = |line: &mut Vec<u8>| {
        line.push(b'\n');
        hash.update(&line[..]);
        let written = packed.write_all(line).map_err(failed);
        line.clear();
        written
    };
    serde_json::to_writer(&mut line, &header).map_err(|e| failed(e.into()))?;
    write(&mut line)?;
    for entry in entries {
        serde_json::to_writer(&mut line, entry).map_err(|e| failed(e.into()))?;
        write(&mut line)?;
    }
    let signature = hex::encode(signer.key.sign(&signed_text(hash)).to_bytes());
    let mut trailer = serde_json::to_vec(&Trailer { signature }).map_err(|e| failed(e.into()))?;
    trailer.push(b'\n');
    packed.write_all(&trailer).map_err(failed)?;
    Ok(key.seal_bytes(&packed.finish().map_err(failed)?)?.into())
}

fn signed_text(hash: Sha256) -> Vec<u8> {
    [SIGNED, &hash.finalize()[..]].concat()
}

/// Decodes the lines of an object. Anybody can encrypt one to the keys of a repository: its content is
/// limited before it is used, and returned only after the signature was checked.
///
/// # Errors
/// `object-foreign` without a valid signature; `object-corrupt`.
pub(crate) fn decode(content: &[u8], key: &dyn Decryptor, trust: &Trust, kind: Kind) -> Result<Lines> {
    let mut lines = Unpacked::new(content, key)?;
    if trust.is_first() {
        return lines.all_of_first();
    }
    let header = match lines.next()? {
        Some(()) => serde_json::from_slice::<Header>(&lines.line),
        None => return Err(corrupt("the index is empty")),
    };
    let foreign = |text: &str| Error::new(&codes::OBJECT_FOREIGN, text);
    let Ok(header) = header else { return Err(foreign("it has no header, so that nobody signed it")) };
    if header.index != VERSION || header.kind != kind || header.repository != trust.repository() {
        return Err(foreign("it is of another kind or of another repository"));
    }
    let (entries, trailer) = lines.rest()?;
    let text = signed_text(lines.hash);
    match trust.source_of_bytes(header.certificate.as_ref(), &text, &trailer.signature) {
        Some(Source::Owner) => Ok(Lines { source: header.of.map_or(Source::Owner, Source::Writer), entries }),
        Some(source) if kind == Kind::Index && header.of.is_none() => Ok(Lines { source, entries }),
        _ => Err(foreign("nobody signed it whose word counts here")),
    }
}

/// Checks whether an object is of format 1.
pub(crate) fn is_first(content: &[u8], key: &dyn Decryptor) -> bool {
    let first = Unpacked::new(content, key).and_then(|mut lines| {
        lines.next()?;
        entry(&lines.line)
    });
    first.is_ok()
}

/// The content of an object, decrypted and decompressed.
type Plain<'a> = zstd::stream::read::Decoder<'static, BufReader<Box<dyn Read + Send + 'a>>>;

/// The lines of an object as a stream.
struct Unpacked<'a> {
    reader: BufReader<std::io::Take<Plain<'a>>>,
    left: usize,
    line: Vec<u8>,
    hash: Sha256,
}

impl<'a> Unpacked<'a> {
    fn new(content: &'a [u8], key: &dyn Decryptor) -> Result<Self> {
        let opened = key.open(Box::new(content))?;
        let reader = zstd::stream::read::Decoder::new(opened)
            .map_err(|e| corrupt(format!("the index does not decompress: {e}")))?;
        let left = content.len().saturating_mul(MOST_UNPACKED).saturating_add(1 << 20);
        let reader = BufReader::new(reader.take(left as u64 + 1));
        Ok(Self { reader, left, line: Vec::new(), hash: Sha256::new() })
    }

    /// Reads a line. Returns `None` at the end.
    fn next(&mut self) -> Result<Option<()>> {
        self.line.clear();
        let length = self.reader.read_until(b'\n', &mut self.line);
        let length = length.map_err(|e| corrupt(format!("the index is cut or changed: {e}")))?;
        let left = self.left.checked_sub(length);
        self.left = left.ok_or_else(|| corrupt("the index unpacks to too much"))?;
        Ok((length > 0).then_some(()))
    }

    /// Reads the lines after the header, and the signature.
    fn rest(&mut self) -> Result<(Vec<PackEntry>, Trailer)> {
        let mut entries = Vec::new();
        self.hash.update(&self.line);
        while self.next()?.is_some() {
            if self.line.starts_with(b"{\"signature\"") {
                let trailer = serde_json::from_slice(&self.line)
                    .map_err(|e| corrupt(format!("the signature of the index is damaged: {e}")))?;
                return match self.next()? {
                    None => Ok((entries, trailer)),
                    Some(()) => Err(corrupt("something is behind the signature of the index")),
                };
            }
            self.hash.update(&self.line);
            entries.push(entry(&self.line)?);
        }
        Err(corrupt("the index is cut"))
    }

    /// Reads the lines of an object of format 1, which is not signed.
    fn all_of_first(&mut self) -> Result<Lines> {
        let mut entries = Vec::new();
        while self.next()?.is_some() {
            entries.push(entry(&self.line)?);
        }
        Ok(Lines { source: Source::Unverified, entries })
    }
}

/// Parses a line and checks its values: chunks in order inside of the pack, none longer than the maximum.
fn entry(line: &[u8]) -> Result<PackEntry> {
    let entry: PackEntry =
        serde_json::from_slice(line).map_err(|e| corrupt(format!("a line of the index is damaged: {e}")))?;
    let mut end = 0_u64;
    for chunk in &entry.chunks {
        let (offset, length) = (u64::from(chunk.offset), u64::from(chunk.length));
        if chunk.length > MAX_FRAME || chunk.raw > MAX_CHUNK || offset < end {
            return Err(corrupt("the index names a chunk as none is written"));
        }
        end = offset + length;
    }
    if end > entry.size || entry.size > pack::MOST {
        return Err(corrupt("the index names a pack as none is written"));
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::ChunkId;
    use crate::encrypt::{AgeIdentities, AgeRecipients};
    use crate::format::index::PackedChunk;
    use crate::keys::Identity;

    const SCOPE: Scope<'_> = Scope { kind: Kind::Index, repository: "ab", of: None };

    struct Fixture {
        identity: Identity,
        seal: AgeRecipients,
        open: AgeIdentities,
        trust: Trust,
    }

    fn fixture() -> Fixture {
        let identity = Identity::generate();
        Fixture {
            seal: AgeRecipients::parse([identity.recipient()]).unwrap(),
            open: AgeIdentities::parse([&identity.to_secret()]).unwrap(),
            trust: Trust::of_owner("ab", identity.owner_key().verifying_key()),
            identity,
        }
    }

    fn line(chunks: Vec<PackedChunk>) -> PackEntry {
        PackEntry { pack: ChunkId([1; 32]), size: 1000, chunks }
    }

    fn chunk(offset: u32, length: u32) -> PackedChunk {
        PackedChunk { id: ChunkId([2; 32]), offset, length, raw: length }
    }

    impl Fixture {
        fn decode(&self, object: &[u8], kind: Kind) -> Result<Lines> {
            decode(object, &self.open, &self.trust, kind)
        }

        fn encode(&self, lines: &[PackEntry], scope: Scope<'_>, signer: &Signer) -> Bytes {
            encode(lines, scope, signer, &self.seal).unwrap()
        }
    }

    #[test]
    fn lines_are_the_word_of_who_signed_them() {
        let f = fixture();
        let keys = f.identity.writer_keys();
        let (writer, owner) = (keys.signer().unwrap(), f.identity.owner_signer());
        let lines = [line(vec![chunk(0, 10), chunk(10, 5)])];
        let source = |object: &[u8]| f.decode(object, Kind::Index).map(|l| (l.source, l.entries.len()));
        assert_eq!(source(&f.encode(&lines, SCOPE, &owner)).unwrap(), (Source::Owner, 1));
        assert_eq!(source(&f.encode(&lines, SCOPE, &writer)).unwrap(), (Source::Writer(keys.writer()), 1));
        let of = Some(keys.writer());
        let passed_on = f.encode(&lines, Scope { of, ..SCOPE }, &owner);
        assert_eq!(source(&passed_on).unwrap(), (Source::Writer(keys.writer()), 1));
        let foreign = |object: &[u8], kind| f.decode(object, kind).unwrap_err().is(&codes::OBJECT_FOREIGN);
        let stranger = Identity::generate();
        for signer in [stranger.owner_signer(), stranger.writer_keys().signer().unwrap()] {
            assert!(foreign(&f.encode(&lines, SCOPE, &signer), Kind::Index));
        }
        assert!(foreign(&f.encode(&lines, Scope { of, ..SCOPE }, &writer), Kind::Index));
        assert!(foreign(&f.encode(&lines, Scope { repository: "cd", ..SCOPE }, &owner), Kind::Index));
        // An object of packs in use is not accepted as a record, and no writer may condemn.
        assert!(foreign(&f.encode(&lines, SCOPE, &owner), Kind::Condemned));
        let condemned = Scope { kind: Kind::Condemned, ..SCOPE };
        assert!(foreign(&f.encode(&lines, condemned, &writer), Kind::Condemned));
        f.decode(&f.encode(&lines, condemned, &owner), Kind::Condemned).unwrap();
    }

    #[test]
    fn nothing_in_an_object_can_be_changed_left_out_or_put_behind_it() {
        let f = fixture();
        let object = f.encode(&[line(vec![chunk(0, 10)]), line(vec![])], SCOPE, &f.identity.owner_signer());
        let packed = f.open.open_bytes(&object).unwrap();
        let text = String::from_utf8(zstd::decode_all(&packed[..]).unwrap()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let seal = |text: &str| f.seal.seal_bytes(&zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
        assert!(f.decode(&seal(&text), Kind::Index).is_ok());
        let without = |n: usize| {
            let kept: Vec<&str> =
                lines.iter().enumerate().filter(|(i, _)| *i != n).map(|(_, l)| *l).collect();
            kept.join("\n") + "\n"
        };
        for n in 0..lines.len() {
            assert!(f.decode(&seal(&without(n)), Kind::Index).is_err(), "without line {n}");
        }
        assert!(f.decode(&seal(&text.replace("1000", "1001")), Kind::Index).is_err());
        assert!(f.decode(&seal(&format!("{text}{}\n", lines[1])), Kind::Index).is_err());
    }

    #[test]
    fn a_line_that_claims_what_no_pack_holds_is_refused() {
        let f = fixture();
        let owner = f.identity.owner_signer();
        let huge = PackedChunk { raw: MAX_CHUNK + 1, ..chunk(0, 10) };
        for chunks in [
            vec![chunk(0, 1001)],
            vec![chunk(0, 10), chunk(9, 5)],
            vec![chunk(10, 5), chunk(0, 10)],
            vec![chunk(u32::MAX, 10)],
            vec![chunk(0, u32::MAX)],
            vec![huge],
        ] {
            let object = f.encode(&[line(chunks.clone())], SCOPE, &owner);
            assert!(f.decode(&object, Kind::Index).unwrap_err().is(&codes::OBJECT_CORRUPT), "{chunks:?}");
        }
        let large = PackEntry { size: u64::MAX, ..line(vec![]) };
        assert!(f.decode(&f.encode(&[large], SCOPE, &owner), Kind::Index).is_err());
    }
}
