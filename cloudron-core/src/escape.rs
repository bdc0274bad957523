//! Escaping of untrusted text for display.
//!
//! A terminal obeys control characters, and reorders text after a bidirectional control. File names, responses of
//! servers and objects in a store can contain both. Programs that print them escape such characters visibly: in the
//! notation of Rust in text, and in that of JSON in JSON.
//!
//! ```
//! use cloudron_core::escape;
//!
//! assert_eq!(escape::line("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
//! assert_eq!(escape::text("one\ntwo\u{9b}"), "one\ntwo\\u{9b}");
//! assert_eq!(escape::json("{\"a\":\"\u{9b}\"}"), "{\"a\":\"\\u009b\"}");
//! ```

use std::borrow::Cow;
use std::fmt::Write;

/// Returns whether a terminal may do something other than display the character: control characters (C0, DEL, C1), line
/// and paragraph separators, controls of the writing direction (Unicode TR 9), and zero-width characters, which make
/// two different names look the same. Joiners of letters or pictures (U+200C, U+200D) are safe.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}'..='\u{e007f}')
}

/// Escapes all unsafe characters except line ends and tabs.
pub fn text(text: &str) -> Cow<'_, str> {
    replaced(text, |c| c == '\n' || c == '\t', |c, out| out.extend(c.escape_default()))
}

/// Escapes all unsafe characters, including line ends and tabs, so that one line stays one line.
pub fn line(text: &str) -> Cow<'_, str> {
    replaced(text, |_| false, |c, out| out.extend(c.escape_default()))
}

/// Escapes all unsafe characters of a JSON document without changing its meaning. Line ends and tabs between values
/// stay; a carriage return there becomes a space.
pub fn json(document: &str) -> Cow<'_, str> {
    let escape = |c: char, out: &mut String| {
        if c == '\r' {
            return out.push(' ');
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    };
    replaced(document, |c| c == '\n' || c == '\t', escape)
}

fn replaced(text: &str, keep: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let unsafe_here = |c: char| is_unsafe(c) && !keep(c);
    let Some(first) = text.find(unsafe_here) else { return text.into() };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        if unsafe_here(c) { escape(c, &mut out) } else { out.push(c) }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_passes() {
        let all: String = ('\0'..='\u{ff}').chain('\u{2000}'..='\u{20ff}').collect();
        let safe = |text: &str| !text.contains(|c| is_unsafe(c) && c != '\n' && c != '\t');
        assert!(safe(&text(&all)) && safe(&json(&all)));
        assert!(!line(&all).contains(is_unsafe));
        for c in ['\0', '\u{7}', '\u{1b}', '\r', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{61c}'] {
            assert!(is_unsafe(c), "{c:?}");
        }
    }

    #[test]
    fn ordinary_text_is_not_copied() {
        for plain in ["", "a b\tc\nd", "Größe 日本 👩‍👩‍👧 می‌خواهم"] {
            assert!(matches!(text(plain), Cow::Borrowed(t) if t == plain));
        }
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({ "name\u{9b}": ["\u{1b}[2J\u{7f}\n", "\u{202e}\u{e0041}", "\\"] });
        for document in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let escaped = json(&document);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
            assert!(!escaped.contains(|c| is_unsafe(c) && c != '\n'), "{escaped:?}");
        }
    }
}
