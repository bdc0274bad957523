//! Fields of record data in presentation form, for types whose data is a sequence of simple fields.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{location, service};
use crate::name::unescape;
use crate::zone_file::Word;
use crate::{Name, RecordData, RecordType};

/// One field of record data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Ipv4,
    Ipv6,
    Name,
    U8,
    U16,
    U32,
    /// A number of seconds, optionally with units.
    Period,
    /// A string of at most 255 bytes (RFC 1035, section 3.3).
    Text,
    /// One or more strings; longer ones are split.
    Texts,
    /// A string of letters and digits (RFC 8659, section 4.1.1).
    Tag,
    /// The rest of the data, as one string.
    Rest,
    /// The rest of the data, in hexadecimal digits with optional blanks.
    Hex,
    /// The rest of the data, in base64 with optional blanks.
    Base64,
    /// A DNSSEC algorithm, by number or mnemonic (RFC 4034, appendix A.1).
    Algorithm,
    /// Bytes in hexadecimal digits: the number of groups, the bytes per group, and the separator.
    Groups(usize, usize, char),
    /// A location (RFC 1876).
    Location,
    /// The parameters of a service binding (RFC 9460, section 2.1).
    Parameters,
}

use Field::{
    Algorithm, Base64, Groups, Hex, Ipv4, Ipv6, Location, Parameters, Period, Rest, Tag, Text, Texts, U8,
    U16, U32,
};

/// Returns the fields of a type's data; `None` for a type that is written as bytes only (RFC 3597).
fn fields(rtype: RecordType) -> Option<&'static [Field]> {
    Some(match rtype {
        RecordType::A => &[Ipv4],
        RecordType::AAAA => &[Ipv6],
        RecordType::NS | RecordType::CNAME | RecordType::PTR | RecordType::DNAME => &[Field::Name],
        RecordType::SOA => &[Field::Name, Field::Name, U32, Period, Period, Period, Period],
        RecordType::MX => &[U16, Field::Name],
        RecordType::TXT => &[Texts],
        RecordType::SRV => &[U16, U16, U16, Field::Name],
        // RFC 3403, section 4.1.
        RecordType::NAPTR => &[U16, U16, Text, Text, Text, Field::Name],
        // RFC 4034, section 5.3.
        RecordType::DS => DELEGATION,
        // RFC 4255, section 3.2.
        RecordType::SSHFP => &[U8, U8, Hex],
        RecordType::DNSKEY => KEY,
        RecordType::TLSA => CERTIFICATE,
        RecordType::SVCB | RecordType::HTTPS => &[U16, Field::Name, Parameters],
        RecordType::CAA => &[U8, Tag, Rest],
        RecordType(number) => return rare(number),
    })
}

const DELEGATION: &[Field] = &[U16, Algorithm, U8, Hex];
/// RFC 4034, section 2.2.
const KEY: &[Field] = &[U16, U8, Algorithm, Base64];
/// RFC 6698, section 2.2.
const CERTIFICATE: &[Field] = &[U8, U8, U8, Hex];

/// Returns the fields of rarely used types, by number.
fn rare(number: u16) -> Option<&'static [Field]> {
    Some(match number {
        // MD, MF, MB, MG, MR (RFC 1035, section 3.3), NSAP-PTR (RFC 1706).
        3 | 4 | 7 | 8 | 9 | 23 => &[Field::Name],
        // HINFO (RFC 1035, section 3.3.2).
        13 => &[Text, Text],
        // MINFO (RFC 1035, section 3.3.7), RP (RFC 1183), TALINK.
        14 | 17 | 58 => &[Field::Name, Field::Name],
        // AFSDB and RT (RFC 1183), KX (RFC 2230), LP (RFC 6742).
        18 | 21 | 36 | 107 => &[U16, Field::Name],
        // X25 (RFC 1183).
        19 => &[Text],
        // KEY (RFC 2535), RKEY, CDNSKEY (RFC 7344).
        25 | 57 | 60 => KEY,
        // PX (RFC 2163).
        26 => &[U16, Field::Name, Field::Name],
        // GPOS (RFC 1712).
        27 => &[Text, Text, Text],
        // LOC (RFC 1876).
        29 => &[Location],
        // CERT (RFC 4398).
        37 => &[U16, U16, Algorithm, Base64],
        // DHCID (RFC 4701), OPENPGPKEY (RFC 7929).
        49 | 61 => &[Base64],
        // SMIMEA (RFC 8162).
        53 => CERTIFICATE,
        // NINFO, SPF (RFC 4408), AVC, RESINFO (RFC 9606), WALLET, CLA.
        56 | 99 | 258 | 261 | 262 | 263 => &[Texts],
        // CDS (RFC 7344), TA, DLV (RFC 4431).
        59 | 32768 | 32769 => DELEGATION,
        // ZONEMD (RFC 8976).
        63 => &[U32, U8, U8, Hex],
        // NID, L32, L64 (RFC 6742).
        104 | 106 => &[U16, Groups(4, 2, ':')],
        105 => &[U16, Ipv4],
        // EUI48, EUI64 (RFC 7043).
        108 => &[Groups(6, 1, '-')],
        109 => &[Groups(8, 1, '-')],
        // URI (RFC 7553).
        256 => &[U16, U16, Rest],
        _ => return None,
    })
}

/// The mnemonics of IANA's registry of DNSSEC algorithms.
const ALGORITHMS: &[(&str, u8)] = &[
    ("DELETE", 0),
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

impl Field {
    /// Describes the expected input.
    fn wanted(self) -> &'static str {
        match self {
            Ipv4 => "an IPv4 address",
            Ipv6 => "an IPv6 address",
            Field::Name => "a name",
            U8 => "a number from 0 to 255",
            U16 => "a number from 0 to 65535",
            U32 => "a number",
            Period => "a time such as 3600 or 1h",
            Text => "a string of at most 255 bytes",
            Texts | Rest => "a string",
            Tag => "a property such as issue",
            Hex => "hexadecimal digits",
            Base64 => "base 64",
            Algorithm => "an algorithm such as 13 or ECDSAP256SHA256",
            Groups(..) => "groups of hexadecimal digits",
            Location => "a place such as 52 22 23 N 4 53 32 E 2m",
            Parameters => "parameters such as alpn=h2 port=8443",
        }
    }

    /// Returns whether the field takes all remaining words.
    fn takes_all(self) -> bool {
        matches!(self, Texts | Hex | Base64 | Location | Parameters)
    }

    /// Returns whether the field may be empty.
    fn may_be_missing(self) -> bool {
        self == Parameters
    }

    /// Returns whether the field may be quoted.
    fn is_string(self) -> bool {
        matches!(self, Text | Texts | Tag | Rest)
    }

    /// Converts a word in presentation form to the field's bytes on the wire. Names are made absolute by `name`.
    fn read(self, word: &[u8], name: &Absolute<'_>) -> Result<Vec<u8>, String> {
        let text = std::str::from_utf8(word).ok();
        let wanted = || format!("{} is not {}", shown(word), self.wanted());
        let number = |most: u64| {
            let digits = text.filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
            digits.and_then(|t| t.parse::<u64>().ok()).filter(|n| *n <= most).ok_or_else(wanted)
        };
        let be = |number: u64, width: usize| number.to_be_bytes()[8 - width..].to_vec();
        match self {
            Ipv4 => {
                let address: Option<Ipv4Addr> = text.and_then(|t| t.parse().ok());
                Ok(address.ok_or_else(wanted)?.octets().to_vec())
            }
            Ipv6 => {
                let address: Option<Ipv6Addr> = text.and_then(|t| t.parse().ok());
                Ok(address.ok_or_else(wanted)?.octets().to_vec())
            }
            Field::Name => Ok(super::wire::name_bytes(&name(word)?)),
            U8 => Ok(be(number(u8::MAX.into())?, 1)),
            U16 => Ok(be(number(u16::MAX.into())?, 2)),
            U32 => Ok(be(number(u32::MAX.into())?, 4)),
            Period => Ok(be(text.and_then(period).ok_or_else(wanted)?.into(), 4)),
            Text => {
                let string = unescaped(word).filter(|s| s.len() <= 255).ok_or_else(wanted)?;
                Ok([vec![string.len() as u8], string].concat())
            }
            Texts => {
                let string = unescaped(word).ok_or_else(wanted)?;
                let strings = super::Text::new(string);
                Ok(strings.strings().iter().flat_map(|s| [vec![s.len() as u8], s.clone()].concat()).collect())
            }
            Tag => {
                let tag = text.filter(|t| (1..=255).contains(&t.len())).ok_or_else(wanted)?;
                let plain = tag.bytes().all(|b| b.is_ascii_alphanumeric());
                let tag = plain.then(|| tag.to_ascii_lowercase().into_bytes()).ok_or_else(wanted)?;
                Ok([vec![tag.len() as u8], tag].concat())
            }
            Rest => unescaped(word).ok_or_else(wanted),
            Hex => from_hex(word).ok_or_else(wanted),
            Base64 => from_base64(word).ok_or_else(wanted),
            Algorithm => {
                let named =
                    text.and_then(|t| ALGORITHMS.iter().find(|(name, _)| name.eq_ignore_ascii_case(t)));
                named.map_or_else(|| Ok(be(number(u8::MAX.into())?, 1)), |(_, number)| Ok(vec![*number]))
            }
            Groups(count, width, mark) => {
                let groups: Vec<&str> = text.ok_or_else(wanted)?.split(mark).collect();
                let fits = groups.len() == count && groups.iter().all(|group| group.len() == 2 * width);
                from_hex(groups.concat().as_bytes()).filter(|_| fits).ok_or_else(wanted)
            }
            // Read from all words at once.
            Location | Parameters => Err(wanted()),
        }
    }
}

/// Makes names in data absolute.
pub(crate) type Absolute<'a> = dyn Fn(&[u8]) -> Result<Name, String> + 'a;

/// Parses data from the words of its presentation form, including the bytes form of RFC 3597.
///
/// # Errors
/// The problem and the expected input.
pub(crate) fn read(rtype: RecordType, words: &[Word], name: &Absolute<'_>) -> Result<RecordData, String> {
    let rdata = match words.split_first() {
        None => return Err(format!("the data of the {rtype} record is missing: expected {}", form(rtype))),
        Some((first, rest)) if !first.quoted && first.text == br"\#" => generic(rest)?,
        Some(_) => by_fields(rtype, words, name)?,
    };
    if rdata.len() > usize::from(u16::MAX) {
        return Err(format!("the data has {} bytes, more than the 65535 that are allowed", rdata.len()));
    }
    RecordData::from_rdata(rtype, &rdata).map_err(|e| e.message().to_owned())
}

fn by_fields(rtype: RecordType, words: &[Word], name: &Absolute<'_>) -> Result<Vec<u8>, String> {
    let fields = fields(rtype)
        .ok_or_else(|| format!(r"the data of type {rtype} is given as bytes: expected `\# LENGTH HEX`"))?;
    let mut rdata = Vec::new();
    let mut left = words;
    let expected = |why: String| format!("{why}: expected {}", form(rtype));
    for field in fields {
        let Some((first, rest)) = left.split_first() else {
            if field.may_be_missing() {
                continue;
            }
            return Err(expected(format!("{} is missing", field.wanted())));
        };
        if matches!(field, Location | Parameters) {
            let words = std::mem::take(&mut left);
            let read = if *field == Location { location::read(words) } else { service::read(words) };
            rdata.extend(read.map_err(expected)?);
            continue;
        }
        if first.quoted && !field.is_string() {
            return Err(expected(format!("{} is in quotes", shown(&first.text))));
        }
        let taken = if field.takes_all() { std::mem::take(&mut left) } else { std::slice::from_ref(first) };
        if !field.takes_all() {
            left = rest;
        }
        if matches!(field, Hex | Base64) {
            let digits: Vec<u8> = taken.iter().flat_map(|word| word.text.clone()).collect();
            rdata.extend(field.read(&digits, name).map_err(expected)?);
            continue;
        }
        for word in taken {
            rdata.extend(field.read(&word.text, name).map_err(expected)?);
        }
    }
    match left.first() {
        Some(more) => Err(expected(format!("{} is too much", shown(&more.text)))),
        None => Ok(rdata),
    }
}

fn generic(words: &[Word]) -> Result<Vec<u8>, String> {
    let wrong = || r"expected `\# LENGTH HEX`, with as many bytes as LENGTH says".to_owned();
    let (length, digits) = words.split_first().ok_or_else(wrong)?;
    let length: usize =
        std::str::from_utf8(&length.text).ok().and_then(|t| t.parse().ok()).ok_or_else(wrong)?;
    let digits: Vec<u8> = digits.iter().flat_map(|word| word.text.clone()).collect();
    from_hex(&digits).filter(|bytes| bytes.len() == length).ok_or_else(wrong)
}

/// Describes the form of a type's data, for messages.
fn form(rtype: RecordType) -> String {
    let Some(fields) = fields(rtype) else { return r"`\# LENGTH HEX`".into() };
    let words: Vec<&str> = fields.iter().map(|field| field.wanted()).collect();
    words.join(", then ")
}

/// Formats data of a type with known fields in presentation form; `None` if it is written as bytes only.
pub(crate) fn write(rtype: RecordType, rdata: &[u8]) -> Option<String> {
    let mut rest = rdata;
    let mut words = Vec::new();
    for field in fields(rtype)? {
        words.push(match field {
            Field::Name => super::wire::take_name(&mut rest)?.to_string(),
            U8 | Algorithm => take::<1>(&mut rest)?[0].to_string(),
            U16 => u16::from_be_bytes(take(&mut rest)?).to_string(),
            U32 | Period => u32::from_be_bytes(take(&mut rest)?).to_string(),
            Ipv4 => Ipv4Addr::from(take(&mut rest)?).to_string(),
            Ipv6 => Ipv6Addr::from(take(&mut rest)?).to_string(),
            Text => super::Text::new(take_string(&mut rest)?).to_string(),
            Texts if !rest.is_empty() => {
                let mut strings = Vec::new();
                while !rest.is_empty() {
                    strings.push(take_string(&mut rest)?.to_vec());
                }
                super::Text::from_strings(strings).to_string()
            }
            Rest if rest.len() <= 255 => super::Text::new(std::mem::take(&mut rest)).to_string(),
            Hex if !rest.is_empty() => to_hex(std::mem::take(&mut rest)),
            Base64 if !rest.is_empty() => to_base64(std::mem::take(&mut rest)),
            Groups(count, width, mark) => {
                let bytes;
                (bytes, rest) = rest.split_at_checked(count * width)?;
                let groups: Vec<String> = bytes.chunks(*width).map(to_hex).collect();
                groups.join(&mark.to_string())
            }
            Location => location::write(std::mem::take(&mut rest))?,
            Parameters if rest.is_empty() => continue,
            Parameters => service::write(std::mem::take(&mut rest))?,
            _ => return None,
        });
    }
    rest.is_empty().then(|| words.join(" "))
}

/// Converts the names in data of a type with known fields to lower case, for comparison (RFC 4034, section 6.2).
pub(crate) fn canonical(rtype: RecordType, rdata: &[u8]) -> Option<Vec<u8>> {
    let mut rest = rdata;
    let mut out = Vec::with_capacity(rdata.len());
    for field in fields(rtype)? {
        let before = rest;
        match field {
            Field::Name => {
                out.extend(super::wire::name_bytes(&super::wire::take_name(&mut rest)?));
                continue;
            }
            U8 | Algorithm => drop(take::<1>(&mut rest)?),
            U16 => drop(take::<2>(&mut rest)?),
            U32 | Period | Ipv4 => drop(take::<4>(&mut rest)?),
            Text => drop(take_string(&mut rest)?),
            _ => rest = &[],
        }
        out.extend(&before[..before.len() - rest.len()]);
    }
    rest.is_empty().then_some(out)
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::from(take::<1>(rest)?[0]);
    let (string, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(string)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

/// Parses a number of seconds, plain or with BIND's units: `3600`, `1h30m`, `2W`.
pub(crate) fn period(text: &str) -> Option<u32> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        let unit = match rest.as_bytes()[end].to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end + 1..];
    }
    (!text.is_empty()).then(|| u32::try_from(total).ok()).flatten()
}

/// Returns the bytes of a word, with its escapes resolved.
pub(super) fn unescaped(word: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = word.iter().copied();
    let mut out = Vec::with_capacity(word.len());
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'\\' { unescape(&mut bytes)? } else { byte });
    }
    Some(out)
}

/// Formats a word for a message: limited in length, without control characters.
pub(crate) fn shown(word: &[u8]) -> String {
    let text = String::from_utf8_lossy(word);
    let short: String = text.chars().take(60).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    let plain = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    format!("`{}{more}`", short.chars().map(plain).collect::<String>())
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(nibble(*high)? << 4 | nibble(*low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes base64 with padding (RFC 4648, section 4).
pub(super) fn to_base64(bytes: &[u8]) -> String {
    let groups = bytes.chunks(3).flat_map(|group| {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        [18, 12, 6, 0].into_iter().enumerate().map(move |(at, shift)| {
            if at > group.len() { '=' } else { char::from(BASE64[(bits >> shift & 63) as usize]) }
        })
    });
    groups.collect()
}

pub(super) fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.len() - text.iter().rev().take(2).take_while(|b| **b == b'=').count();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::new();
    for group in text[..end].chunks(4) {
        let mut bits = 0u32;
        for byte in group {
            bits = bits << 6 | BASE64.iter().position(|b| b == byte)? as u32;
        }
        bits <<= 6 * (4 - group.len());
        out.extend(&bits.to_be_bytes()[1..group.len().max(1)]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_those_of_bind() {
        for (text, seconds) in
            [("0", 0), ("3600", 3600), ("1h30m", 5400), ("2W", 1_209_600), ("1d1s", 86_401)]
        {
            assert_eq!(period(text), Some(seconds), "{text}");
        }
        for text in ["", "h", "1h30", "1y", "-1", "4294967296", "9999999999999999999w", "1 h", "é"] {
            assert_eq!(period(text), None, "{text}");
        }
    }

    #[test]
    fn base_64_is_read_and_written() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(to_base64(bytes.as_bytes()), text);
            assert_eq!(from_base64(text.as_bytes()).unwrap(), bytes.as_bytes());
        }
        for text in ["Z", "Zg", "====", "Z===", "Zm8*"] {
            assert_eq!(from_base64(text.as_bytes()), None, "{text}");
        }
    }
}
