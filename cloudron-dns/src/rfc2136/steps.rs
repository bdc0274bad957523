//! Converts changes to updates: preconditions, deletions, additions. Pure functions.
//!
//! A server silently ignores a CNAME next to other data, and other data next to a CNAME (RFC 2136, section 3.4.2.2).
//! Preconditions express this instead, so that such a change is refused as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::convert::{State, kept_by_server};
use super::message::{ANY, ANY_TYPE, IN, LONGEST, NONE, Record, wire};
use crate::apply::unsupported;
use crate::{Change, Error, Name, RecordData, RecordKey, RecordSet, RecordType, Result, codes};

/// Reserved length for the header, the zone and the signature of a message, in bytes.
const RESERVED: usize = 12 + 259 + 512;

/// Types that could exist at a name at which a CNAME replaces one of them. In this case, "name is not in use" cannot be
/// a precondition.
pub(super) const TYPES: [u16; 24] =
    [1, 2, 5, 12, 13, 15, 16, 17, 18, 28, 29, 33, 35, 37, 39, 43, 44, 52, 53, 61, 64, 65, 256, 257];

/// Maximum length of a text, in bytes: a set must fit into a message together with its old state.
pub(super) const LONGEST_TEXT: usize = 16_000;

/// One message.
#[derive(Default)]
pub(super) struct Update {
    pub(super) prerequisites: Vec<Record>,
    pub(super) changes: Vec<Record>,
    /// The sets that it writes.
    pub(super) keys: Vec<RecordKey>,
}

impl Update {
    fn length(&self) -> usize {
        self.prerequisites.iter().chain(&self.changes).map(Record::length).sum()
    }

    fn extend(&mut self, other: Self) {
        self.prerequisites.extend(other.prerequisites);
        self.changes.extend(other.changes);
        self.keys.extend(other.keys);
    }
}

/// Returns the updates for these changes: one, unless that message would be too long. The changes of a name stay
/// together.
///
/// # Errors
/// `dns-unsupported` for sets that cannot be written by us, and for a name whose sets are too long for a message.
pub(super) fn updates(apex: &Name, state: Option<&State>, changes: &[Change]) -> Result<Vec<Update>> {
    let mut names: BTreeMap<&Name, usize> = BTreeMap::new();
    let mut groups: Vec<(&Name, Vec<&Change>)> = Vec::new();
    for change in changes {
        if let Some(why) = refusal(apex, change) {
            return Err(unsupported("rfc2136", change.key(), &why));
        }
        let name = &change.key().name;
        let at = *names.entry(name).or_insert(groups.len());
        match groups.get_mut(at) {
            Some((_, group)) => group.push(change),
            None => groups.push((name, vec![change])),
        }
    }
    let mut updates: Vec<Update> = Vec::new();
    let mut lengths = 0;
    for (name, group) in groups {
        let update = of_one_name(name, state, &group);
        let length = update.length();
        if length > LONGEST - RESERVED {
            let message = format!("the sets of {name} are too long for one message: {length} bytes");
            return Err(Error::new(&codes::UNSUPPORTED, message));
        }
        lengths += length;
        match updates.last_mut().filter(|_| lengths <= LONGEST - RESERVED) {
            Some(last) => last.extend(update),
            None => {
                lengths = length;
                updates.push(update);
            }
        }
    }
    Ok(updates)
}

/// Returns why a change cannot be sent.
pub(super) fn refusal(apex: &Name, change: &Change) -> Option<String> {
    let key = change.key();
    let top = key.name == *apex && matches!(key.rtype, RecordType::NS | RecordType::CNAME);
    // Types that are only valid in queries (RFC 6895, section 3.1), and the one for extensions.
    let meta = matches!(key.rtype.0, 0 | 41 | 128..=255);
    let fixed = top || meta || key.rtype == RecordType::SOA || kept_by_server(key.rtype);
    if fixed || key.variant.is_some() || !key.name.is_in(apex) {
        return Some(format!("it cannot be written in {apex}"));
    }
    let length = |value: &RecordData| match value {
        RecordData::Txt(text) => text.strings().iter().map(Vec::len).sum(),
        _ => 0,
    };
    let longest = change.after().and_then(|set| set.values().iter().map(length).max());
    if let Some(length) = longest.filter(|length| *length > LONGEST_TEXT) {
        return Some(format!("a text has {length} bytes, more than {LONGEST_TEXT}"));
    }
    let length = of_one_name(&key.name, None, &[change]).length();
    (length > LONGEST - RESERVED).then(|| format!("it is too long for one message: {length} bytes"))
}

/// Returns the CNAMEs that replace other sets of their names.
pub(super) fn replacing_cnames(changes: &[&Change]) -> Vec<RecordSet> {
    let gone: BTreeSet<&Name> =
        changes.iter().filter(|change| change.after().is_none()).map(|change| &change.key().name).collect();
    let created =
        changes.iter().filter(|change| change.before().is_none()).filter_map(|change| change.after());
    created.filter(|set| set.rtype() == RecordType::CNAME && gone.contains(set.name())).cloned().collect()
}

/// Returns a type in an update without a mnemonic, which a server need not support.
pub(super) fn no_mnemonic(changes: &[&Change]) -> Option<RecordType> {
    let mut types = changes.iter().map(|change| change.key().rtype);
    types.find(|rtype| rtype.to_string().starts_with("TYPE"))
}

/// Returns a name in an update that is not a host name (RFC 952, RFC 1123), where servers may require one: the owner of
/// addresses, and mail servers.
pub(super) fn no_host_name(changes: &[&Change]) -> Option<Name> {
    const HOSTS: [RecordType; 3] = [RecordType::A, RecordType::AAAA, RecordType::MX];
    let added = changes.iter().filter_map(|change| change.after()).filter(|set| HOSTS.contains(&set.rtype()));
    let odd = |name: &&Name| {
        let labels = name.labels().enumerate().filter(|(at, label)| *at > 0 || *label != "*");
        let plain = |label: &str| label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        labels.into_iter().any(|(_, label)| !plain(label) || label.starts_with('-') || label.ends_with('-'))
    };
    added.map(RecordSet::name).find(odd).cloned()
}

fn of_one_name(name: &Name, state: Option<&State>, changes: &[&Change]) -> Update {
    let owner = wire(name);
    let record = |rtype: u16, class: u16, ttl: u32, rdata: Vec<u8>| Record {
        owner: owner.clone(),
        rtype,
        class,
        ttl,
        rdata,
    };
    let mut update = Update::default();
    for change in changes {
        let rtype = change.key().rtype.0;
        match change.before() {
            None => update.prerequisites.push(record(rtype, NONE, 0, Vec::new())),
            Some(old) => {
                update
                    .prerequisites
                    .extend(bytes(state, old).into_iter().map(|data| record(rtype, IN, 0, data)));
                update.changes.push(record(rtype, ANY, 0, Vec::new()));
            }
        }
        update.keys.push(change.key().clone());
    }
    for new in changes.iter().filter_map(|change| change.after()) {
        let (rtype, ttl) = (new.rtype().0, new.ttl().seconds());
        update.changes.extend(new.values().iter().map(|value| record(rtype, IN, ttl, value.to_rdata())));
    }
    let absent = alone(changes).into_iter().map(|rtype| record(rtype, NONE, 0, Vec::new()));
    update.prerequisites.extend(absent);
    update
}

/// Returns the types that a name must not have, besides those in the changes themselves.
fn alone(changes: &[&Change]) -> Vec<u16> {
    let spoken: BTreeSet<u16> = changes.iter().map(|c| c.key().rtype.0).collect();
    let others: Vec<u16> = TYPES.iter().filter(|rtype| !spoken.contains(rtype)).copied().collect();
    let becomes =
        changes.iter().filter(|c| c.before().is_none()).filter_map(|c| c.after()).map(RecordSet::rtype);
    let written = changes.iter().filter_map(|c| c.after()).map(RecordSet::rtype);
    if becomes.clone().any(|rtype| rtype == RecordType::CNAME) {
        let replaces = changes.iter().any(|change| change.before().is_some());
        return if replaces { others } else { vec![ANY_TYPE] };
    }
    let beside = written.clone().any(|rtype| rtype != RecordType::CNAME);
    if beside && !spoken.contains(&RecordType::CNAME.0) { vec![RecordType::CNAME.0] } else { Vec::new() }
}

/// Returns the data of a set byte by byte in the server's form, if known.
fn bytes(state: Option<&State>, set: &RecordSet) -> Vec<Vec<u8>> {
    match state.and_then(|state| state.known.get(set.key())).filter(|known| known.set == *set) {
        Some(known) => known.rdata.clone(),
        None => set.values().iter().map(|value| value.to_rdata()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ttl;

    fn set(owner: &str, rtype: RecordType, value: &str) -> RecordSet {
        RecordSet::parse(Name::parse(owner).unwrap(), Ttl::DEFAULT, rtype, [value]).unwrap()
    }

    fn apex() -> Name {
        Name::parse("example.com").unwrap()
    }

    /// Formats preconditions and changes as `type class`.
    fn shown(changes: &[Change]) -> (Vec<String>, Vec<String>) {
        let [update] = <[Update; 1]>::try_from(updates(&apex(), None, changes).unwrap()).ok().unwrap();
        let show = |records: &[Record]| {
            let class = |record: &Record| match record.class {
                IN => "IN",
                NONE => "none",
                _ => "any",
            };
            records.iter().map(|r| format!("{} {}", RecordType(r.rtype), class(r))).collect::<Vec<_>>()
        };
        (show(&update.prerequisites), show(&update.changes))
    }

    #[test]
    fn a_creation_demands_that_neither_the_set_nor_a_cname_is_there() {
        let my = Change::Create(set("my.example.com", RecordType::A, "192.0.2.1"));
        assert_eq!(shown(&[my]), (vec!["A none".into(), "CNAME none".into()], vec!["A IN".into()]));
    }

    #[test]
    fn a_cname_demands_that_nothing_at_all_is_there() {
        let www = Change::Create(set("www.example.com", RecordType::CNAME, "my.example.com"));
        let any = "TYPE255 none".to_owned();
        assert_eq!(shown(&[www]), (vec!["CNAME none".into(), any], vec!["CNAME IN".into()]));
    }

    #[test]
    fn a_replacement_deletes_and_adds_the_whole_set_so_that_its_ttl_is_right() {
        let (old, new) = (
            set("my.example.com", RecordType::A, "192.0.2.1"),
            set("my.example.com", RecordType::A, "192.0.2.2"),
        );
        let (before, done) = shown(&[Change::Replace { old, new }]);
        assert_eq!(
            (before, done),
            (vec!["A IN".into(), "CNAME none".into()], vec!["A any".into(), "A IN".into()])
        );
    }

    #[test]
    fn a_cname_takes_the_place_of_an_address_and_the_other_way_round() {
        let (a, cname) = (
            set("my.example.com", RecordType::A, "192.0.2.1"),
            set("my.example.com", RecordType::CNAME, "x.example.com"),
        );
        let (before, done) = shown(&[Change::Create(cname.clone()), Change::Delete(a.clone())]);
        assert_eq!(done, ["A any", "CNAME IN"]);
        assert_eq!(before.len(), TYPES.len());
        assert!(before.starts_with(&["CNAME none".into(), "A IN".into()]), "{before:?}");
        let (before, done) = shown(&[Change::Delete(cname), Change::Create(a)]);
        assert_eq!(
            (before, done),
            (vec!["CNAME IN".into(), "A none".into()], vec!["CNAME any".into(), "A IN".into()])
        );
    }

    #[test]
    fn a_plan_that_is_too_long_for_a_message_is_split_between_names() {
        let text = "k".repeat(4_000);
        let changes: Vec<Change> = (0..40)
            .map(|n| Change::Create(set(&format!("n{}.example.com", n / 2), RecordType::TXT, &text)))
            .enumerate()
            .filter(|(n, _)| n % 2 == 0)
            .map(|(_, change)| change)
            .collect();
        let updates = updates(&apex(), None, &changes).unwrap();
        assert_eq!(updates.iter().map(|u| u.keys.len()).collect::<Vec<_>>(), [15, 5]);
        let long = Change::Create(set("my.example.com", RecordType::TXT, &"k".repeat(LONGEST_TEXT + 1)));
        assert!(super::updates(&apex(), None, &[long]).is_err_and(|e| e.is(&codes::UNSUPPORTED)));
        let texts = (0..5).map(|n| RecordData::txt(format!("{n}{}", "k".repeat(15_000))));
        let many = RecordSet::new(apex(), Ttl::DEFAULT, texts).unwrap();
        assert!(
            super::updates(&apex(), None, &[Change::Create(many)]).is_err_and(|e| e.is(&codes::UNSUPPORTED))
        );
    }

    #[test]
    fn what_is_the_servers_own_is_not_written() {
        for (owner, rtype) in
            [("example.com", 2), ("example.com", 6), ("example.com", 48), ("my.example.com", 255)]
        {
            let value = if rtype == 2 { "ns.example.net" } else { r"\# 1 00" };
            let change = Change::Delete(set(owner, RecordType(rtype), value));
            let refused = updates(&apex(), None, &[change]).err().unwrap();
            assert!(refused.is(&codes::UNSUPPORTED), "{owner} {rtype}");
        }
        let outside = Change::Create(set("notexample.com", RecordType::A, "192.0.2.1"));
        assert!(updates(&apex(), None, &[outside]).is_err());
    }
}
