//! Record data in presentation form (RFC 1035, section 5.1), as in zone files.

use std::fmt;

use crate::data::{Text, fields};
use crate::name::unescape;
use crate::zone_file::words;
use crate::{Error, Name, RecordData, RecordType, Result, codes};

impl RecordData {
    /// Parses the presentation form of a type's data: `10 mx.example.com.` for MX, `"text"` for TXT, and `\# 4
    /// c0000201` (RFC 3597) for any type.
    ///
    /// Names are absolute, with or without their final dot. A text without quotes is taken literally, including spaces.
    ///
    /// # Errors
    /// `dns-record`, or `dns-name` for a name in it.
    pub fn parse(rtype: RecordType, text: &str) -> Result<Self> {
        let text = text.trim();
        if let Some(generic) = text.strip_prefix(r"\#") {
            let rdata = generic_bytes(generic).ok_or_else(|| invalid(rtype, text))?;
            return Self::from_rdata(rtype, &rdata);
        }
        let bad = || invalid(rtype, text);
        match rtype {
            RecordType::A => text.parse().map(Self::A).map_err(|_| bad()),
            RecordType::AAAA => text.parse().map(Self::Aaaa).map_err(|_| bad()),
            RecordType::CNAME => Name::parse(text).map(Self::Cname),
            RecordType::NS => Name::parse(text).map(Self::Ns),
            RecordType::PTR => Name::parse(text).map(Self::Ptr),
            RecordType::MX => {
                let [preference, exchange] = fields(text).ok_or_else(bad)?;
                let preference = preference.parse().map_err(|_| bad())?;
                Ok(Self::Mx { preference, exchange: Name::parse(exchange)? })
            }
            RecordType::TXT => text_value(text).map(Self::Txt).ok_or_else(bad),
            RecordType::SRV => {
                let [priority, weight, port, target] = fields(text).ok_or_else(bad)?;
                let number = |field: &str| field.parse::<u16>().map_err(|_| bad());
                Ok(Self::Srv {
                    priority: number(priority)?,
                    weight: number(weight)?,
                    port: number(port)?,
                    target: Name::parse(target)?,
                })
            }
            RecordType::CAA => caa(text).ok_or_else(bad),
            _ => {
                let read = words(text).and_then(|words| fields::read(rtype, &words, &absolute));
                read.map_err(|why| Error::new(&codes::RECORD, format!("a record of type {rtype}: {why}")))
            }
        }
    }

    /// Parses like [`parse`](Self::parse), but names without a final dot are relative to `origin`, and `@` is the
    /// origin.
    #[cfg(feature = "hetzner")]
    pub(crate) fn parse_below(origin: &Name, rtype: RecordType, text: &str) -> Result<Self> {
        let name = |word: &[u8]| match word {
            b"@" => Ok(origin.clone()),
            [.., b'.'] => absolute(word),
            word => absolute(&[word, b".", origin.without_dot().as_bytes()].concat()),
        };
        let read = words(text).and_then(|words| fields::read(rtype, &words, &name));
        read.map_err(|why| Error::new(&codes::RECORD, format!("a record of type {rtype}: {why}")))
    }
}

fn absolute(word: &[u8]) -> std::result::Result<Name, String> {
    Name::parse(&String::from_utf8_lossy(word)).map_err(|e| e.message().to_owned())
}

/// Formats data of a type that the model keeps as bytes by its fields, if this form has exactly the same meaning.
fn by_fields(rtype: RecordType, rdata: &[u8]) -> Option<String> {
    let text = fields::write(rtype, rdata)?;
    let read = words(&text).and_then(|words| fields::read(rtype, &words, &absolute)).ok()?;
    (read.to_rdata() == rdata).then_some(text)
}

fn invalid(rtype: RecordType, text: &str) -> Error {
    let shown: String = text.chars().take(80).collect();
    let wants = match rtype {
        RecordType::A => "an IPv4 address",
        RecordType::AAAA => "an IPv6 address",
        RecordType::MX => "PREFERENCE NAME",
        RecordType::SRV => "PRIORITY WEIGHT PORT NAME",
        RecordType::CAA => "FLAGS TAG \"VALUE\"",
        RecordType::TXT => "text, or strings in quotes",
        _ => "the data of that type",
    };
    Error::new(&codes::RECORD, format!("{shown:?} is not the value of a record of type {rtype}: {wants}"))
}

fn fields<const N: usize>(text: &str) -> Option<[&str; N]> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    fields.try_into().ok()
}

fn generic_bytes(text: &str) -> Option<Vec<u8>> {
    let mut fields = text.split_ascii_whitespace();
    let length: usize = fields.next()?.parse().ok()?;
    let hex: String = fields.collect();
    let digits = hex.is_ascii().then_some(hex.as_bytes())?;
    let pairs = digits.chunks(2).map(|p| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok());
    let bytes: Vec<u8> = pairs.collect::<Option<_>>()?;
    (digits.len() == 2 * length).then_some(bytes)
}

fn text_value(text: &str) -> Option<Text> {
    if text.starts_with('"') { quoted(text).map(Text::from_strings) } else { Some(Text::new(text)) }
}

fn caa(text: &str) -> Option<RecordData> {
    let (flags, rest) = text.split_once(char::is_whitespace)?;
    let (tag, value) = rest.trim_start().split_once(char::is_whitespace)?;
    let value = value.trim_start();
    let value = if value.starts_with('"') {
        let [one] = <[Vec<u8>; 1]>::try_from(quoted(value)?).ok()?;
        one
    } else {
        value.as_bytes().to_vec()
    };
    let tag = tag.to_ascii_lowercase();
    let valid = !tag.is_empty() && tag.len() <= 255 && tag.bytes().all(|b| b.is_ascii_alphanumeric());
    valid.then_some(RecordData::Caa { flags: flags.parse().ok()?, tag, value })
}

/// Parses the strings of `"one" "two"`.
fn quoted(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                let mut string = Vec::new();
                loop {
                    match bytes.next()? {
                        b'"' => break,
                        b'\\' => string.push(unescape(&mut bytes)?),
                        byte => string.push(byte),
                    }
                }
                strings.push(string);
            }
            b' ' | b'\t' => {}
            _ => return None,
        }
    }
    Some(strings)
}

impl fmt::Display for RecordData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => address.fmt(f),
            Self::Aaaa(address) => address.fmt(f),
            Self::Cname(name) | Self::Ns(name) | Self::Ptr(name) => name.fmt(f),
            Self::Mx { preference, exchange } => write!(f, "{preference} {exchange}"),
            Self::Txt(text) => text.fmt(f),
            Self::Srv { priority, weight, port, target } => write!(f, "{priority} {weight} {port} {target}"),
            Self::Caa { flags, tag, value } => {
                write!(f, "{flags} {tag} ")?;
                write_quoted(f, value)
            }
            Self::Unknown { rtype, rdata } => match by_fields(*rtype, rdata) {
                Some(text) => f.write_str(&text),
                None => {
                    write!(f, r"\# {}", rdata.len())?;
                    let separator = if rdata.is_empty() { "" } else { " " };
                    f.write_str(separator)?;
                    rdata.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
                }
            },
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, string) in self.strings().iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " " })?;
            write_quoted(f, string)?;
        }
        Ok(())
    }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("\"")?;
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
            b' '..=b'~' => write!(f, "{}", char::from(byte))?,
            _ => write!(f, "\\{byte:03}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(rtype: RecordType, text: &str) -> String {
        let data = RecordData::parse(rtype, text).unwrap();
        assert_eq!(RecordData::from_rdata(rtype, &data.to_rdata()).unwrap(), data, "{text}");
        data.to_string()
    }

    #[test]
    fn every_type_is_read_and_written() {
        for (rtype, text) in [
            (RecordType::A, "192.0.2.1"),
            (RecordType::AAAA, "2001:db8::1"),
            (RecordType::CNAME, "my.example.com."),
            (RecordType::NS, "ns1.example.com."),
            (RecordType::PTR, "my.example.com."),
            (RecordType::MX, "10 my.example.com."),
            (RecordType::MX, "0 ."),
            (RecordType::TXT, r#""v=spf1 -all""#),
            (RecordType::TXT, r#""one" "two \"quoted\" \\ \255""#),
            (RecordType::SRV, "0 1 443 my.example.com."),
            (RecordType::CAA, r#"128 issue "letsencrypt.org""#),
            (RecordType::TLSA, "3 1 1 00"),
            (RecordType::TLSA, r"\# 3 030101"),
            (RecordType(65280), r"\# 0"),
        ] {
            assert_eq!(round_trip(rtype, text), text);
        }
        assert_eq!(round_trip(RecordType::TXT, "unquoted ; text"), r#""unquoted ; text""#);
        assert_eq!(round_trip(RecordType::A, r"\# 4 c0000201"), "192.0.2.1");
        assert_eq!(round_trip(RecordType::TLSA, "3 1 1 AB cd"), "3 1 1 abcd");
        assert_eq!(round_trip(RecordType::TLSA, r"\# 5 030101abcd"), "3 1 1 abcd");
    }

    #[test]
    fn a_value_of_another_form_is_refused_with_the_form_that_is_wanted() {
        for (rtype, text) in [
            (RecordType::A, "2001:db8::1"),
            (RecordType::MX, "my.example.com"),
            (RecordType::MX, "70000 my.example.com"),
            (RecordType::TXT, "\"open"),
            (RecordType::CAA, "0 iss-ue \"x\""),
            (RecordType::TLSA, "3 1 1 abc"),
            (RecordType::HTTPS, "1 . alpn"),
            (RecordType::A, r"\# 3 c00002"),
            (RecordType(1), r"\# 4 c000020é"),
        ] {
            assert!(RecordData::parse(rtype, text).unwrap_err().is(&codes::RECORD), "{rtype} {text}");
        }
        let error = RecordData::parse(RecordType::MX, "x").unwrap_err();
        assert!(error.message().contains("PREFERENCE NAME"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_survives_both_forms(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            let data = RecordData::txt(bytes.clone());
            let read = RecordData::parse(RecordType::TXT, &data.to_string()).unwrap();
            prop_assert_eq!(&read, &data);
            let RecordData::Txt(text) = RecordData::from_rdata(RecordType::TXT, &data.to_rdata()).unwrap() else {
                panic!("a TXT record is text");
            };
            prop_assert_eq!(text.joined(), bytes);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(
            rtype in prop::sample::select(vec![1u16, 2, 5, 12, 15, 16, 28, 33, 257, 65280]),
            rdata in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let rtype = RecordType(rtype);
            if let Ok(data) = RecordData::from_rdata(rtype, &rdata) {
                prop_assert_eq!(RecordData::parse(rtype, &data.to_string()).unwrap(), data);
            }
        }
    }
}
