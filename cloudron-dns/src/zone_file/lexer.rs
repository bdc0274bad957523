//! Splits a zone file into lines and words (RFC 1035, section 5.1).

use super::MAX_ENTRY;

/// A word: a run of bytes without blanks, or a quoted string. Escapes are not resolved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: Vec<u8>,
    pub(crate) quoted: bool,
}

/// A record or directive, which parentheses may spread over lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The number of its first line, from 1.
    pub(super) line: usize,
    /// True if its first line begins with a blank.
    pub(super) indented: bool,
    pub(super) words: Vec<Word>,
}

/// A line number and the problem.
pub(super) type Wrong = (usize, String);

/// The entries of a file, one after the other. The iteration ends after an error.
pub(super) struct Entries<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Entries<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text, line: 1 }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Wrong>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.entry() {
                Ok(entry) if entry.words.is_empty() => {}
                Ok(entry) => return Some(Ok(entry)),
                Err(wrong) => {
                    self.rest = &[];
                    return Some(Err(wrong));
                }
            }
        }
        None
    }
}

impl Entries<'_> {
    /// Returns the next byte.
    fn bump(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        if *first == b'\n' {
            self.line += 1;
        }
        Some(*first)
    }

    fn entry(&mut self) -> Result<Entry, Wrong> {
        let line = self.line;
        let whole = self.rest.len();
        let indented = matches!(self.rest.first(), Some(b' ' | b'\t'));
        let mut words = Vec::new();
        // The lines of the open parentheses.
        let mut open = Vec::new();
        while let Some(&byte) = self.rest.first() {
            if whole - self.rest.len() > MAX_ENTRY {
                return Err((line, format!("the record is longer than {MAX_ENTRY} bytes")));
            }
            match byte {
                b'\n' => {
                    self.bump();
                    if open.is_empty() {
                        break;
                    }
                }
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => {
                    self.bump();
                }
                b';' => {
                    let end = self.rest.iter().position(|b| *b == b'\n').unwrap_or(self.rest.len());
                    self.rest = &self.rest[end..];
                }
                b'(' => {
                    self.bump();
                    open.push(self.line);
                }
                b')' => {
                    self.bump();
                    if open.pop().is_none() {
                        return Err((self.line, "`)` without `(` before it".into()));
                    }
                }
                b'"' => words.push(self.quoted()?),
                _ => words.push(self.plain()),
            }
        }
        match open.last() {
            Some(line) => Err((*line, "`(` is never closed: expected `)`".into())),
            None => Ok(Entry { line, indented, words }),
        }
    }

    fn quoted(&mut self) -> Result<Word, Wrong> {
        self.bump();
        let mut text = Vec::new();
        loop {
            match self.rest.first() {
                None | Some(b'\n') => {
                    return Err((self.line, "a string is not closed: expected `\"`".into()));
                }
                Some(b'"') => {
                    self.bump();
                    return Ok(Word { text, quoted: true });
                }
                Some(_) => self.character(&mut text),
            }
            if text.len() > MAX_ENTRY {
                return Err((self.line, format!("a string is longer than {MAX_ENTRY} bytes")));
            }
        }
    }

    fn plain(&mut self) -> Word {
        let mut text = Vec::new();
        while let Some(byte) = self.rest.first() {
            if byte.is_ascii_whitespace() || matches!(byte, 0x0b | b';' | b'(' | b')' | b'"') {
                break;
            }
            self.character(&mut text);
        }
        Word { text, quoted: false }
    }

    /// Adds the next byte, and after a backslash also the escaped one, unless the backslash ends the line.
    fn character(&mut self, text: &mut Vec<u8>) {
        let byte = self.bump();
        text.extend(byte);
        let escaped = self.rest.first().is_some_and(|next| !matches!(next, b'\n' | b'\r'));
        if byte == Some(b'\\') && escaped {
            text.extend(self.bump());
        }
    }
}

/// Splits one line into words, such as the data of a record.
///
/// # Errors
/// The problem.
pub(crate) fn words(line: &str) -> Result<Vec<Word>, String> {
    let mut entries = Entries::new(line.as_bytes());
    let words = match entries.next() {
        None => Vec::new(),
        Some(entry) => entry.map_err(|(_, why)| why)?.words,
    };
    match entries.next() {
        None => Ok(words),
        Some(_) => Err("it has more than one line".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let shown = |entry: Result<Entry, Wrong>| match entry {
            Err((line, why)) => format!("{line}! {why}"),
            Ok(entry) => {
                let words = entry.words.iter().map(|word| {
                    let text = String::from_utf8_lossy(&word.text).into_owned();
                    if word.quoted { format!("<{text}>") } else { text }
                });
                let blank = if entry.indented { "_" } else { "" };
                format!("{}{blank} {}", entry.line, words.collect::<Vec<_>>().join("|"))
            }
        };
        Entries::new(text.as_bytes()).map(shown).collect()
    }

    #[test]
    fn lines_are_split_into_words() {
        assert_eq!(all("a  IN\tA 1 ; c (\r\n\n ; x\n\tb"), ["1 a|IN|A|1", "4_ b"]);
        assert_eq!(all("@ SOA a b ( ; one\n 1 ;)\n\n 2 ) 3\nx"), ["1 @|SOA|a|b|1|2|3", "5 x"]);
        assert_eq!(
            all(r#"a TXT "one; (two" thr\"ee\;x"four""#),
            [r#"1 a|TXT|<one; (two>|thr\"ee\;x|<four>"#]
        );
        assert_eq!(all(r#"a "" "q\"\\""#), [r#"1 a|<>|<q\"\\>"#]);
    }

    #[test]
    fn what_is_left_open_is_said_with_its_line() {
        assert_eq!(all("a\nb ( c\nd"), ["1 a", "2! `(` is never closed: expected `)`"]);
        assert_eq!(all("a )"), ["1! `)` without `(` before it"]);
        assert_eq!(all("\na \"b\nc\""), ["2! a string is not closed: expected `\"`"]);
        assert_eq!(all("a \"b\\"), ["1! a string is not closed: expected `\"`"]);
    }
}
