//! Converts records to record sets. Pure functions.

use std::collections::{BTreeMap, BTreeSet};

use super::message::{IN, Record, name};
use crate::{Error, Name, Observed, RecordData, RecordKey, RecordSet, RecordType, Result, Ttl, codes};

/// Types that the server generates for a signed zone (SIG, NXT, RRSIG, NSEC, NSEC3).
const DERIVED: [u16; 5] = [24, 30, 46, 47, 50];

/// Types that the server manages for signing (DNSKEY, NSEC3PARAM, CDS, CDNSKEY, and BIND's own notes).
const SIGNING: [u16; 5] = [48, 51, 59, 60, 65_534];

/// A set in the server's form. Preconditions repeat its data byte by byte: two texts, or two spellings of a name, may
/// have the same meaning for us but not for the server.
pub(super) struct Known {
    pub(super) set: RecordSet,
    pub(super) rdata: Vec<Vec<u8>>,
}

/// The sets of a zone in the server's form.
pub(super) struct State {
    pub(super) zone: String,
    pub(super) known: BTreeMap<RecordKey, Known>,
}

/// Returns why a set of this type cannot be written by us.
pub(super) fn kept_by_server(rtype: RecordType) -> bool {
    DERIVED.contains(&rtype.0) || SIGNING.contains(&rtype.0)
}

/// Groups records into sets. With `wanted`, only those of these names.
pub(super) fn sets(
    apex: &Name,
    records: impl IntoIterator<Item = Record>,
    wanted: Option<&BTreeSet<&Name>>,
) -> Result<(Vec<Observed>, BTreeMap<RecordKey, Known>)> {
    let mut groups: BTreeMap<RecordKey, (u32, Vec<Vec<u8>>)> = BTreeMap::new();
    for record in records {
        if DERIVED.contains(&record.rtype) {
            continue;
        }
        let owner = match name(&record.owner) {
            Some(owner) if wanted.is_none_or(|names| names.contains(&owner)) => owner,
            None if wanted.is_none() => return Err(unspeakable(apex, &record.owner)),
            _ => continue,
        };
        if record.class != IN || !owner.is_in(apex) {
            let message = format!("the zone {apex} came with a record of {owner} that does not belong to it");
            return Err(Error::new(&codes::PROTOCOL, message));
        }
        let key = RecordKey::new(owner, RecordType(record.rtype));
        let group = groups.entry(key).or_insert((record.ttl, Vec::new()));
        group.0 = group.0.min(record.ttl);
        if !group.1.contains(&record.rdata) {
            group.1.push(record.rdata);
        }
    }
    let (mut observed, mut known) = (Vec::new(), BTreeMap::new());
    for (key, (ttl, rdata)) in groups {
        match plain(&key, ttl, &rdata) {
            Ok(set) => {
                observed.push(Observed::Plain(set.clone()));
                known.insert(key, Known { set, rdata });
            }
            Err(what) => observed.push(Observed::Opaque { key, what }),
        }
    }
    Ok((observed, known))
}

fn plain(key: &RecordKey, ttl: u32, rdata: &[Vec<u8>]) -> Result<RecordSet, String> {
    if SIGNING.contains(&key.rtype.0) {
        return Err("kept by the server, for signing".into());
    }
    let values = rdata.iter().map(|bytes| RecordData::from_rdata(key.rtype, bytes));
    let values: Vec<_> = values.collect::<Result<_>>().map_err(|e| e.message().to_owned())?;
    // A TTL above the maximum counts as zero (RFC 2181, section 8).
    let ttl = Ttl::new(ttl).unwrap_or(Ttl::MIN);
    RecordSet::new(key.name.clone(), ttl, values).map_err(|e| e.message().to_owned())
}

fn unspeakable(apex: &Name, owner: &[u8]) -> Error {
    let shown = String::from_utf8_lossy(owner).replace(|c: char| c.is_control(), ".");
    let message = format!("the zone {apex} has a name that cannot be expressed: {shown}");
    Error::new(&codes::NAME, message)
}

#[cfg(test)]
mod tests {
    use super::super::message::wire;
    use super::*;

    fn apex() -> Name {
        Name::parse("example.com").unwrap()
    }

    fn record(owner: &str, rtype: u16, ttl: u32, rdata: &[u8]) -> Record {
        let owner = wire(&Name::parse(owner).unwrap());
        Record { owner, rtype, class: IN, ttl, rdata: rdata.to_vec() }
    }

    #[test]
    fn what_the_server_makes_by_itself_is_left_out_or_opaque() {
        let records = [
            record("example.com", 46, 60, b"x"),
            record("example.com", 48, 60, b"x"),
            record("a.example.com", 47, 60, b""),
        ];
        let (sets, known) = sets(&apex(), records, None).unwrap();
        assert!(known.is_empty());
        assert!(
            matches!(&sets[..], [Observed::Opaque { key, .. }] if key.rtype == RecordType::DNSKEY),
            "{sets:?}"
        );
    }

    #[test]
    fn texts_that_mean_the_same_are_one_value_and_keep_their_bytes() {
        let records =
            [record("example.com", 16, 60, b"\x01a\x01b"), record("example.com", 16, 60, b"\x02ab")];
        let (sets, known) = sets(&apex(), records, None).unwrap();
        assert_eq!(sets[0].to_string(), "example.com. 60 IN TXT \"a\" \"b\"");
        assert_eq!(known.values().next().unwrap().rdata.len(), 2);
    }

    #[test]
    fn data_that_is_none_is_opaque_and_not_an_error() {
        let (sets, _) = sets(&apex(), [record("a.example.com", 1, 60, b"abc")], None).unwrap();
        assert!(sets[0].plain().is_none());
    }

    #[test]
    fn a_name_with_an_asterisk_in_the_middle_is_a_name_and_one_of_another_zone_is_an_error() {
        let owner = b"\x01a\x01*\x07example\x03com\0".to_vec();
        let odd = Record { owner, ..record("a.example.com", 1, 60, b"abcd") };
        let (read, _) = sets(&apex(), [odd], None).unwrap();
        assert_eq!(read[0].key().name.to_string(), "a.*.example.com.");
        let outside = record("example.org", 1, 60, b"abcd");
        assert!(sets(&apex(), [outside], None).is_err_and(|e| e.is(&codes::PROTOCOL)));
    }
}
