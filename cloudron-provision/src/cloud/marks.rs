//! The marks on every created resource, and the forms in which the clouds can store them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use cloudron_core::{Error, Result};

use crate::ssh::HostKey;
use crate::steps::Context;

/// The most characters of a label's value at Hetzner.
const LABEL: usize = 63;
/// The most characters of a tag at DigitalOcean.
const TAG: usize = 255;

/// The host keys to trust, as fingerprints of the form `SHA256:…`.
///
/// Before the first session only `one_time` is there; while it is replaced, both; afterwards only `lasting`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostKeys {
    /// The key that was given in user-data.
    pub one_time: Option<String>,
    /// The key that the machine made itself.
    pub lasting: Option<String>,
}

impl HostKeys {
    /// Returns the keys of a machine that was just made.
    pub fn one_time(key: &HostKey) -> Self {
        Self { one_time: Some(key.fingerprint()), lasting: None }
    }

    /// Returns the fingerprints, the lasting one first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.lasting.iter().chain(&self.one_time).map(String::as_str)
    }
}

/// The marks of something that a run made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Marks {
    /// Name of the machine that it belongs to.
    pub fqdn: String,
    /// The run that made it, a ULID in lower case.
    pub run: String,
    /// The role of the machine: `primary`.
    pub role: String,
    /// The host keys; empty on everything but the machine itself.
    pub keys: HostKeys,
    /// The user to log in as, if it is not root. Only tags of EC2 have it.
    pub user: Option<String>,
}

impl Marks {
    /// Creates the marks of the primary machine of a domain.
    ///
    /// # Errors
    /// `domain-invalid` for what is no domain in lower case, `usage` for what is no run.
    pub fn new(fqdn: impl Into<String>, run: &str) -> Result<Self> {
        let (fqdn, run) = (fqdn.into(), run.to_lowercase());
        if !is_name(&fqdn) {
            let message = format!("{fqdn:?} is no domain in lower case");
            return Err(Error::new(&cloudron_core::codes::DOMAIN_INVALID, message));
        }
        if ulid::Ulid::from_string(&run).is_err() {
            return Err(Error::new(&cloudron_core::codes::USAGE, format!("{run:?} is no run")));
        }
        Ok(Self { fqdn, run, role: "primary".into(), keys: HostKeys::default(), user: None })
    }

    /// Returns true if the run of a context made it.
    pub fn is_of(&self, context: &Context) -> bool {
        self.fqdn == context.fqdn() && self.run.eq_ignore_ascii_case(&context.run())
    }

    /// Sets the host keys.
    pub fn with_keys(self, keys: HostKeys) -> Self {
        Self { keys, ..self }
    }

    /// Sets the user to log in as.
    pub fn with_user(self, user: impl Into<String>) -> Self {
        Self { user: Some(user.into()), ..self }
    }

    /// Returns the marks as labels of Hetzner: values have at most 63 characters, so that a long domain is split between
    /// its parts.
    pub fn to_labels(&self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (n, part) in split(&self.fqdn).into_iter().enumerate() {
            labels.insert(part_name(n), part);
        }
        labels.insert("cloudron-run".into(), self.run.clone());
        labels.insert("cloudron-role".into(), self.role.clone());
        for (name, key) in
            [("cloudron-one-time-key", &self.keys.one_time), ("cloudron-host-key", &self.keys.lasting)]
        {
            if let Some(label) = key.as_deref().and_then(fingerprint_to_label) {
                labels.insert(name.into(), label);
            }
        }
        labels
    }

    /// Returns the selector of everything at Hetzner that has this domain.
    pub fn label_selector(fqdn: &str) -> String {
        let parts = split(fqdn).into_iter().enumerate();
        parts.map(|(n, part)| format!("{}=={part}", part_name(n))).collect::<Vec<_>>().join(",")
    }

    /// Returns the labels that are not marks.
    pub fn other_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let ours = |name: &str| {
            ["cloudron-run", "cloudron-role", "cloudron-one-time-key", "cloudron-host-key"].contains(&name)
                || name.starts_with("cloudron-fqdn")
        };
        labels.iter().filter(|(name, _)| !ours(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    /// Parses labels of Hetzner; none if they are not ours.
    pub fn from_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        let parts: Vec<&str> = (0..).map_while(|n| labels.get(&part_name(n)).map(String::as_str)).collect();
        let fingerprint = |name: &str| labels.get(name).and_then(|text| label_to_fingerprint(text));
        let keys = HostKeys {
            one_time: fingerprint("cloudron-one-time-key"),
            lasting: fingerprint("cloudron-host-key"),
        };
        Self::parsed(parts.join("."), labels.get("cloudron-run")?, labels.get("cloudron-role")?, keys)
    }

    /// Returns the marks as tags of EC2.
    pub fn to_tags(&self) -> BTreeMap<String, String> {
        let mut tags = BTreeMap::from([
            ("cloudron:fqdn".to_string(), self.fqdn.clone()),
            ("cloudron:run".into(), self.run.clone()),
            ("cloudron:role".into(), self.role.clone()),
        ]);
        for (name, key) in
            [("cloudron:one-time-key", &self.keys.one_time), ("cloudron:host-key", &self.keys.lasting)]
        {
            if let Some(key) = key {
                tags.insert(name.into(), key.clone());
            }
        }
        if let Some(user) = &self.user {
            tags.insert("cloudron:user".into(), user.clone());
        }
        tags
    }

    /// Parses tags of EC2; none if they are not ours.
    pub fn from_tags(tags: &BTreeMap<String, String>) -> Option<Self> {
        let fingerprint = |name: &str| tags.get(name).filter(|text| hash(text).is_some()).cloned();
        let keys = HostKeys {
            one_time: fingerprint("cloudron:one-time-key"),
            lasting: fingerprint("cloudron:host-key"),
        };
        let fqdn = tags.get("cloudron:fqdn")?.clone();
        let user = tags.get("cloudron:user").filter(|name| is_user(name)).cloned();
        let marks = Self::parsed(fqdn, tags.get("cloudron:run")?, tags.get("cloudron:role")?, keys)?;
        Some(Self { user, ..marks })
    }

    /// Returns the marks as tags of DigitalOcean, which have neither dots nor values: dots are written as `_`, which no
    /// domain has. None if the domain is too long for a tag.
    pub fn to_words(&self) -> Option<Vec<String>> {
        Some([self.machine_word()?].into_iter().chain(self.key_words()).collect())
    }

    /// Returns the tag of DigitalOcean that names the machine and the run. None if the domain is too long for a tag.
    pub fn machine_word(&self) -> Option<String> {
        let word = format!("cloudron:{}:{}:{}", self.role, self.fqdn.replace('.', "_"), self.run);
        (word.len() <= TAG).then_some(word)
    }

    /// Returns the tags of DigitalOcean that name the host keys. They have the run, so that they belong to one machine.
    pub fn key_words(&self) -> Vec<String> {
        let keys = [("one-time-key", &self.keys.one_time), ("host-key", &self.keys.lasting)];
        let word = |(name, key): (&str, &Option<String>)| {
            let hash = hash(key.as_deref()?)?;
            Some(format!("cloudron:{name}:{}:{}", self.run, hex::encode(hash)))
        };
        keys.into_iter().filter_map(word).collect()
    }

    /// Parses tags of DigitalOcean; none if they are not ours, or name several machines or runs.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let words: Vec<Vec<&str>> = words.into_iter().map(|word| word.split(':').collect()).collect();
        let mut machines = words.iter().filter_map(|word| match word[..] {
            ["cloudron", role, fqdn, run] => {
                Self::parsed(fqdn.replace('_', "."), run, role, HostKeys::default())
            }
            _ => None,
        });
        let marks = machines.next().filter(|_| machines.next().is_none())?;
        let fingerprint = |name: &str| {
            let hash = words.iter().find_map(|word| match word[..] {
                ["cloudron", kind, run, hash] if kind == name && run == marks.run => hex::decode(hash).ok(),
                _ => None,
            });
            Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(hash.filter(|hash| hash.len() == 32)?)))
        };
        let keys = HostKeys { one_time: fingerprint("one-time-key"), lasting: fingerprint("host-key") };
        Some(marks.with_keys(keys))
    }

    fn parsed(fqdn: String, run: &str, role: &str, keys: HostKeys) -> Option<Self> {
        let role_fits = role.len() <= 32 && role.bytes().all(|b| b.is_ascii_lowercase());
        let marks = Self::new(fqdn, run).ok().filter(|_| role_fits && !role.is_empty())?;
        Some(Self { role: role.into(), keys, ..marks })
    }
}

/// Returns whether a text is a domain in lower case.
fn is_name(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Returns whether a text is the name of a user.
pub(crate) fn is_user(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    (1..=32).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(fits)
}

/// Splits a domain between its labels, into parts that fit into a label's value.
fn split(fqdn: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for label in fqdn.split('.') {
        match parts.last_mut().filter(|part| part.len() + 1 + label.len() <= LABEL) {
            Some(part) => {
                part.push('.');
                part.push_str(label);
            }
            None => parts.push(label.into()),
        }
    }
    parts
}

/// The label with that part of the domain, from 0.
fn part_name(n: usize) -> String {
    if n == 0 { "cloudron-fqdn".into() } else { format!("cloudron-fqdn-{}", n + 1) }
}

fn hash(fingerprint: &str) -> Option<Vec<u8>> {
    let hash = STANDARD_NO_PAD.decode(fingerprint.strip_prefix("SHA256:")?).ok()?;
    (hash.len() == 32).then_some(hash)
}

/// A value begins and ends with a letter or digit: the last character of 32 bytes always is one, the first is `h`.
fn fingerprint_to_label(fingerprint: &str) -> Option<String> {
    Some(format!("h{}", URL_SAFE_NO_PAD.encode(hash(fingerprint)?)))
}

fn label_to_fingerprint(label: &str) -> Option<String> {
    let hash = URL_SAFE_NO_PAD.decode(label.strip_prefix('h')?).ok().filter(|hash| hash.len() == 32)?;
    Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(hash)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn label() -> impl Strategy<Value = String> {
        "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?|[a-z0-9]{63}"
    }

    fn marks() -> impl Strategy<Value = Marks> {
        let fqdn = proptest::collection::vec(label(), 1..6).prop_map(|labels| labels.join("."));
        let fqdn = fqdn.prop_filter("no domain", |name| is_name(name));
        let key = || {
            proptest::option::of(
                any::<[u8; 32]>().prop_map(|h| format!("SHA256:{}", STANDARD_NO_PAD.encode(h))),
            )
        };
        (fqdn, any::<u128>(), key(), key()).prop_map(|(fqdn, run, one_time, lasting)| {
            let run = ulid::Ulid(run).to_string();
            Marks::new(fqdn, &run).unwrap().with_keys(HostKeys { one_time, lasting })
        })
    }

    fn fits(value: &str) -> bool {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        value.len() <= LABEL
            && edge(value.bytes().next())
            && edge(value.bytes().last())
            && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    }

    proptest! {
        #[test]
        fn marks_survive_every_cloud(marks in marks()) {
            let mut labels = marks.to_labels();
            prop_assert!(labels.iter().all(|(name, value)| fits(name) && fits(value)), "{labels:?}");
            labels.insert("theirs".into(), "x".into());
            prop_assert_eq!(Marks::from_labels(&labels), Some(marks.clone()));
            prop_assert_eq!(Marks::other_labels(&labels).len(), 1);
            let with_user = marks.clone().with_user("admin");
            prop_assert_eq!(Marks::from_tags(&with_user.to_tags()), Some(with_user));
            prop_assert_eq!(Marks::from_tags(&marks.to_tags()), Some(marks.clone()));
            match marks.to_words() {
                Some(words) => {
                    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-:".contains(&b);
                    prop_assert!(words.iter().all(|word| word.bytes().all(allowed)), "{words:?}");
                    prop_assert_eq!(Marks::from_words(words.iter().map(String::as_str)), Some(marks));
                }
                None => prop_assert!(marks.fqdn.len() > 200),
            }
        }

        #[test]
        fn labels_of_others_make_no_marks_and_no_panic(
            labels in proptest::collection::btree_map("cloudron-(fqdn|fqdn-2|run|role|host-key)", ".*", 0..5)
        ) {
            if let Some(marks) = Marks::from_labels(&labels) {
                prop_assert!(is_name(&marks.fqdn));
            }
        }
    }
}
