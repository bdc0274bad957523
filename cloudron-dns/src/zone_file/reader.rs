//! Converts entries to record sets.

use std::collections::BTreeMap;

use super::lexer::{Entries, Entry, Word};
use super::{MAX_BYTES, Note, ReadOptions, ZoneFile, without_bom};
use crate::data::fields::{self, period, shown};
use crate::{Error, Name, RecordData, RecordKey, RecordSet, RecordType, Result, Ttl, codes};

/// Types that the name server itself generates in a signed zone: RRSIG, NSEC, NSEC3 and NSEC3PARAM; few tools can write
/// them.
const SIGNING: [(&str, u16); 4] = [("RRSIG", 46), ("NSEC", 47), ("NSEC3", 50), ("NSEC3PARAM", 51)];

/// Parses a zone file. Records of one name and type become one set; if their TTLs differ, the lowest is used and noted
/// (RFC 2181, section 5.2, requires one).
///
/// # Errors
/// `dns-zone-file` with the line and what was expected there.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<ZoneFile> {
    if bytes.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, more than the {MAX_BYTES} that are read", bytes.len());
        return Err(Error::new(&codes::ZONE_FILE, message));
    }
    let mut reader = Reader {
        origin: options.origin.clone(),
        owner: None,
        stated: None,
        default: None,
        fallback: options.ttl,
        drafts: BTreeMap::new(),
        notes: Vec::new(),
    };
    for entry in Entries::new(without_bom(bytes)) {
        let done = entry.and_then(|entry| reader.entry(&entry).map_err(|why| (entry.line, why)));
        done.map_err(|(line, why)| at_line(line, &why))?;
    }
    reader.finish()
}

fn at_line(line: usize, why: &str) -> Error {
    Error::new(&codes::ZONE_FILE, format!("line {line}: {why}"))
}

struct Reader {
    origin: Option<Name>,
    /// The owner of the last record.
    owner: Option<Name>,
    /// The last explicit TTL.
    stated: Option<Ttl>,
    /// The TTL of `$TTL`.
    default: Option<Ttl>,
    fallback: Ttl,
    drafts: BTreeMap<RecordKey, Draft>,
    notes: Vec<Note>,
}

struct Draft {
    line: usize,
    ttl: Ttl,
    values: Vec<RecordData>,
    /// The line with a different TTL.
    differs: Option<usize>,
    /// Texts that occur before with other string boundaries, and their lines.
    doubles: Vec<(usize, RecordData)>,
}

type Said<T> = std::result::Result<T, String>;

impl Reader {
    fn entry(&mut self, entry: &Entry) -> Said<()> {
        let first = &entry.words[0];
        if !entry.indented && !first.quoted && first.text.starts_with(b"$") {
            return self.directive(&first.text, &entry.words[1..]);
        }
        let (owner, rest) = if entry.indented {
            let owner = self.owner.clone().ok_or("there is no record before it whose name it could have")?;
            (owner, &entry.words[..])
        } else {
            (self.name(first)?, &entry.words[1..])
        };
        self.owner = Some(owner.clone());
        self.record(entry.line, owner, rest)
    }

    fn directive(&mut self, directive: &[u8], words: &[Word]) -> Said<()> {
        let text = String::from_utf8_lossy(directive).to_ascii_uppercase();
        let one = |what: &str| match words {
            [word] if !word.quoted => Ok(word),
            _ => Err(format!("expected {what} after {text}")),
        };
        match text.as_str() {
            "$ORIGIN" => self.origin = Some(self.name(one("one name")?)?),
            "$TTL" => self.default = Some(ttl(&one("a time such as 3600 or 1h")?.text)?),
            "$INCLUDE" => return Err("$INCLUDE is not read: put all records into one file".into()),
            "$GENERATE" => return Err("$GENERATE is not read: write the records out".into()),
            _ => return Err(format!("{} is not a directive: expected $ORIGIN or $TTL", shown(directive))),
        }
        Ok(())
    }

    /// Parses `[TTL] [CLASS] TYPE DATA` or `[CLASS] [TTL] TYPE DATA`.
    fn record(&mut self, line: usize, owner: Name, words: &[Word]) -> Said<()> {
        let mut stated = None;
        let mut class = false;
        let mut words = words;
        let rtype = loop {
            let (word, rest) = match words.split_first() {
                Some((word, rest)) if !word.quoted => (word, rest),
                Some((word, _)) => {
                    return Err(format!("{} is in quotes: expected a type", shown(&word.text)));
                }
                None => return Err("the record ends early: expected a type".into()),
            };
            words = rest;
            let text = String::from_utf8_lossy(&word.text).to_ascii_uppercase();
            let starts_with_digit = text.starts_with(|c: char| c.is_ascii_digit());
            match text.as_str() {
                _ if starts_with_digit && stated.is_none() => stated = Some(ttl(&word.text)?),
                "IN" | "CLASS1" if !class => class = true,
                "CH" | "HS" | "CS" | "NONE" | "ANY" => return Err(format!("class {text}: only IN is read")),
                other if other.starts_with("CLASS") => return Err(format!("{other}: only class IN is read")),
                _ if SIGNING
                    .iter()
                    .any(|(name, number)| *name == text || format!("TYPE{number}") == text) =>
                {
                    let what = format!("the {text} record was left out: the name server makes it");
                    self.notes.push(Note { line, what });
                    return Ok(());
                }
                _ => {
                    let known = text.parse::<RecordType>();
                    break known.map_err(|_| {
                        format!("{} is not a type: expected one such as A or TYPE65", shown(&word.text))
                    })?;
                }
            }
        };
        let name = |word: &[u8]| self.absolute(word);
        let value = fields::read(rtype, words, &name).map_err(|why| format!("{rtype}: {why}"))?;
        self.stated = stated.or(self.stated);
        let ttl = stated.or(self.default).or(self.stated).unwrap_or_else(|| self.implied(&value));
        self.add(line, RecordKey::new(owner, rtype), ttl, value);
        Ok(())
    }

    /// Returns the TTL before any explicit one: an SOA record's own minimum, as in BIND.
    fn implied(&mut self, value: &RecordData) -> Ttl {
        let minimum = match value {
            RecordData::Unknown { rtype: RecordType::SOA, rdata } => rdata.last_chunk::<4>(),
            _ => None,
        };
        match minimum.and_then(|bytes| Ttl::new(u32::from_be_bytes(*bytes)).ok()) {
            Some(ttl) => *self.stated.insert(ttl),
            None => self.fallback,
        }
    }

    fn add(&mut self, line: usize, key: RecordKey, ttl: Ttl, value: RecordData) {
        let new = Draft { line, ttl, values: Vec::new(), differs: None, doubles: Vec::new() };
        let draft = self.drafts.entry(key).or_insert(new);
        if draft.ttl != ttl {
            draft.differs = Some(line);
        }
        draft.ttl = draft.ttl.min(ttl);
        // Two records for a name server (RFC 1035, section 3.3.14), but one value here.
        if let RecordData::Txt(text) = &value {
            let same = |other: &RecordData| matches!(other, RecordData::Txt(o) if o == text && o.strings() != text.strings());
            if draft.values.iter().any(same) {
                draft.doubles.push((line, value.clone()));
            }
        }
        draft.values.push(value);
    }

    fn name(&self, word: &Word) -> Said<Name> {
        if word.quoted {
            return Err(format!("{} is in quotes: expected a name", shown(&word.text)));
        }
        self.absolute(&word.text)
    }

    /// Parses a name, and makes it absolute with the origin unless it ends with a dot.
    fn absolute(&self, word: &[u8]) -> Said<Name> {
        let origin = || {
            let hint = "give the whole name with a final dot, or $ORIGIN before";
            self.origin.as_ref().ok_or_else(|| format!("{} is relative to nothing: {hint}", shown(word)))
        };
        if word == b"@" {
            return origin().cloned();
        }
        let text = std::str::from_utf8(word).map_err(|_| format!("{} is not text", shown(word)))?;
        let name = match ends_with_dot(text) {
            true => Name::parse(text),
            false => Name::parse(&format!("{text}.{}", origin()?.without_dot())),
        };
        name.map_err(|e| e.message().to_owned())
    }

    fn finish(mut self) -> Result<ZoneFile> {
        let mut sets = Vec::new();
        for (key, draft) in self.drafts {
            if let Some(line) = draft.differs {
                let what =
                    format!("the records of {key} differ in their TTL: all get the lowest, {}", draft.ttl);
                self.notes.push(Note { line, what });
            }
            for (line, value) in &draft.doubles {
                let what =
                    format!("{key} is there once: {value} is the same text with other string boundaries");
                self.notes.push(Note { line: *line, what });
            }
            let set = RecordSet::new(key.name, draft.ttl, draft.values);
            sets.push(set.map_err(|e| at_line(draft.line, e.message()))?);
        }
        self.notes.sort_by_key(|note| note.line);
        Ok(ZoneFile { sets, notes: self.notes })
    }
}

/// Returns whether a name ends with an unescaped dot.
fn ends_with_dot(text: &str) -> bool {
    text.strip_suffix('.').is_some_and(|rest| {
        let escapes = rest.bytes().rev().take_while(|b| *b == b'\\').count();
        escapes % 2 == 0
    })
}

fn ttl(word: &[u8]) -> Said<Ttl> {
    let seconds = std::str::from_utf8(word).ok().and_then(period);
    let expected = || format!("{} is not a TTL: expected a time such as 3600 or 1h30m", shown(word));
    Ttl::new(seconds.ok_or_else(expected)?).map_err(|e| e.message().to_owned())
}
