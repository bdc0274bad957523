//! The records of pax, for values that do not fit into the header.

use super::sparse::Data;
use crate::files::xattrs::{self, Xattrs};

/// The holes of a file according to the records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SparseRecords {
    /// True if the map is before the content: version 1.0 of the format.
    pub(super) in_content: bool,
    pub(super) size: Option<u64>,
    pub(super) map: Vec<Data>,
    offset: Option<u64>,
}

/// The records of a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Xattrs,
    pub(super) sparse: Option<SparseRecords>,
}

const BAD: &str = "a pax record cannot be read";

impl Records {
    /// Parses records: `<length> <name>=<value>\n`, where the length counts all of it.
    pub(super) fn add(&mut self, mut text: &[u8]) -> Result<(), &'static str> {
        while !text.is_empty() {
            let blank = text.iter().position(|b| *b == b' ').ok_or(BAD)?;
            let length: usize = parse(&text[..blank])?;
            if length <= blank || length > text.len() || text[length - 1] != b'\n' {
                return Err(BAD);
            }
            let record = &text[blank + 1..length - 1];
            let equals = record.iter().position(|b| *b == b'=').ok_or(BAD)?;
            self.record(&record[..equals], &record[equals + 1..])?;
            text = &text[length..];
        }
        Ok(())
    }

    fn record(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let Ok(name) = std::str::from_utf8(name) else { return Ok(()) };
        let utf8 = || String::from_utf8(value.to_vec()).ok().filter(|t| !t.is_empty());
        if let Some(attribute) = name.strip_prefix("SCHILY.xattr.") {
            // The last one of a name wins.
            self.xattrs.retain(|(n, _)| n != attribute);
            if xattrs::is_kept(attribute) {
                self.xattrs.push((attribute.to_owned(), value.to_vec()));
                self.xattrs.sort();
            }
            return Ok(());
        }
        if let Some(what) = name.strip_prefix("GNU.sparse.") {
            return self.sparse(what, value);
        }
        match name {
            "path" => self.path = Some(value.to_vec()),
            "linkpath" => self.target = Some(value.to_vec()),
            "size" => self.size = Some(parse(value)?),
            "uid" => self.uid = Some(parse(value)?),
            "gid" => self.gid = Some(parse(value)?),
            "uname" => self.user = utf8(),
            "gname" => self.group = utf8(),
            "mtime" => self.mtime = Some(time(value)?),
            _ => {}
        }
        Ok(())
    }

    fn sparse(&mut self, what: &str, value: &[u8]) -> Result<(), &'static str> {
        let sparse = self.sparse.get_or_insert_default();
        match what {
            "name" => self.path = Some(value.to_vec()),
            "major" => sparse.in_content = parse::<u32>(value)? >= 1,
            "size" | "realsize" => sparse.size = Some(parse(value)?),
            "offset" => sparse.offset = Some(parse(value)?),
            "numbytes" => {
                sparse.map.push(Data { offset: sparse.offset.take().ok_or(BAD)?, length: parse(value)? })
            }
            "map" => {
                let numbers: Vec<u64> = value.split(|b| *b == b',').map(parse).collect::<Result<_, _>>()?;
                if !numbers.len().is_multiple_of(2) {
                    return Err(BAD);
                }
                sparse.map =
                    numbers.chunks(2).map(|pair| Data { offset: pair[0], length: pair[1] }).collect();
            }
            _ => {}
        }
        Ok(())
    }
}

pub(super) fn parse<T: std::str::FromStr>(text: &[u8]) -> Result<T, &'static str> {
    std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).ok_or(BAD)
}

/// Parses seconds with a fraction into seconds, rounded down, and nanoseconds.
fn time(text: &[u8]) -> Result<(i64, u32), &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| BAD)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().map_err(|_| BAD)?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BAD);
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: u32 = digits.parse().map_err(|_| BAD)?;
    match (whole.starts_with('-'), nanos) {
        (true, 1..) => Ok((seconds.checked_sub(1).ok_or(BAD)?, 1_000_000_000 - nanos)),
        _ => Ok((seconds, nanos)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_hold_any_bytes() {
        let mut records = Records::default();
        for bad in [
            &b"13 path=a\nb=c\n"[..],
            b"15 path=a\nb=c\n",
            b"path=a\n",
            b"x path=a\n",
            b"9 pathaaa\n",
            b"2 \n",
        ] {
            assert!(records.add(bad).is_err());
        }
        records.add(b"14 path=a\nb=c\n20 mtime=-1.2500000\n").unwrap();
        records.add(b"27 SCHILY.xattr.user.x=\n\0\n\n").unwrap();
        assert_eq!(records.path.unwrap(), b"a\nb=c");
        assert_eq!(records.mtime, Some((-2, 750_000_000)));
        assert_eq!(records.xattrs, [("user.x".to_owned(), b"\n\0\n".to_vec())]);
    }

    #[test]
    fn times_before_1970_round_down() {
        assert_eq!(time(b"-0.5"), Ok((-1, 500_000_000)));
        assert_eq!(time(b"12"), Ok((12, 0)));
        assert_eq!(time(b"12.1234567899"), Ok((12, 123_456_789)));
        assert!(time(b"1.x").is_err());
        assert!(time(b"-9223372036854775808.5").is_err());
    }
}
