//! The header block of every member.

use crate::format::manifest::Kind;

/// The block size of a tar, in bytes.
pub(super) const BLOCK: usize = 512;

/// A parsed header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) flag: u8,
    pub(super) path: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) mtime: i64,
    pub(super) rdev: (u32, u32),
    pub(super) size: u64,
}

impl Header {
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, &'static str> {
        check_sum(block)?;
        let field = |from: usize, length: usize| &block[from..from + length];
        let small =
            |from, length| u32::try_from(number(field(from, length))?).map_err(|_| "a number is too large");
        let name = |from, length| Some(text(field(from, length))).filter(|n| !n.is_empty());
        let utf8 = |from, length| String::from_utf8(name(from, length)?).ok();
        let is_posix = field(257, 6) == b"ustar\0";
        let mut path = text(field(0, 100));
        // Star stores times at the end of the prefix field.
        let prefix_length = if field(508, 4) == b"tar\0" { 131 } else { 155 };
        if let Some(mut prefix) = name(345, prefix_length).filter(|_| is_posix) {
            prefix.push(b'/');
            prefix.append(&mut path);
            path = prefix;
        }
        let has_names = field(257, 5) == b"ustar";
        let flag = block[156];
        let is_device = matches!(flag, b'3' | b'4');
        Ok(Self {
            flag,
            path,
            target: text(field(157, 100)),
            mode: u32::try_from(number(field(100, 8))? & 0o7777).unwrap_or(0),
            uid: small(108, 8)?,
            gid: small(116, 8)?,
            user: has_names.then(|| utf8(265, 32)).flatten(),
            group: has_names.then(|| utf8(297, 32)).flatten(),
            mtime: number(field(136, 12))?,
            rdev: if is_device { (small(329, 8)?, small(337, 8)?) } else { (0, 0) },
            size: u64::try_from(number(field(124, 12))?).map_err(|_| "a size is negative")?,
        })
    }

    /// Returns the kind of the member. An unknown type is a file, as POSIX requires.
    pub(super) fn kind(&self) -> Kind {
        match self.flag {
            b'1' => Kind::Hardlink,
            b'2' => Kind::Symlink,
            b'3' => Kind::Char,
            b'4' => Kind::Block,
            b'5' | b'D' => Kind::Dir,
            b'6' => Kind::Fifo,
            _ => Kind::File,
        }
    }
}

/// Checks the sum of all bytes, with its own field as blanks. Old programs added signed bytes.
fn check_sum(block: &[u8; BLOCK]) -> Result<(), &'static str> {
    let said = number(&block[148..156])?;
    let bytes = || block.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { b' ' } else { *b });
    let unsigned: i64 = bytes().map(i64::from).sum();
    let signed: i64 = bytes().map(|b| i64::from(b as i8)).sum();
    if said == unsigned || said == signed { Ok(()) } else { Err("a header does not check") }
}

/// Checks whether the start of a stream is the first block of a tar.
pub(crate) fn looks_like_tar(start: &[u8]) -> bool {
    start.first_chunk().is_some_and(|block: &[u8; BLOCK]| check_sum(block).is_ok() && block[0] != 0)
}

/// Parses a number in octal digits, or in binary if the first byte is no digit.
pub(super) fn number(field: &[u8]) -> Result<i64, &'static str> {
    let bad = "a number in a header cannot be read";
    match field.first() {
        Some(0x80 | 0xff) => {
            let negative = field[0] == 0xff;
            let start = if negative { -1i128 } else { 0 };
            let value = field[1..].iter().fold(start, |n, b| (n.saturating_mul(256)) | i128::from(*b));
            i64::try_from(value).map_err(|_| bad)
        }
        _ => {
            let digits = text(field);
            let digits = std::str::from_utf8(&digits).map_err(|_| bad)?.trim();
            if digits.is_empty() { Ok(0) } else { i64::from_str_radix(digits, 8).map_err(|_| bad) }
        }
    }
}

/// Returns the bytes before the first NUL.
fn text(field: &[u8]) -> Vec<u8> {
    field.iter().copied().take_while(|b| *b != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_way_that_tars_write_them() {
        assert_eq!(number(b"0000644\0"), Ok(0o644));
        assert_eq!(number(b"   644 \0"), Ok(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Ok(0));
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]), Ok((2 << 32) + 1));
        assert_eq!(number(&[0xff; 12]), Ok(-1));
        assert!(number(b"00x").is_err());
        assert!(number(&[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
