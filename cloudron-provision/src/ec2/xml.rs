//! Bounded reading of XML.
//!
//! A received document is a claim: its length, depth and number of elements are limited, and definitions of entities
//! are refused, before anything is built from it.

use quick_xml::events::Event;
use serde::de::DeserializeOwned;

/// Maximum length of an answer in bytes.
pub const LONGEST: usize = 8 << 20;
/// Maximum depth of elements. Answers of EC2 have about ten.
const DEEPEST: usize = 32;
/// Maximum number of elements.
const MOST: usize = 400_000;
/// Maximum length of one text in bytes. The console's output is 64 KiB in base 64.
const LONGEST_TEXT: usize = 256 << 10;

/// Parses a document. With `root`, its outermost element has that name: any other document, such as the page of a network
/// that wants a login, would be read as an answer in which everything is absent.
///
/// # Errors
/// A short description of the problem, without the content of the document.
pub fn parse<T: DeserializeOwned>(body: &[u8], root: Option<&str>) -> Result<T, String> {
    if body.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check(text, root)?;
    quick_xml::de::from_str(text).map_err(|_| "it is not the XML that was expected".to_owned())
}

/// Checks the limits and the outermost element.
fn check(text: &str, root: Option<&str>) -> Result<(), String> {
    let mut reader = quick_xml::Reader::from_str(text);
    let (mut depth, mut elements) = (0_usize, 0_usize);
    loop {
        match reader.read_event() {
            Ok(Event::Start(first) | Event::Empty(first))
                if elements == 0 && root.is_some_and(|root| first.local_name().as_ref() != root) =>
            {
                return Err("it is the answer to something else".into());
            }
            Ok(Event::Start(_)) => (depth, elements) = (depth + 1, elements + 1),
            Ok(Event::Empty(_)) => elements += 1,
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::DocType(_)) => return Err("it defines a document type".into()),
            Ok(Event::Text(text)) if text.len() > LONGEST_TEXT => {
                return Err("a text in it is too long".into());
            }
            Ok(Event::CData(text)) if text.len() > LONGEST_TEXT => {
                return Err("a text in it is too long".into());
            }
            Ok(Event::Eof) if depth > 0 => return Err("it was cut off".into()),
            Ok(Event::Eof) if elements == 0 => return Err("it has no element".into()),
            Ok(Event::Eof) => return Ok(()),
            Ok(_) => {}
            Err(_) => return Err("it is not well-formed XML".into()),
        }
        if depth > DEEPEST {
            return Err(format!("its elements are nested more than {DEEPEST} deep"));
        }
        if elements > MOST {
            return Err(format!("it has more than {MOST} elements"));
        }
    }
}
