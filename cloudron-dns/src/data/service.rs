//! The parameters of a service binding, SVCB or HTTPS (RFC 9460, section 2.1).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::fields::{from_base64, shown, to_base64, unescaped};
use crate::zone_file::Word;

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4: u16 = 4;
const ECH: u16 = 5;
const IPV6: u16 = 6;
const PATH: u16 = 7;
const OHTTP: u16 = 8;

/// Parameters that have a name (IANA's registry of service parameter keys).
const NAMES: [(&str, u16); 9] = [
    ("mandatory", MANDATORY),
    ("alpn", ALPN),
    ("no-default-alpn", NO_DEFAULT_ALPN),
    ("port", PORT),
    ("ipv4hint", IPV4),
    ("ech", ECH),
    ("ipv6hint", IPV6),
    ("dohpath", PATH),
    ("ohttp", OHTTP),
];

fn key(text: &str) -> Option<u16> {
    let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let number =
        || text.get(..3).filter(|k| k.eq_ignore_ascii_case("key")).and_then(|_| text[3..].parse().ok());
    named.map(|(_, key)| *key).or_else(number)
}

fn name(key: u16) -> String {
    NAMES.iter().find(|(_, k)| *k == key).map_or_else(|| format!("key{key}"), |(name, _)| (*name).to_owned())
}

/// Encodes the parameters in wire format, in the order of their keys.
///
/// # Errors
/// The problem.
pub(super) fn read(words: &[Word]) -> Result<Vec<u8>, String> {
    let mut parameters: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let wrong = || format!("{} is not a parameter", shown(&word.text));
        let equals = word.text.iter().position(|byte| *byte == b'=');
        let (head, tail) = word.text.split_at(equals.unwrap_or(word.text.len()));
        let mut value = equals.map(|_| tail[1..].to_vec());
        // A quoted value is a separate word.
        if value.as_ref().is_some_and(Vec::is_empty)
            && let Some(quoted) = words.next_if(|next| next.quoted)
        {
            value = Some(quoted.text.clone());
        }
        let key = std::str::from_utf8(head).ok().filter(|_| !word.quoted).and_then(key).ok_or_else(wrong)?;
        let wire = encode(key, value.as_deref()).ok_or_else(wrong)?;
        if parameters.insert(key, wire).is_some() {
            return Err(format!("{} is there twice", name(key)));
        }
    }
    let mut out = Vec::new();
    for (key, value) in parameters {
        let length = u16::try_from(value.len()).map_err(|_| format!("{} is too long", name(key)))?;
        out.extend(key.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(value);
    }
    Ok(out)
}

fn encode(key: u16, value: Option<&[u8]>) -> Option<Vec<u8>> {
    if matches!(key, NO_DEFAULT_ALPN | OHTTP) {
        return value.is_none_or(<[u8]>::is_empty).then(Vec::new);
    }
    let plain = unescaped(value.unwrap_or_default())?;
    if !(MANDATORY..=PATH).contains(&key) {
        return Some(plain);
    }
    let text = String::from_utf8(plain.clone()).ok()?;
    // A comma within an item of a list needs a second level of escapes, which is left to the bytes form.
    let items = || if text.is_empty() || text.contains('\\') { None } else { Some(text.split(',')) };
    match key {
        MANDATORY => {
            let mut keys = items()?.map(self::key).collect::<Option<Vec<u16>>>()?;
            keys.sort_unstable();
            Some(keys.into_iter().flat_map(u16::to_be_bytes).collect())
        }
        ALPN => {
            let one = |item: &str| Some([&[u8::try_from(item.len()).ok()?], item.as_bytes()].concat());
            items()?
                .map(|item| one(item).filter(|_| !item.is_empty()))
                .collect::<Option<Vec<_>>>()
                .map(|all| all.concat())
        }
        PORT => Some(text.parse::<u16>().ok()?.to_be_bytes().to_vec()),
        IPV4 => {
            let all = items()?.map(|item| item.parse::<Ipv4Addr>().ok()).collect::<Option<Vec<_>>>()?;
            Some(all.into_iter().flat_map(|address| address.octets()).collect())
        }
        IPV6 => {
            let all = items()?.map(|item| item.parse::<Ipv6Addr>().ok()).collect::<Option<Vec<_>>>()?;
            Some(all.into_iter().flat_map(|address| address.octets()).collect())
        }
        ECH => from_base64(text.as_bytes()).filter(|bytes| !bytes.is_empty()),
        _ => Some(plain),
    }
}

/// Formats parameters; `None` if they have no other form than bytes.
pub(super) fn write(mut rest: &[u8]) -> Option<String> {
    let mut words = Vec::new();
    while !rest.is_empty() {
        let (key, length): (&[u8; 2], &[u8]) = rest.split_first_chunk()?;
        let (length, values) = length.split_first_chunk::<2>()?;
        let (value, left) = values.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = left;
        let key = u16::from_be_bytes(*key);
        words.push(match decode(key, value)? {
            text if text.is_empty() => name(key),
            text => format!("{}={text}", name(key)),
        });
    }
    Some(words.join(" "))
}

fn decode(key: u16, value: &[u8]) -> Option<String> {
    let list = |items: Vec<String>| Some(items.join(","));
    match key {
        MANDATORY => {
            let keys = value.chunks(2).map(|k| Some(name(u16::from_be_bytes(k.try_into().ok()?))));
            list(keys.collect::<Option<_>>()?)
        }
        ALPN => {
            let (mut rest, mut items) = (value, Vec::new());
            while let Some((length, more)) = rest.split_first() {
                let (item, left) = more.split_at_checked(usize::from(*length))?;
                let plain = item.iter().all(|b| b.is_ascii_alphanumeric() || b"-./_".contains(b));
                items.push(String::from_utf8(item.to_vec()).ok().filter(|_| plain)?);
                rest = left;
            }
            list(items)
        }
        PORT => Some(u16::from_be_bytes(value.try_into().ok()?).to_string()),
        IPV4 => {
            let all = value.chunks(4).map(|a| Some(Ipv4Addr::from(<[u8; 4]>::try_from(a).ok()?).to_string()));
            list(all.collect::<Option<_>>()?)
        }
        IPV6 => {
            let all =
                value.chunks(16).map(|a| Some(Ipv6Addr::from(<[u8; 16]>::try_from(a).ok()?).to_string()));
            list(all.collect::<Option<_>>()?)
        }
        ECH => Some(to_base64(value)),
        _ if value.is_empty() => Some(String::new()),
        _ if value.len() <= 255 => Some(super::Text::new(value).to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::{RecordData, RecordType};

    fn written(text: &str) -> String {
        let data = RecordData::parse(RecordType::HTTPS, text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(RecordData::parse(RecordType::HTTPS, &data.to_string()).unwrap(), data, "{text}");
        data.to_string()
    }

    #[test]
    fn parameters_are_read_in_any_order_and_written_in_one() {
        for (text, out) in [
            ("0 foo.example.com.", "0 foo.example.com."),
            ("1 . alpn=h2", "1 . alpn=h2"),
            (
                "1 . alpn=\"h3,h2\" ipv4hint=192.0.2.1,192.0.2.2",
                "1 . alpn=h3,h2 ipv4hint=192.0.2.1,192.0.2.2",
            ),
            ("16 foo.example. port=53", "16 foo.example. port=53"),
            ("1 foo. key667=hello", "1 foo. key667=\"hello\""),
            (r#"1 foo. key667="hello\210qoo""#, r#"1 foo. key667="hello\210qoo""#),
            ("1 foo. ipv6hint=\"2001:db8::1,2001:db8::53:1\"", "1 foo. ipv6hint=2001:db8::1,2001:db8::53:1"),
            (
                "16 foo. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
                "16 foo. mandatory=alpn,ipv4hint alpn=h2,h3-19 ipv4hint=192.0.2.1",
            ),
            ("1 . no-default-alpn alpn=h2 ech=AEn+DQ==", "1 . alpn=h2 no-default-alpn ech=AEn+DQ=="),
            ("1 . dohpath=/q{?dns}", "1 . dohpath=\"/q{?dns}\""),
        ] {
            assert_eq!(written(text), out);
        }
    }

    #[test]
    fn what_is_no_parameter_is_refused() {
        for text in [
            "1 foo. key123=abc key123=def",
            "1 foo. mandatory",
            "1 foo. alpn",
            "1 foo. port",
            "1 foo. ipv4hint",
            "1 foo. ipv6hint",
            "1 foo. no-default-alpn=abc",
            "1 foo. port=70000",
            "1 foo. nonsense=1",
            "1 foo. \"alpn=h2\"",
        ] {
            assert!(RecordData::parse(RecordType::SVCB, text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_has_no_text_is_bytes() {
        let odd = RecordData::from_rdata(RecordType::HTTPS, b"\0\x01\0\0\x01\0\x03\x02a,").unwrap();
        assert_eq!(odd.to_string(), r"\# 10 000100000100030261 2c".replace(" 2c", "2c"));
        assert_eq!(RecordData::parse(RecordType::HTTPS, &odd.to_string()).unwrap(), odd);
    }
}
