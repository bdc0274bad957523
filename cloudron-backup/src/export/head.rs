//! The header of a file in a tar: the ustar block, preceded by pax records (IEEE Std 1003.1) for values that
//! do not fit into it. The same entry always results in the same bytes, which resuming an export relies on.

use tar::{EntryType, Header};

use crate::format::manifest::{Entry, Kind};

/// The block size of a tar, in bytes.
pub(super) const BLOCK: usize = 512;
/// The end marker of a tar.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// The maximum length of a name in the header, in bytes.
const NAME: usize = 100;

/// Returns the blocks before the content. Names are relative to the root, as tar programs expect.
pub(super) fn head(entry: &Entry) -> Vec<u8> {
    let path = entry.path_bytes();
    let path = relative(&path);
    let target = entry.target();
    let target = match entry.kind {
        Kind::Hardlink => relative(&target),
        Kind::Symlink => &target[..],
        _ => b"",
    };
    let mut header = header(entry);
    put_name(&mut header, path, target);
    header.set_cksum();
    let records = records(entry, path, target);
    let mut head = Vec::new();
    if !records.is_empty() {
        head.extend_from_slice(extension(records.len()).as_bytes());
        head.extend_from_slice(&records);
        head.resize(head.len().next_multiple_of(BLOCK), 0);
    }
    head.extend_from_slice(header.as_bytes());
    head
}

fn relative(path: &[u8]) -> &[u8] {
    match path.strip_prefix(b"/").unwrap_or(path) {
        b"" => b".",
        path => path,
    }
}

fn put_name(header: &mut Header, path: &[u8], target: &[u8]) {
    let fit = |field: &mut [u8; NAME], name: &[u8]| {
        let length = name.len().min(NAME);
        field[..length].copy_from_slice(&name[..length]);
    };
    if let Some(header) = header.as_ustar_mut() {
        fit(&mut header.name, path);
        fit(&mut header.linkname, target);
    }
}

/// Returns the header of the records themselves.
fn extension(length: usize) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(length as u64);
    put_name(&mut header, b"././@PaxHeader", b"");
    header.set_cksum();
    header
}

fn header(entry: &Entry) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(match entry.kind {
        Kind::Dir => EntryType::Directory,
        Kind::Symlink => EntryType::Symlink,
        Kind::Hardlink => EntryType::Link,
        Kind::Fifo => EntryType::Fifo,
        Kind::Block => EntryType::Block,
        Kind::Char => EntryType::Char,
        Kind::File | Kind::End => EntryType::Regular,
    });
    header.set_mode(entry.mode);
    header.set_uid(entry.uid.into());
    header.set_gid(entry.gid.into());
    header.set_mtime(u64::try_from(entry.mtime.0).unwrap_or(0));
    header.set_size(super::content_size(entry));
    // A name that does not fit is left out: the number remains.
    let _ = header.set_username(entry.user.as_deref().unwrap_or_default());
    let _ = header.set_groupname(entry.group.as_deref().unwrap_or_default());
    if matches!(entry.kind, Kind::Block | Kind::Char) {
        let _ = header.set_device_major(entry.rdev.0).and_then(|()| header.set_device_minor(entry.rdev.1));
    }
    header
}

/// Returns the records for long names, times in nanoseconds, and extended attributes.
fn records(entry: &Entry, path: &[u8], target: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    if path.len() > NAME {
        record(&mut records, "path", path);
    }
    if target.len() > NAME {
        record(&mut records, "linkpath", target);
    }
    if entry.kind == Kind::Hardlink {
        return records;
    }
    let (seconds, nanos) = entry.mtime;
    if nanos != 0 || seconds < 0 {
        let time = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let (sign, time) = (if time < 0 { "-" } else { "" }, time.unsigned_abs());
        let text = format!("{sign}{}.{:09}", time / 1_000_000_000, time % 1_000_000_000);
        record(&mut records, "mtime", text.as_bytes());
    }
    for (name, value) in entry.xattrs() {
        record(&mut records, &format!("SCHILY.xattr.{}", keyword(&name)), &value);
    }
    records
}

/// Returns the name of an attribute in a record, where `=` ends it. `=` and `%` are escaped as in GNU tar.
fn keyword(name: &str) -> String {
    let escaped = |c: char| c == '=' || c == '%' || c.is_ascii_control();
    name.chars().map(|c| if escaped(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() }).collect()
}

/// Adds `<length> <name>=<value>\n`, where the length counts itself too.
fn record(records: &mut Vec<u8>, name: &str, value: &[u8]) {
    let rest = name.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    records.extend_from_slice(format!("{length} {name}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits records as the standard says.
    fn parse(mut records: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        while let Some(space) = records.iter().position(|b| *b == b' ') {
            let length: usize = std::str::from_utf8(&records[..space]).unwrap().parse().unwrap();
            let (record, rest) = records.split_at(length);
            let record = record[space + 1..].strip_suffix(b"\n").unwrap();
            let end = record.iter().position(|b| *b == b'=').unwrap();
            found.push((String::from_utf8(record[..end].to_vec()).unwrap(), record[end + 1..].to_vec()));
            records = rest;
        }
        assert!(records.is_empty(), "{records:?}");
        found
    }

    #[test]
    fn the_name_of_an_attribute_ends_no_record_and_begins_none() {
        let names =
            ["user.a=b\nc", "user.x\n30 path=/etc/passwd", "user.50%", "user.\u{fc} plain", "user.\0"];
        let mut entry = Entry::new(Kind::File, b"/s/a");
        entry.set_xattrs(&names.map(|name| (name.to_owned(), b"v=\n".to_vec())).to_vec());
        let escaped = ["a%3Db%0Ac", "x%0A30 path%3D/etc/passwd", "50%25", "\u{fc} plain", "%00"];
        let expected = escaped.map(|name| (format!("SCHILY.xattr.user.{name}"), b"v=\n".to_vec()));
        assert_eq!(parse(&records(&entry, b"s/a", b"")), expected);
    }

    #[test]
    fn the_length_of_a_record_counts_itself() {
        for length in (0..3000).chain([9_990, 99_990, 99_991, 99_992, 99_993]) {
            let mut records = Vec::new();
            record(&mut records, "x", &vec![b'v'; length]);
            let text = String::from_utf8(records).unwrap();
            assert_eq!(text.split_once(' ').unwrap().0, text.len().to_string());
        }
    }
}
