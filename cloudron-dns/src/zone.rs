//! Zones, and their contents at a provider.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Error, Name, OwnerName, RecordKey, RecordSet, RecordType, Result, codes};

/// The clients that get answers from a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Visibility {
    /// All clients.
    Public,
    /// Only some networks.
    Private,
    /// The provider does not report it.
    Unknown,
}

/// A zone at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Zone {
    /// The provider's ID of the zone.
    pub id: String,
    /// The apex: the name of the zone.
    pub apex: Name,
    /// The clients that get answers from it.
    pub visibility: Visibility,
    /// The name servers that serve it, according to the provider; empty if it does not report them.
    pub name_servers: Vec<Name>,
}

impl Zone {
    /// Creates a public zone.
    pub fn new(id: impl Into<String>, apex: Name) -> Self {
        Self { id: id.into(), apex, visibility: Visibility::Public, name_servers: Vec::new() }
    }

    /// Sets the name servers.
    pub fn with_name_servers(self, name_servers: impl IntoIterator<Item = Name>) -> Self {
        Self { name_servers: name_servers.into_iter().collect(), ..self }
    }

    /// Sets the visibility.
    pub fn with_visibility(self, visibility: Visibility) -> Self {
        Self { visibility, ..self }
    }
}

/// Returns the zone that contains a name's records: the one with the longest apex that encloses it, label by label.
/// Private zones are ignored.
///
/// # Errors
/// `dns-zone-not-found`; `dns-zone-ambiguous` if several zones have that apex.
pub fn enclosing_zone<'a>(zones: &'a [Zone], name: &Name) -> Result<&'a Zone> {
    let enclosing = zones.iter().filter(|z| z.visibility != Visibility::Private && name.is_in(&z.apex));
    let longest = enclosing.clone().map(|z| z.apex.labels().count()).max();
    let found: Vec<&Zone> = enclosing.filter(|z| Some(z.apex.labels().count()) == longest).collect();
    match found[..] {
        [zone] => Ok(zone),
        [] => {
            let known: Vec<String> = zones.iter().map(|z| z.apex.to_string()).take(10).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            Err(Error::new(&codes::ZONE_NOT_FOUND, format!("no zone encloses {name} (zones there: {known})")))
        }
        _ => {
            let ids: Vec<&str> = found.iter().map(|z| z.id.as_str()).collect();
            let apex = &found[0].apex;
            let message = format!("there are {} zones named {apex}: {}", found.len(), ids.join(", "));
            Err(Error::new(&codes::ZONE_AMBIGUOUS, message))
        }
    }
}

/// A record set at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Observed {
    /// A plain record set.
    Plain(RecordSet),
    /// A set that this crate's model cannot represent, such as an alias or one of several weighted sets. It is listed
    /// and never overwritten.
    Opaque {
        /// The key of the set.
        key: RecordKey,
        /// A description for display: `alias to d111111abcdef8.cloudfront.net`.
        what: String,
    },
}

impl Observed {
    /// Returns the key of the set.
    pub fn key(&self) -> &RecordKey {
        match self {
            Self::Plain(set) => set.key(),
            Self::Opaque { key, .. } => key,
        }
    }

    /// Returns the record set, unless it is opaque.
    pub fn plain(&self) -> Option<&RecordSet> {
        match self {
            Self::Plain(set) => Some(set),
            Self::Opaque { .. } => None,
        }
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(set) => set.fmt(f),
            Self::Opaque { key, what } => write!(f, "{key} ({what})"),
        }
    }
}

/// Data that a provider keeps between reading and writing, such as record IDs. It is opaque to callers.
pub type Handle = Arc<dyn Any + Send + Sync>;

/// The record sets of a zone, or of some names in it, at the time of a read.
#[derive(Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// The zone.
    pub zone: Zone,
    /// Every record set that was read.
    pub sets: BTreeMap<RecordKey, Observed>,
    /// True if these are all sets of the zone, rather than only those of the requested names.
    pub complete: bool,
    /// Data that the provider needs together with the changes.
    pub handle: Option<Handle>,
}

impl Snapshot {
    /// Creates a snapshot of the record sets of a zone.
    pub fn new(zone: Zone, sets: impl IntoIterator<Item = Observed>, complete: bool) -> Self {
        let sets = sets.into_iter().map(|s| (s.key().clone(), s)).collect();
        Self { zone, sets, complete, handle: None }
    }

    /// Sets the data that the provider needs together with the changes.
    pub fn with_handle(self, handle: Handle) -> Self {
        Self { handle: Some(handle), ..self }
    }

    /// Returns everything with this name and type, including opaque variants.
    pub fn all_of<'a>(&'a self, name: &OwnerName, rtype: RecordType) -> impl Iterator<Item = &'a Observed> {
        self.at(name).filter(move |set| set.key().rtype == rtype)
    }

    /// Returns everything with this name.
    pub fn at<'a>(&'a self, name: &OwnerName) -> impl Iterator<Item = &'a Observed> {
        let first = RecordKey::new(name.clone(), RecordType(0));
        let name = name.clone();
        self.sets.range(first..).take_while(move |(key, _)| key.name == name).map(|(_, set)| set)
    }

    /// Returns the plain record set with this key.
    pub fn get(&self, key: &RecordKey) -> Option<&RecordSet> {
        self.sets.get(key).and_then(Observed::plain)
    }

    /// Returns the zone, its records, and in words what is no plain record set, for programs.
    #[cfg(feature = "json")]
    pub fn export(&self) -> serde_json::Value {
        let is_record = |set: &&Observed| set.plain().is_some_and(|plain| plain.key().variant.is_none());
        let (records, others): (Vec<&Observed>, Vec<&Observed>) = self.sets.values().partition(is_record);
        let records: Vec<&RecordSet> = records.into_iter().filter_map(Observed::plain).collect();
        let others =
            others.into_iter().map(|set| serde_json::json!({ "key": set.key(), "what": set.to_string() }));
        serde_json::json!({ "zone": self.zone, "records": records, "opaque": others.collect::<Vec<_>>() })
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("zone", &self.zone)
            .field("sets", &self.sets)
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(id: &str, apex: &str) -> Zone {
        Zone::new(id, apex.parse().unwrap())
    }

    #[test]
    fn the_longest_enclosing_zone_wins_at_label_boundaries() {
        let zones = [zone("1", "example.com"), zone("2", "sub.example.com"), zone("3", "notsub.example.com")];
        let find = |name: &str| enclosing_zone(&zones, &name.parse().unwrap()).map(|z| z.id.clone());
        assert_eq!(find("my.example.com").unwrap(), "1");
        assert_eq!(find("my.sub.example.com").unwrap(), "2");
        assert_eq!(find("xnotsub.example.com").unwrap(), "1");
        assert!(find("my.example.org").unwrap_err().is(&codes::ZONE_NOT_FOUND));
    }

    #[test]
    fn private_zones_do_not_count_and_two_public_ones_are_not_guessed_between() {
        let private = zone("p", "example.com").with_visibility(Visibility::Private);
        let zones = [private, zone("a", "example.com")];
        assert_eq!(enclosing_zone(&zones, &"example.com".parse().unwrap()).unwrap().id, "a");
        let zones = [zone("a", "example.com"), zone("b", "example.com")];
        let error = enclosing_zone(&zones, &"example.com".parse().unwrap()).unwrap_err();
        assert!(error.is(&codes::ZONE_AMBIGUOUS) && error.message().contains("a, b"), "{error}");
    }
}
