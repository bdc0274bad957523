//! Ownership of values in a zone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Error, OwnerName, RecordData, RecordKey, RecordSet, RecordType, Result};

/// The values of record sets that this program wrote or adopted. Only those are ever changed or deleted.
///
/// It is data for the caller to store, next to the other state of the machine; nothing is added to the zone. For safety
/// against a crash between writing the zone and storing the ownership, store the [union](Self::union) of the old one
/// and [`Plan::ownership`](crate::Plan) before applying a plan, and the plan's alone afterwards: a value that was not
/// written then simply does not exist. A union may contain more values than a record set can have, such as the old and
/// the new target of a CNAME.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Form>", into = "Vec<Form>")]
pub struct Ownership {
    values: BTreeMap<RecordKey, BTreeSet<RecordData>>,
}

impl Ownership {
    /// Creates an ownership of nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns whether a value of a set is ours.
    pub fn owns(&self, key: &RecordKey, value: &RecordData) -> bool {
        self.values.get(key).is_some_and(|values| values.contains(value))
    }

    /// Returns whether every value of a set is ours.
    pub fn owns_all(&self, set: &RecordSet) -> bool {
        set.values().iter().all(|value| self.owns(set.key(), value))
    }

    /// Returns the sets with values that are ours.
    pub fn keys(&self) -> impl Iterator<Item = &RecordKey> {
        self.values.keys()
    }

    /// Returns the values of a set that are ours.
    pub fn values(&self, key: &RecordKey) -> impl Iterator<Item = &RecordData> {
        self.values.get(key).into_iter().flatten()
    }

    /// Adds values.
    pub fn add<'a>(&mut self, key: &RecordKey, values: impl IntoIterator<Item = &'a RecordData>) {
        let mut values = values.into_iter().cloned().peekable();
        if values.peek().is_some() {
            self.values.entry(key.clone()).or_default().extend(values);
        }
    }

    /// Removes values.
    pub fn remove<'a>(&mut self, key: &RecordKey, values: impl IntoIterator<Item = &'a RecordData>) {
        if let Some(ours) = self.values.get_mut(key) {
            values.into_iter().for_each(|value| {
                ours.remove(value);
            });
            if ours.is_empty() {
                self.values.remove(key);
            }
        }
    }

    /// Returns the values that are in either ownership.
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        other.values.iter().for_each(|(key, values)| all.add(key, values));
        all
    }
}

/// Owns everything in these sets; their TTLs are ignored.
impl From<Vec<RecordSet>> for Ownership {
    fn from(sets: Vec<RecordSet>) -> Self {
        let mut ownership = Self::none();
        sets.iter().for_each(|set| ownership.add(set.key(), set.values()));
        ownership
    }
}

/// The stored form of the values of one key: a record set without a TTL, which has no meaning here. Files of earlier
/// versions have one.
#[derive(Serialize, Deserialize)]
struct Form {
    name: OwnerName,
    #[serde(rename = "type")]
    rtype: RecordType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    values: Vec<String>,
}

impl From<Ownership> for Vec<Form> {
    fn from(ownership: Ownership) -> Self {
        let forms = ownership.values.into_iter().map(|(key, values)| Form {
            name: key.name,
            rtype: key.rtype,
            variant: key.variant,
            values: values.iter().map(ToString::to_string).collect(),
        });
        forms.collect()
    }
}

impl TryFrom<Vec<Form>> for Ownership {
    type Error = Error;

    fn try_from(forms: Vec<Form>) -> Result<Self> {
        let mut ownership = Self::none();
        for form in forms {
            let key = RecordKey { variant: form.variant, ..RecordKey::new(form.name, form.rtype) };
            let values = form.values.iter().map(|value| RecordData::parse(key.rtype, value));
            ownership.add(&key, &values.collect::<Result<Vec<_>>>()?);
        }
        Ok(ownership)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ttl;

    fn set(rtype: RecordType, value: &str) -> RecordSet {
        let name = OwnerName::parse("www.example.com").unwrap();
        RecordSet::parse(name, Ttl::DEFAULT, rtype, [value]).unwrap()
    }

    #[test]
    fn the_old_or_the_new_value_of_a_set_that_holds_one_is_kept_and_read_again() {
        for (rtype, old, new) in [
            (RecordType::CNAME, "a.example.net", "b.example.net"),
            (RecordType::DNAME, "a.example.net", "b.example.net"),
            (RecordType::SOA, "a. b. 1 2 3 4 5", "a. b. 2 2 3 4 5"),
            (RecordType::A, "192.0.2.1", "192.0.2.2"),
        ] {
            let (old, new) = (set(rtype, old), set(rtype, new));
            let union = Ownership::from(vec![old.clone()]).union(&Ownership::from(vec![new.clone()]));
            let text = serde_json::to_string(&union).unwrap();
            let read: Ownership = serde_json::from_str(&text).unwrap();
            assert_eq!(read, union, "{text}");
            assert!(read.owns_all(&old) && read.owns_all(&new));
        }
    }

    #[test]
    fn what_earlier_versions_kept_is_read() {
        let text = r#"[{"name":"www.example.com.","type":"CNAME","ttl":0,"values":["a.example.net."]}]"#;
        let read: Ownership = serde_json::from_str(text).unwrap();
        assert!(read.owns_all(&set(RecordType::CNAME, "a.example.net")));
        assert!(serde_json::from_str::<Ownership>(&text.replace("a.example", "a..example")).is_err());
    }
}
