//! Names and values in Route 53's form: with octal escapes ("DNS domain name format" and "Supported DNS record types"
//! in its developer guide), where zone files have decimal ones.

use std::fmt::Write;

use crate::{Name, RecordData, RecordType, Text};

/// Formats a name with its final dot; the wildcard is `\052`.
pub(super) fn name(name: &Name) -> String {
    let mut text = String::new();
    for label in name.raw_labels() {
        for byte in label {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'/' => text.push(char::from(byte)),
                _ => octal(&mut text, byte),
            }
        }
        text.push('.');
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// Parses a name, with or without its final dot.
pub(super) fn parse_name(text: &str) -> Option<Name> {
    match text {
        "" => return None,
        "." => return Some(Name::root()),
        _ => {}
    }
    let mut labels = vec![Vec::new()];
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' => labels.push(Vec::new()),
            b'\\' => labels.last_mut()?.push(unescape(&mut bytes)?),
            _ => labels.last_mut()?.push(byte),
        }
    }
    if labels.last().is_some_and(Vec::is_empty) {
        labels.pop();
    }
    Name::from_labels(labels.iter().map(Vec::as_slice)).ok()
}

/// Formats a value.
pub(super) fn value(data: &RecordData) -> String {
    match data {
        RecordData::Cname(target) | RecordData::Ns(target) | RecordData::Ptr(target) => name(target),
        RecordData::Mx { preference, exchange } => format!("{preference} {}", name(exchange)),
        RecordData::Srv { priority, weight, port, target } => {
            format!("{priority} {weight} {port} {}", name(target))
        }
        RecordData::Txt(text) => {
            let strings: Vec<String> = text.strings().iter().map(|s| quoted(s)).collect();
            strings.join(" ")
        }
        RecordData::Caa { flags, tag, value } => format!("{flags} {tag} {}", quoted(value)),
        other => other.to_string(),
    }
}

/// Parses a value.
pub(super) fn parse_value(rtype: RecordType, text: &str) -> Option<RecordData> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let data = match (rtype, &fields[..]) {
        (RecordType::CNAME, [target]) => RecordData::Cname(parse_name(target)?),
        (RecordType::NS, [target]) => RecordData::Ns(parse_name(target)?),
        (RecordType::PTR, [target]) => RecordData::Ptr(parse_name(target)?),
        (RecordType::MX, [preference, exchange]) => {
            RecordData::Mx { preference: preference.parse().ok()?, exchange: parse_name(exchange)? }
        }
        (RecordType::SRV, [priority, weight, port, target]) => RecordData::Srv {
            priority: priority.parse().ok()?,
            weight: weight.parse().ok()?,
            port: port.parse().ok()?,
            target: parse_name(target)?,
        },
        (RecordType::TXT, _) => RecordData::Txt(Text::from_strings(strings(text)?)),
        (RecordType::CAA, [flags, tag, ..]) => {
            let value = strings(&text[text.find('"')?..])?.concat();
            RecordData::Caa { flags: flags.parse().ok()?, tag: tag.to_ascii_lowercase(), value }
        }
        (_, _) if !has_numeric_escape(text) => RecordData::parse(rtype, text).ok()?,
        _ => return None,
    };
    Some(data)
}

/// Returns whether a value has an escape of digits, which can be octal as in a text, or decimal as in a zone file.
fn has_numeric_escape(value: &str) -> bool {
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && bytes.next().is_none_or(|escaped| escaped.is_ascii_digit()) {
            return true;
        }
    }
    false
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => octal(&mut text, byte),
        }
    }
    text.push('"');
    text
}

fn octal(text: &mut String, byte: u8) {
    write!(text, "\\{byte:03o}").expect("writing to a text cannot fail");
}

/// Parses the strings of `"one" "two"`; a text without quotes is one string, up to the next space.
fn strings(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let mut string = Vec::new();
        match byte {
            b' ' | b'\t' => continue,
            b'"' => loop {
                match bytes.next()? {
                    b'"' => break,
                    b'\\' => string.push(unescape(&mut bytes)?),
                    byte => string.push(byte),
                }
            },
            _ => {
                string.push(byte);
                while let Some(byte) = bytes.next_if(|b| *b != b' ') {
                    string.push(byte);
                }
            }
        }
        strings.push(string);
    }
    Some(strings)
}

/// Resolves an escape, after its backslash: three octal digits, or the character itself.
fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = bytes.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, bytes.next()?, bytes.next()?];
    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_have_octal_escapes() {
        let wildcard = Name::parse("*.example.com").unwrap();
        assert_eq!(name(&wildcard), r"\052.example.com.");
        assert_eq!(parse_name(r"\052.example.com."), Some(wildcard.clone()));
        assert_eq!(parse_name("*.EXAMPLE.com"), Some(wildcard));
        assert_eq!(name(&Name::from_labels([&b"a.b"[..], b"x"]).unwrap()), r"a\056b.x.");
        assert_eq!(parse_name("."), Some(Name::root()));
        for wrong in ["", "a..b", r"\05", r"\999.x"] {
            assert!(parse_name(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn texts_are_quoted_and_split() {
        let text = RecordData::txt(format!("{}ü\"", "k".repeat(255)));
        assert_eq!(value(&text), format!("\"{}\" \"\\303\\274\\\"\"", "k".repeat(255)));
        let plain = parse_value(RecordType::TXT, "unquoted").unwrap();
        assert_eq!(plain, RecordData::txt("unquoted"));
    }

    proptest! {
        #[test]
        fn any_text_and_any_label_survives(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            label in proptest::collection::vec(any::<u8>(), 1..40),
        ) {
            let data = RecordData::txt(bytes);
            prop_assert_eq!(parse_value(RecordType::TXT, &value(&data)), Some(data));
            let label = label.to_ascii_lowercase();
            let owner = Name::from_labels([&label[..], b"example"]).unwrap();
            prop_assert_eq!(parse_name(&name(&owner)), Some(owner));
        }

        #[test]
        fn no_answer_makes_the_reader_panic(text in ".{0,60}", rtype in prop::sample::select(vec![1u16, 2, 5, 15, 16, 33, 257])) {
            let _ = (parse_value(RecordType(rtype), &text), parse_name(&text));
        }
    }
}
