//! Zones, and what a provider has in one.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Error, Name, OwnerName, RecordKey, RecordSet, RecordType, Result, codes};

/// Who is answered from a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Only some networks.
    Private,
    /// The provider does not say.
    Unknown,
}

/// A zone at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Zone {
    /// The provider's id of the zone.
    pub id: String,
    /// The name at its top.
    pub apex: Name,
    /// Who is answered from it.
    pub visibility: Visibility,
    /// The name servers that the provider says serve it; empty where it does not say.
    pub name_servers: Vec<Name>,
}

impl Zone {
    /// A public zone.
    pub fn new(id: impl Into<String>, apex: Name) -> Self {
        Self { id: id.into(), apex, visibility: Visibility::Public, name_servers: Vec::new() }
    }

    /// The same zone with its name servers.
    pub fn with_name_servers(self, name_servers: impl IntoIterator<Item = Name>) -> Self {
        Self { name_servers: name_servers.into_iter().collect(), ..self }
    }

    /// The same zone, seen by others.
    pub fn with_visibility(self, visibility: Visibility) -> Self {
        Self { visibility, ..self }
    }
}

/// The zone that a name's records go into: the one with the longest apex that encloses it, label by label. Private
/// zones do not count.
///
/// # Errors
/// `dns-zone-not-found`; `dns-zone-ambiguous` when several zones have that apex.
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

/// A record set as a provider has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Observed {
    /// A plain record set.
    Plain(RecordSet),
    /// Something that this crate's model cannot express, such as an alias or one of several weighted sets. It is
    /// listed and never written over.
    Opaque {
        /// What identifies it.
        key: RecordKey,
        /// What it is, for people: `alias to d111111abcdef8.cloudfront.net`.
        what: String,
    },
}

impl Observed {
    /// What identifies it.
    pub fn key(&self) -> &RecordKey {
        match self {
            Self::Plain(set) => set.key(),
            Self::Opaque { key, .. } => key,
        }
    }

    /// The record set, unless it is opaque.
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

/// Something that a provider remembers between reading and writing, such as record ids. Means nothing to others.
pub type Handle = Arc<dyn Any + Send + Sync>;

/// The record sets of a zone, or of some names in it, as a provider had them when asked.
#[derive(Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// The zone.
    pub zone: Zone,
    /// Every record set that was read.
    pub sets: BTreeMap<RecordKey, Observed>,
    /// Whether these are all sets of the zone, rather than those of the names that were asked for.
    pub complete: bool,
    /// What the provider wants back with the changes.
    pub handle: Option<Handle>,
}

impl Snapshot {
    /// A snapshot of the record sets of a zone.
    pub fn new(zone: Zone, sets: impl IntoIterator<Item = Observed>, complete: bool) -> Self {
        let sets = sets.into_iter().map(|s| (s.key().clone(), s)).collect();
        Self { zone, sets, complete, handle: None }
    }

    /// The same snapshot with what the provider wants back with the changes.
    pub fn with_handle(self, handle: Handle) -> Self {
        Self { handle: Some(handle), ..self }
    }

    /// What has this name and type, opaque variants included.
    pub fn all_of<'a>(&'a self, name: &OwnerName, rtype: RecordType) -> impl Iterator<Item = &'a Observed> {
        self.at(name).filter(move |set| set.key().rtype == rtype)
    }

    /// What has this name.
    pub fn at<'a>(&'a self, name: &OwnerName) -> impl Iterator<Item = &'a Observed> {
        let first = RecordKey::new(name.clone(), RecordType(0));
        let name = name.clone();
        self.sets.range(first..).take_while(move |(key, _)| key.name == name).map(|(_, set)| set)
    }

    /// The plain record set of this key.
    pub fn get(&self, key: &RecordKey) -> Option<&RecordSet> {
        self.sets.get(key).and_then(Observed::plain)
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
