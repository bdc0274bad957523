//! Record sets: the unit of planning, comparing and writing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Name, OwnerName, RecordData, RecordType, Result, Ttl, codes};

/// The identity of a record set in a zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "KeyForm", into = "KeyForm")]
#[non_exhaustive]
pub struct RecordKey {
    /// The owner name.
    pub name: OwnerName,
    /// The type.
    pub rtype: RecordType,
    /// Distinguishes several sets of one name and type, at providers that answer by weight, latency or location.
    pub variant: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct KeyForm {
    name: OwnerName,
    #[serde(rename = "type")]
    rtype: RecordType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
}

impl From<KeyForm> for RecordKey {
    fn from(form: KeyForm) -> Self {
        Self { name: form.name, rtype: form.rtype, variant: form.variant }
    }
}

impl From<RecordKey> for KeyForm {
    fn from(key: RecordKey) -> Self {
        Self { name: key.name, rtype: key.rtype, variant: key.variant }
    }
}

impl RecordKey {
    /// Creates the key of a plain set.
    pub fn new(name: OwnerName, rtype: RecordType) -> Self {
        Self { name, rtype, variant: None }
    }

    /// Parses `NAME/TYPE`. A name is relative to a domain unless it lies in it or ends with a dot; `@` is the domain itself.
    ///
    /// # Errors
    /// `usage` for text without a slash, `dns-name`, and the error of a type that is not known.
    pub fn parse_below(text: &str, domain: &Name) -> Result<Self> {
        let (name, rtype) = text
            .rsplit_once('/')
            .ok_or_else(|| Error::new(&cloudron_core::codes::USAGE, "NAME/TYPE is expected, such as my/A"))?;
        let absolute = Name::parse(name)?;
        let name = match name {
            "@" => domain.clone(),
            _ if name.ends_with('.') || absolute.is_in(domain) => absolute,
            _ => domain.below(name)?,
        };
        Ok(Self::new(name, rtype.parse()?))
    }

    /// Returns the key of one of several sets of this name and type.
    pub fn with_variant(self, variant: impl Into<String>) -> Self {
        Self { variant: Some(variant.into()), ..self }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.rtype)?;
        match &self.variant {
            Some(variant) => write!(f, " [{variant}]"),
            None => Ok(()),
        }
    }
}

/// A record set (RFC 2181, section 5): an owner name, a type, a TTL, and at least one value. All values have the set's
/// type and no two are equal; their order has no meaning. Some types have exactly [one](RecordType::is_single).
///
/// ```
/// use cloudron_dns::{Name, RecordSet, RecordType, Ttl};
/// let set = RecordSet::parse(Name::parse("my.example.com")?, Ttl::DEFAULT, RecordType::A, ["192.0.2.1"])?;
/// assert_eq!(set.to_string(), "my.example.com. 300 IN A 192.0.2.1");
/// # Ok::<(), cloudron_dns::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SetForm", into = "SetForm")]
pub struct RecordSet {
    key: RecordKey,
    ttl: Ttl,
    values: Vec<RecordData>,
}

#[derive(Serialize, Deserialize)]
struct SetForm {
    name: OwnerName,
    #[serde(rename = "type")]
    rtype: RecordType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    ttl: Ttl,
    values: Vec<String>,
}

impl RecordSet {
    /// Creates a record set; its type is that of the values.
    ///
    /// # Errors
    /// `dns-record` for no values, values of two types, or two values of a type that has [one](RecordType::is_single).
    pub fn new(name: OwnerName, ttl: Ttl, values: impl IntoIterator<Item = RecordData>) -> Result<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort();
        values.dedup();
        let wrong = |why: String| Err(Error::new(&codes::RECORD, format!("{name}: {why}")));
        let Some(first) = values.first() else { return wrong("a record set has at least one value".into()) };
        let rtype = first.record_type();
        if let Some(other) = values.iter().find(|v| v.record_type() != rtype) {
            return wrong(format!("one record set holds {rtype} and {} values", other.record_type()));
        }
        if rtype.is_single() && values.len() > 1 {
            return wrong(format!("a {rtype} has one target, not {}", values.len()));
        }
        Ok(Self { key: RecordKey::new(name, rtype), ttl, values })
    }

    /// Creates a record set from values in presentation form.
    ///
    /// # Errors
    /// As [`RecordSet::new`] and [`RecordData::parse`].
    pub fn parse<'a>(
        name: OwnerName,
        ttl: Ttl,
        rtype: RecordType,
        values: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self> {
        let values: Vec<_> =
            values.into_iter().map(|v| RecordData::parse(rtype, v)).collect::<Result<_>>()?;
        Self::new(name, ttl, values)
    }

    /// Returns the set as one of several of its name and type.
    pub fn with_variant(mut self, variant: impl Into<String>) -> Self {
        self.key.variant = Some(variant.into());
        self
    }

    /// Returns the set with another TTL.
    pub fn with_ttl(self, ttl: Ttl) -> Self {
        Self { ttl, ..self }
    }

    /// Returns the set with other values, or `None` if there are none.
    ///
    /// # Errors
    /// As [`RecordSet::new`], and `dns-record` if they have another type.
    pub fn with_values(&self, values: impl IntoIterator<Item = RecordData>) -> Result<Option<Self>> {
        let values: Vec<_> = values.into_iter().collect();
        if values.is_empty() {
            return Ok(None);
        }
        let mut set = Self::new(self.key.name.clone(), self.ttl, values)?;
        if set.key.rtype != self.key.rtype {
            return Err(Error::new(
                &codes::RECORD,
                format!("{}: {} values do not fit", self.key, set.key.rtype),
            ));
        }
        set.key.variant.clone_from(&self.key.variant);
        Ok(Some(set))
    }

    /// Returns the key of the set.
    pub fn key(&self) -> &RecordKey {
        &self.key
    }

    /// Returns the owner name.
    pub fn name(&self) -> &OwnerName {
        &self.key.name
    }

    /// Returns the type.
    pub fn rtype(&self) -> RecordType {
        self.key.rtype
    }

    /// Returns the TTL.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// Returns the values: at least one, sorted, without duplicates.
    pub fn values(&self) -> &[RecordData] {
        &self.values
    }

    /// Returns whether the values are the same, regardless of the TTL.
    pub fn same_values(&self, other: &Self) -> bool {
        self.key == other.key && self.values == other.values
    }
}

/// Formats one line of a zone file per value, without a line break at the end.
impl fmt::Display for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, value) in self.values.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "\n" })?;
            write!(f, "{} {} IN {} {value}", self.key.name, self.ttl, self.key.rtype)?;
        }
        Ok(())
    }
}

impl TryFrom<SetForm> for RecordSet {
    type Error = Error;

    fn try_from(form: SetForm) -> Result<Self> {
        let mut set = Self::parse(form.name, form.ttl, form.rtype, form.values.iter().map(String::as_str))?;
        set.key.variant = form.variant;
        Ok(set)
    }
}

impl From<RecordSet> for SetForm {
    fn from(set: RecordSet) -> Self {
        let values = set.values.iter().map(ToString::to_string).collect();
        Self { name: set.key.name, rtype: set.key.rtype, variant: set.key.variant, ttl: set.ttl, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> OwnerName {
        "example.com".parse().unwrap()
    }

    #[test]
    fn a_key_is_named_as_in_a_zone_file_or_in_full() {
        let domain = Name::parse("example.com").unwrap();
        let key = |text: &str| RecordKey::parse_below(text, &domain).unwrap().to_string();
        assert_eq!(key("my/A"), "my.example.com. A");
        assert_eq!(key("@/mx"), "example.com. MX");
        assert_eq!(key("my.example.com/TXT"), "my.example.com. TXT");
        assert_eq!(key("example.org./TXT"), "example.org. TXT");
        assert_eq!(key("1.0/25/PTR"), "1.0/25.example.com. PTR");
        assert!(RecordKey::parse_below("my", &domain).unwrap_err().is(&cloudron_core::codes::USAGE));
        assert!(RecordKey::parse_below("my/NOTATYPE", &domain).is_err());
    }

    #[test]
    fn values_are_a_set() {
        let one =
            RecordSet::parse(name(), Ttl::DEFAULT, RecordType::A, ["192.0.2.2", "192.0.2.1", "192.0.2.2"]);
        let two = RecordSet::parse(name(), Ttl::DEFAULT, RecordType::A, ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(one.unwrap(), two.unwrap());
    }

    #[test]
    fn what_is_no_record_set_cannot_be_made() {
        let a = RecordData::parse(RecordType::A, "192.0.2.1").unwrap();
        for values in [vec![], vec![a, RecordData::txt("x")]] {
            assert!(RecordSet::new(name(), Ttl::DEFAULT, values).unwrap_err().is(&codes::RECORD));
        }
        let two = RecordSet::parse(name(), Ttl::DEFAULT, RecordType::CNAME, ["a.example", "b.example"]);
        assert!(two.unwrap_err().is(&codes::RECORD));
    }

    #[test]
    fn a_set_is_readable_json_and_survives_it() {
        let set = RecordSet::parse(name(), Ttl::DEFAULT, RecordType::MX, ["10 my.example.com"]).unwrap();
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"{"name":"example.com.","type":"MX","ttl":300,"values":["10 my.example.com."]}"#);
        assert_eq!(serde_json::from_str::<RecordSet>(&json).unwrap(), set);
        assert!(serde_json::from_str::<RecordSet>(&json.replace("10 my", "my")).is_err());
    }
}
