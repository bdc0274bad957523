//! Patterns of what is left out.

/// Patterns with `*` (anything in a name), `**` (anything) and `?` (one byte of a name).
#[derive(Debug, Clone, Default)]
pub(crate) struct Excludes(Vec<Vec<u8>>);

impl Excludes {
    pub(crate) fn new(patterns: &[String]) -> Self {
        let clean = |p: &String| p.trim_end_matches('/').as_bytes().to_vec();
        Self(patterns.iter().map(clean).filter(|p| !p.is_empty()).collect())
    }

    /// Whether an entry is left out. Its folder was asked before.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
        self.0.iter().any(|pattern| match pattern.first() {
            Some(b'/') => glob(pattern, path),
            _ => glob(pattern, name),
        })
    }
}

/// Whether a pattern fits all of a text. Of the stars met so far only the last of each kind is tried again, so
/// that no pattern takes long.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on behind a star, and with which byte of the text.
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
        Excludes::new(&[pattern.to_owned()]).matches(path.as_bytes())
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
        assert!(!matches("/srv", "/srv2"));
        assert!(!matches("/srv/?", "/srv//"));
    }

    /// The meaning of a pattern, put as simply as possible.
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
