//! Patterns for excluding and for searching files.
//!
//! Unsupported patterns are refused: one that silently matches nothing would fill a disk with files that were
//! to be excluded; one that matches more than intended would lose files.

use std::path::Path;

use cloudron_core::{Error, Result};

use crate::codes;

/// Patterns with `*` (anything in a name), `**` (anything) and `?` (one byte of a name).
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns(Vec<Pattern>);

/// Reads a file of patterns: one in a line, and none in an empty line or in one that begins with `#`.
///
/// # Errors
/// `pattern-invalid` for a pattern with a comment behind it, and those of files.
pub fn read_patterns(file: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(file).map_err(|e| Error::io(file, e))?;
    let lines = text.strip_prefix('\u{feff}').unwrap_or(&text).lines().map(str::trim);
    let patterns = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    patterns
        .map(|line| match line.contains(" #") {
            false => Ok(line.to_owned()),
            true => {
                let text = format!("{}: {line:?}: a comment has a line of its own", file.display());
                Err(Error::new(&codes::PATTERN_INVALID, text)
                    .with_hint("move the comment; a # that is part of a name is written as ?"))
            }
        })
        .collect()
}

#[derive(Debug, Clone)]
struct Pattern {
    text: String,
    /// The normalized pattern: without repeated slashes, and with a leading `**/` if it may begin at any folder.
    glob: Vec<u8>,
    /// True if it is compared with whole paths, false if with names.
    is_path: bool,
}

impl Patterns {
    /// Parses patterns. A pattern that starts with a slash is compared with whole paths, one with a slash in
    /// it with the ends of paths, and any other with names.
    ///
    /// # Errors
    /// `pattern-invalid`, with a suggestion of what to write instead.
    pub(crate) fn new(patterns: &[String]) -> Result<Self> {
        patterns.iter().map(|text| Pattern::read(text)).collect::<Result<_>>().map(Self)
    }

    /// Returns the index of the first pattern that an entry matches. Its parent folder must have been checked before.
    pub(crate) fn find(&self, path: &[u8]) -> Option<usize> {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
        self.0.iter().position(|pattern| match pattern.is_path {
            true => glob(&pattern.glob, path),
            false => glob(&pattern.glob, name),
        })
    }

    /// Checks whether an entry matches any of them.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        self.find(path).is_some()
    }

    /// Returns the patterns as they were given.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|pattern| pattern.text.as_str())
    }

    /// Refuses absolute patterns that cannot match anything below these sources, and those that exclude a
    /// whole source.
    ///
    /// # Errors
    /// `pattern-invalid`.
    pub(crate) fn check_below(&self, sources: &[&Path]) -> Result<()> {
        for pattern in self.0.iter().filter(|p| p.is_path && p.glob.starts_with(b"/")) {
            let reaches: Vec<Reach> = sources.iter().map(|source| pattern.reach(source)).collect();
            if let Some(at) = reaches.iter().position(|reach| *reach == Reach::All) {
                let why = format!("leaves out all of {}", sources[at].display());
                return Err(pattern.refused(&why, "leave that folder out of what is backed up instead"));
            }
            if reaches.iter().all(|reach| *reach == Reach::Nothing) {
                let hint = "a pattern that starts with / is compared with whole paths: begin it with the folder that is \
                            backed up, or write the name alone";
                return Err(pattern.refused("fits nothing that is backed up", hint));
            }
        }
        Ok(())
    }
}

/// The part of a source that an absolute pattern can match.
#[derive(PartialEq)]
enum Reach {
    Nothing,
    /// Entries below it.
    Below,
    /// The source itself, or a folder that contains it.
    All,
}

impl Pattern {
    fn read(text: &str) -> Result<Self> {
        let this =
            |glob: &str, is_path| Self { text: text.to_owned(), glob: glob.as_bytes().to_vec(), is_path };
        let pattern = this(text, false);
        if let Some((why, hint)) = misunderstood(text) {
            return Err(pattern.refused(why, hint));
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
        let Some(last) = parts.last() else {
            return Err(pattern.refused("is empty", "write the name of what is meant, or its path"));
        };
        let rest = parts.join("/");
        Ok(if text.starts_with('/') {
            this(&format!("/{rest}"), true)
        } else if parts.iter().rev().skip(1).all(|part| *part == "**") && *last != "**" {
            this(last, false)
        } else if parts[0] == "**" {
            this(&rest, true)
        } else {
            this(&format!("**/{rest}"), true)
        })
    }

    fn refused(&self, why: &str, hint: &str) -> Error {
        Error::new(&codes::PATTERN_INVALID, format!("the pattern {:?} {why}", self.text)).with_hint(hint)
    }

    fn reach(&self, source: &Path) -> Reach {
        let source = source.as_os_str().as_encoded_bytes();
        let mut names = source.split(|b| *b == b'/').filter(|name| !name.is_empty());
        for part in self.glob.split(|b| *b == b'/').skip(1) {
            match names.next() {
                // The rest of the pattern matches entries in the source.
                None => return Reach::Below,
                Some(_) if part.windows(2).any(|two| two == b"**") => return Reach::Below,
                Some(name) if !glob(part, name) => return Reach::Nothing,
                Some(_) => {}
            }
        }
        Reach::All
    }
}

/// Returns why a pattern with the syntax of other programs is refused, and what to write instead.
fn misunderstood(text: &str) -> Option<(&'static str, &'static str)> {
    let pair = |open, close| text.contains(open) && text.contains(close);
    let has_part = |part: &str| text.split('/').any(|p| p == part);
    if text.starts_with('!') {
        let hint = "there are no exceptions from a pattern; a name that starts with ! is written with ? in its place";
        Some(("starts with !", hint))
    } else if pair('[', ']') || pair('{', '}') {
        let hint = "write a pattern for each case; a bracket that is part of a name is written as ?, which fits any character";
        Some(("has brackets", hint))
    } else if text.contains('\\') {
        Some(("has a backslash", "write ? in place of a character that must not count as a pattern"))
    } else if text.starts_with("~/") || text.starts_with("$HOME/") {
        Some(("is not what the shell makes of it", "write the path in full"))
    } else if has_part(".") || has_part("..") {
        Some(("has . or .. in it", "write the path in full from / on, or the name alone"))
    } else if text.contains(char::is_control) {
        Some(("has a control character", "write ? in its place"))
    } else if text.trim_matches('/').bytes().all(|b| b == b'*' || b == b'/')
        && !text.trim_matches('/').is_empty()
    {
        Some(("fits everything", "name what is meant"))
    } else {
        None
    }
}

/// Checks whether a pattern matches a whole text. Only the last star of each kind is retried, so that
/// matching is fast for all patterns.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // The position after a star, and the byte of the text to continue with.
    let mut name: Option<(usize, usize)> = None;
    let mut any: Option<(usize, usize)> = None;
    loop {
        if pattern[p..].starts_with(b"**") {
            p += 2;
            (name, any) = (None, Some((p, t)));
            continue;
        }
        match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                p += 1;
                name = Some((p, t));
                continue;
            }
            (Some(a), Some(b)) if a == b || (*a == b'?' && *b != b'/') => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            _ => {}
        }
        (p, t) = match (name, any) {
            (Some((after, at)), _) if text.get(at).is_some_and(|b| *b != b'/') => {
                name = Some((after, at + 1));
                (after, at + 1)
            }
            (_, Some((after, at))) if at < text.len() => {
                (name, any) = (None, Some((after, at + 1)));
                (after, at + 1)
            }
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Patterns::new(&[pattern.to_owned()]).unwrap().matches(path.as_bytes())
    }

    #[test]
    fn a_pattern_without_a_slash_in_front_fits_names() {
        assert!(matches("*.tmp", "/srv/a/b.tmp"));
        assert!(matches("node_modules/", "/srv/node_modules"));
        assert!(matches("a?c", "/x/abc"));
        assert!(!matches("*.tmp", "/srv/a.tmp/b"));
        assert!(!matches("a", "/srv/ab"));
    }

    #[test]
    fn a_pattern_with_a_slash_in_front_fits_whole_paths() {
        assert!(matches("/srv/*/cache", "/srv/app/cache"));
        assert!(!matches("/srv/*/cache", "/srv/app/one/cache"));
        assert!(matches("/srv/**/cache", "/srv/app/one/cache"));
        assert!(matches("/srv/**", "/srv/x/y"));
        assert!(matches("/srv//a/", "/srv/a"));
        assert!(!matches("/srv", "/srv2"));
        assert!(!matches("/srv/?", "/srv//"));
    }

    #[test]
    fn a_pattern_with_a_slash_in_it_fits_the_ends_of_paths() {
        for pattern in ["app/cache", "app//cache/", "**/app/cache", "*p/c?che", "app/**", "srv/**/cache"] {
            assert!(matches(pattern, "/srv/app/cache"), "{pattern}");
        }
        assert!(matches("**/cache", "/srv/app/cache") && matches("**/**/cache", "/srv/app/cache"));
        assert!(!matches("app/cache", "/srv/snapp/cache"));
        assert!(!matches("app/cache", "/srv/app/cache/x"));
        assert!(!matches("**/cache", "/srv/app/caches"));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_what_to_write() {
        let refused = |text: &str| Patterns::new(&[text.to_owned()]).unwrap_err();
        for text in [
            "", "/", "//", "*", "**", "/**", "**/*", "!keep", "*.[ch]", "{a,b}", "a\\*b", "./x", "a/../b",
            "../x", "~/x", "$HOME/x", "a\nb", "\u{1}",
        ] {
            let error = refused(text);
            assert!(error.is(&codes::PATTERN_INVALID) && error.hint().is_some(), "{text:?}");
        }
        for text in ["~$*", "$RECYCLE.BIN", "a]b", "*~", ".*", "..x", "a b "] {
            Patterns::new(&[text.to_owned()]).unwrap();
        }
    }

    #[test]
    fn a_whole_path_that_cannot_be_below_a_source_is_refused() {
        let check = |text: &str| {
            let sources = [Path::new("/srv/app"), Path::new("/home")];
            Patterns::new(&[text.to_owned()]).unwrap().check_below(&sources)
        };
        for good in ["/srv/app/x", "/srv/*/x", "/**/x", "/srv/**", "/home/a/b", "x", "a/b", "/*/*/x"] {
            check(good).unwrap();
        }
        for bad in
            ["/etc", "/srv/other/x", "/srv/ap", "/srv", "/srv/app", "/home/", "/h*", "/s*/a*", "/homes/x"]
        {
            assert!(check(bad).unwrap_err().is(&codes::PATTERN_INVALID), "{bad}");
        }
    }

    /// The reference implementation of matching, as simple as possible.
    fn fits(pattern: &[u8], text: &[u8]) -> bool {
        if let Some(rest) = pattern.strip_prefix(b"**") {
            return (0..=text.len()).any(|i| fits(rest, &text[i..]));
        }
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), _) => {
                let name = text.iter().position(|b| *b == b'/').unwrap_or(text.len());
                (0..=name).any(|i| fits(&pattern[1..], &text[i..]))
            }
            (Some(b'?'), Some(c)) if *c != b'/' => fits(&pattern[1..], &text[1..]),
            (Some(a), Some(b)) if a == b => fits(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4000))]

        #[test]
        fn a_pattern_means_what_it_says(pattern in "[ab/*?]{0,9}", text in "[ab/]{0,9}") {
            proptest::prop_assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), fits(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
