//! SPF records (RFC 7208): parsing, merging, removing, and evaluation as by a receiver ([`check_host`]).

mod ask;
mod evaluate;
mod macros;
mod outcome;
mod term;

pub use ask::MAX_VOID_LOOKUPS;
pub use evaluate::check_host;
pub use outcome::{Evaluation, Outcome, Sender};

use crate::{Error, Result, codes};

/// Maximum number of terms that cause a lookup (RFC 7208, section 4.6.4).
pub const MAX_LOOKUPS: usize = 10;

/// An SPF record: its terms in order, each as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    terms: Vec<String>,
}

/// The result of adding or removing mechanisms, for the SPF record among the texts of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Merged {
    /// The existing record, byte for byte.
    pub old: Option<Vec<u8>>,
    /// The new record; the same bytes if nothing has to change.
    pub new: Option<Vec<u8>>,
}

impl Record {
    /// Returns whether a text is an SPF record at all (RFC 7208, section 4.5).
    pub fn is_spf(text: &[u8]) -> bool {
        let version = text.get(..6).is_some_and(|v| v.eq_ignore_ascii_case(b"v=spf1"));
        version && text.get(6).is_none_or(|b| *b == b' ')
    }

    /// Parses an SPF record.
    ///
    /// # Errors
    /// `dns-spf` for a record that gives receivers a permanent error (RFC 7208, section 4.6).
    pub fn parse(text: &[u8]) -> Result<Self> {
        let shown = String::from_utf8_lossy(text).into_owned();
        let bad = |why: String| Error::new(&codes::SPF, format!("the SPF record {shown:?}: {why}"));
        if !Self::is_spf(text) || !text.is_ascii() {
            return Err(bad("it does not begin with `v=spf1`, or is not ASCII".into()));
        }
        let terms: Vec<String> = shown[6..].split(' ').filter(|t| !t.is_empty()).map(str::to_owned).collect();
        if let Some(term) = terms.iter().find(|t| !is_term(t)) {
            return Err(bad(format!("{term:?} is no mechanism and no modifier")));
        }
        for modifier in ["redirect", "exp"] {
            let times = terms.iter().filter(|t| is_modifier(t, modifier)).count();
            if times > 1 {
                return Err(bad(format!("{modifier}= is there {times} times")));
            }
        }
        Ok(Self { terms })
    }

    /// Returns the terms after the version, as they were written.
    pub fn terms(&self) -> &[String] {
        &self.terms
    }

    /// Returns the number of terms that cause a lookup. Lookups of an included record are not counted, because it is
    /// not known here.
    pub fn lookups(&self) -> usize {
        let end = self.terms.iter().position(|t| mechanism(t).is_some_and(|(_, name, _)| name == "all"));
        let counted =
            self.terms[..end.unwrap_or(self.terms.len())].iter().filter(|term| match mechanism(term) {
                Some((_, name, _)) => matches!(name.as_str(), "include" | "a" | "mx" | "ptr" | "exists"),
                None => end.is_none() && is_modifier(term, "redirect"),
            });
        counted.count()
    }

    /// Adds a mechanism unless it is allowed already: before `all`, or before the modifiers if there is no `all`.
    fn insert(&mut self, ours: &str) -> Result<()> {
        let wanted = mechanism(ours).filter(|(qualifier, ..)| *qualifier == '+').ok_or_else(|| {
            Error::new(&codes::SPF, format!("{ours:?} is not a mechanism that lets mail pass"))
        })?;
        let last = self.terms.iter().position(|term| match mechanism(term) {
            Some((_, name, _)) => name == "all",
            None => is_modifier(term, "redirect"),
        });
        let last = last.unwrap_or(self.terms.len());
        for term in &self.terms[..last] {
            let Some((qualifier, name, value)) = mechanism(term) else { continue };
            if (&name, &value) != (&wanted.1, &wanted.2) {
                continue;
            }
            if qualifier == '+' {
                return Ok(());
            }
            return Err(Error::new(
                &codes::SPF,
                format!("the SPF record {:?} refuses {ours}", self.to_string()),
            ));
        }
        self.terms.insert(last, ours.to_owned());
        Ok(())
    }
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("v=spf1")?;
        self.terms.iter().try_for_each(|term| write!(f, " {term}"))
    }
}

/// Adds mechanisms to the one SPF record that a name may have (RFC 7208, section 3.2). `texts` are all texts of the
/// name, each with its strings joined. Terms, their order and the policy of `all` are kept; new mechanisms are inserted
/// before `all`. A new record ends in `~all`.
///
/// ```
/// let texts = [b"v=spf1 include:_spf.example.net -all".to_vec()];
/// let merged = cloudron_dns::spf::merge(&texts, &["a:my.example.com".into()])?;
/// assert_eq!(merged.new.unwrap(), b"v=spf1 include:_spf.example.net a:my.example.com -all");
/// # Ok::<(), cloudron_dns::Error>(())
/// ```
///
/// # Errors
/// `dns-spf` if there are two records, one has an error or rejects ours, or the result would need more than
/// [`MAX_LOOKUPS`].
pub fn merge(texts: &[Vec<u8>], ours: &[String]) -> Result<Merged> {
    let old = only_record(texts)?;
    let existing = old.as_deref().map_or(Ok(Record { terms: vec!["~all".into()] }), Record::parse)?;
    let mut merged = existing.clone();
    ours.iter().try_for_each(|mechanism| merged.insert(mechanism))?;
    if let (true, Some(old)) = (merged == existing, &old) {
        return Ok(Merged { new: Some(old.clone()), old: Some(old.clone()) });
    }
    let lookups = merged.lookups();
    if lookups > MAX_LOOKUPS {
        let text = old.map_or_else(String::new, |o| String::from_utf8_lossy(&o).into_owned());
        let message = format!(
            "the SPF record {text:?} and {} would need {lookups} look-ups, where {MAX_LOOKUPS} are allowed",
            ours.join(" ")
        );
        return Err(Error::new(&codes::SPF, message)
            .with_hint("remove an include: that is no longer in use, or write an address as ip4: or ip6:"));
    }
    Ok(Merged { old, new: Some(merged.to_string().into_bytes()) })
}

/// Removes mechanisms from the SPF record among the texts of a name. A record that then allows nothing and has no
/// redirect is removed completely.
///
/// # Errors
/// `dns-spf` if there are two records or one has an error.
pub fn remove(texts: &[Vec<u8>], ours: &[String]) -> Result<Merged> {
    let Some(old) = only_record(texts)? else { return Ok(Merged { old: None, new: None }) };
    let existing = Record::parse(&old)?;
    let ours: Vec<_> = ours.iter().filter_map(|m| mechanism(m)).collect();
    let kept = existing.terms.iter().filter(|term| mechanism(term).is_none_or(|m| !ours.contains(&m)));
    let rest = Record { terms: kept.cloned().collect() };
    if rest == existing {
        return Ok(Merged { new: Some(old.clone()), old: Some(old) });
    }
    let empty = rest.terms.iter().all(|t| mechanism(t).is_some_and(|(_, name, _)| name == "all"));
    let new = (!empty).then(|| rest.to_string().into_bytes());
    Ok(Merged { old: Some(old), new })
}

fn only_record(texts: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
    let records: Vec<&Vec<u8>> = texts.iter().filter(|t| Record::is_spf(t)).collect();
    match records[..] {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        _ => {
            let shown: Vec<_> = records.iter().map(|r| format!("{:?}", String::from_utf8_lossy(r))).collect();
            let message = format!("there are {} SPF records: {}", shown.len(), shown.join(" and "));
            Err(Error::new(&codes::SPF, message).with_hint("keep one of them, with the terms of all"))
        }
    }
}

/// Returns qualifier, name and the rest of a mechanism, in lower case; a rest that is equal to the default is omitted.
fn mechanism(term: &str) -> Option<(char, String, String)> {
    let (qualifier, rest) = match term.chars().next()? {
        q @ ('+' | '-' | '~' | '?') => (q, &term[1..]),
        _ => ('+', term),
    };
    let end = rest.find([':', '/', '=']).unwrap_or(rest.len());
    if rest[end..].starts_with('=') {
        return None;
    }
    let (name, value) = (rest[..end].to_ascii_lowercase(), rest[end..].to_ascii_lowercase());
    let known = match name.as_str() {
        "all" => value.is_empty(),
        "include" | "ip4" | "ip6" | "exists" => value.len() > 1 && value.starts_with(':'),
        "a" | "mx" => value.is_empty() || value.len() > 1,
        "ptr" => value.is_empty() || (value.len() > 1 && value.starts_with(':')),
        _ => false,
    };
    let value = value.strip_suffix('.').unwrap_or(&value).to_owned();
    known.then_some((qualifier, name, value))
}

fn is_term(term: &str) -> bool {
    mechanism(term).is_some() || term.split_once('=').is_some_and(|(name, _)| is_modifier_name(name))
}

fn is_modifier(term: &str, wanted: &str) -> bool {
    term.split_once('=').is_some_and(|(name, _)| name.eq_ignore_ascii_case(wanted))
}

fn is_modifier_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn merged(texts: &[&str]) -> Result<String> {
        let texts: Vec<Vec<u8>> = texts.iter().map(|t| t.as_bytes().to_vec()).collect();
        let new = merge(&texts, &["a:my.example.com".into()])?.new.unwrap();
        Ok(String::from_utf8(new).unwrap())
    }

    #[test]
    fn ours_goes_in_front_of_all_and_the_policy_is_kept() {
        for (old, new) in [
            ("v=spf1 -all", "v=spf1 a:my.example.com -all"),
            ("v=spf1 mx ~all", "v=spf1 mx a:my.example.com ~all"),
            ("V=SPF1 ?all", "v=spf1 a:my.example.com ?all"),
            ("v=spf1", "v=spf1 a:my.example.com"),
            ("v=spf1 mx redirect=_spf.example.net", "v=spf1 mx a:my.example.com redirect=_spf.example.net"),
            ("v=spf1  mx  exp=e.%{d} -all", "v=spf1 mx exp=e.%{d} a:my.example.com -all"),
        ] {
            assert_eq!(merged(&[old, "google-site-verification=x"]).unwrap(), new);
        }
    }

    #[test]
    fn without_a_record_one_is_made() {
        assert_eq!(merged(&["v=spf10 is another thing"]).unwrap(), "v=spf1 a:my.example.com ~all");
    }

    #[test]
    fn a_record_that_lets_ours_pass_stays_as_it_is_byte_for_byte() {
        for old in ["v=spf1 a:my.example.com -all", "V=spf1  +A:MY.example.com.  mx ~ALL"] {
            assert_eq!(merged(&[old]).unwrap(), old);
        }
    }

    #[test]
    fn what_receivers_call_a_permanent_error_is_not_merged() {
        let eleven = format!("v=spf1 {}-all", "include:x.example ".repeat(10));
        for (texts, says) in [
            (&["v=spf1 -all", "v=spf1 mx -all"][..], "2 SPF records"),
            (&["v=spf1 ipv4:192.0.2.1 -all"], "no mechanism"),
            (&["v=spf1 redirect=a redirect=b"], "2 times"),
            (&["v=spf1 -a:my.example.com ~all"], "refuses"),
            (&[&eleven], "11 look-ups"),
        ] {
            let error = merged(texts).unwrap_err();
            assert!(error.is(&codes::SPF) && error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn removing_ours_leaves_the_rest_and_an_empty_record_goes() {
        let ours = ["a:my.example.com".to_owned()];
        let removed = remove(&[b"v=spf1 mx a:my.example.com -all".to_vec()], &ours).unwrap();
        assert_eq!(removed.new.unwrap(), b"v=spf1 mx -all");
        assert_eq!(remove(&[b"v=spf1 a:my.example.com ~all".to_vec()], &ours).unwrap().new, None);
    }

    proptest! {
        #[test]
        fn merging_twice_changes_nothing_and_keeps_every_term_in_order(
            terms in prop::collection::vec(
                prop::sample::select(vec!["mx", "a", "include:x.example", "ip4:192.0.2.0/24", "~mx", "exp=e.example"]),
                0..6,
            ),
            policy in prop::sample::select(vec!["", "-all", "~all", "redirect=r.example"]),
        ) {
            let text = format!("v=spf1 {} {policy}", terms.join(" "));
            if let Ok(once) = merged(&[&text]) {
                prop_assert_eq!(&merged(&[&once]).unwrap(), &once);
                let kept: Vec<&str> = once.split(' ').filter(|t| *t != "a:my.example.com").collect();
                let before: Vec<&str> = text.split(' ').filter(|t| !t.is_empty()).collect();
                prop_assert_eq!(kept, before);
            }
        }
    }
}
