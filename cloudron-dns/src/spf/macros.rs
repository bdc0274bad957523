//! The macros of SPF (RFC 7208, section 7).

use std::net::IpAddr;

/// Values of macros.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    /// The sender, `local-part@domain` (`s`, `l`, `o`).
    pub(super) sender: &'a str,
    /// The domain whose record is evaluated (`d`).
    pub(super) domain: &'a str,
    /// The address of the sending server (`i`, `v`).
    pub(super) address: IpAddr,
    /// The greeting name of the sending server (`h`).
    pub(super) helo: &'a str,
    /// The validated name of the address, if it was looked up (`p`).
    pub(super) validated: &'a str,
}

/// One piece of a text with macros.
enum Piece<'a> {
    Literal(&'a str),
    Macro { letter: char, keep: usize, reverse: bool, delimiters: &'a str },
}

/// Returns whether every `%` begins a macro that is allowed in a record. `c`, `r` and `t` are for explanations only.
pub(super) fn is_valid(text: &str) -> bool {
    text.bytes().all(|b| (0x21..=0x7e).contains(&b)) && pieces(text).is_some()
}

/// Returns whether the macro `p` is used, which requires a lookup.
pub(super) fn needs_validated_name(text: &str) -> bool {
    let pieces = pieces(text).unwrap_or_default();
    pieces.iter().any(|p| matches!(p, Piece::Macro { letter: 'p' | 'P', .. }))
}

/// Expands a text with macros to a domain; labels are removed from its left until it has at most 253 characters.
pub(super) fn expand(text: &str, values: Values<'_>) -> String {
    let mut domain: String = pieces(text)
        .unwrap_or_default()
        .into_iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text.to_owned(),
            Piece::Macro { letter, keep, reverse, delimiters } => {
                transformed(letter, keep, reverse, delimiters, values)
            }
        })
        .collect();
    while domain.len() > 253 {
        match domain.split_once('.') {
            Some((_, rest)) => domain = rest.to_owned(),
            None => break,
        }
    }
    domain
}

fn pieces(text: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        pieces.push(Piece::Literal(&rest[..at]));
        let after = &rest[at + 1..];
        let (literal, length) = match after.as_bytes().first()? {
            b'%' => ("%", 1),
            b'_' => (" ", 1),
            b'-' => ("%20", 1),
            b'{' => {
                let (inner, _) = after[1..].split_once('}')?;
                pieces.push(one_macro(inner)?);
                ("", inner.len() + 2)
            }
            _ => return None,
        };
        pieces.push(Piece::Literal(literal));
        rest = &after[length..];
    }
    pieces.push(Piece::Literal(rest));
    Some(pieces)
}

fn one_macro(inner: &str) -> Option<Piece<'_>> {
    let letter = inner.chars().next().filter(|c| "slodiphvSLODIPHV".contains(*c))?;
    let rest = &inner[1..];
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let keep = match &rest[..digits] {
        "" => usize::MAX,
        number => number.parse().unwrap_or(usize::MAX),
    };
    let rest = &rest[digits..];
    let (reverse, delimiters) = match rest.strip_prefix(['r', 'R']) {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let known = delimiters.chars().all(|c| ".-+,/_=".contains(c));
    (keep > 0 && known).then_some(Piece::Macro { letter, keep, reverse, delimiters })
}

fn transformed(letter: char, keep: usize, reverse: bool, delimiters: &str, values: Values<'_>) -> String {
    let value = value(letter.to_ascii_lowercase(), values);
    let delimiters = if delimiters.is_empty() { "." } else { delimiters };
    let mut parts: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
    if reverse {
        parts.reverse();
    }
    let kept = parts[parts.len().saturating_sub(keep)..].join(".");
    if letter.is_ascii_uppercase() { url_escaped(&kept) } else { kept }
}

fn value(letter: char, values: Values<'_>) -> String {
    let (local, domain) = values.sender.rsplit_once('@').unwrap_or(("postmaster", values.sender));
    match letter {
        's' => values.sender.to_owned(),
        'l' => local.to_owned(),
        'o' => domain.to_owned(),
        'd' => values.domain.to_owned(),
        'i' => dotted(values.address),
        'v' => if values.address.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
        'h' => values.helo.to_owned(),
        _ => values.validated.to_owned(),
    }
}

/// Formats an IPv4 address as usual, and an IPv6 address as its 32 nibbles.
fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
            nibbles.map(|nibble| format!("{nibble:X}")).collect::<Vec<_>>().join(".")
        }
    }
}

fn url_escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str, address: &str) -> String {
        let values = Values {
            sender: "strong-bad@email.example.com",
            domain: "email.example.com",
            address: address.parse().unwrap(),
            helo: "mx.example.org",
            validated: "mx.example.org",
        };
        expand(text, values)
    }

    #[test]
    fn macros_expand_as_in_the_examples_of_rfc_7208() {
        // Section 7.4.
        for (text, expansion) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
            ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
            ("%{S}%%%_%-", "strong-bad%40email.example.com% %20"),
        ] {
            assert_eq!(expanded(text, "192.0.2.3"), expansion, "{text}");
        }
        assert_eq!(
            expanded("%{ir}.%{v}._spf.%{d2}", "2001:db8::cb01"),
            format!("1.0.B.C.{}8.B.D.0.1.0.0.2.ip6._spf.example.com", "0.".repeat(20))
        );
    }

    #[test]
    fn a_domain_that_is_too_long_loses_labels_from_the_left() {
        let long = format!("{}%{{d}}", "abcdefghi.".repeat(30));
        let domain = expanded(&long, "192.0.2.3");
        assert!(domain.len() <= 253 && domain.ends_with("email.example.com"), "{domain}");
    }
}
