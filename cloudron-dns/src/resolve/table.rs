//! A resolver with a fixed list of record sets.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::{Answer, Resolve};
use crate::{Name, RecordData, RecordKey, RecordSet, RecordType};

const MAX_ALIASES: usize = 8;

/// A resolver that knows only a list of record sets: for tests, and for checking records that are not set yet. It
/// supports wildcards (RFC 4592) and follows aliases.
#[derive(Debug, Clone, Default)]
pub struct Table {
    sets: BTreeMap<RecordKey, Vec<RecordData>>,
    names: BTreeSet<Name>,
    silent: BTreeSet<Name>,
}

impl Table {
    /// Creates a resolver that knows these sets.
    pub fn new(sets: impl IntoIterator<Item = RecordSet>) -> Self {
        let mut table = Self::default();
        for set in sets {
            let mut name = Some(set.name().clone());
            while let Some(above) = name {
                name = above.parent();
                table.names.insert(above);
            }
            table.sets.entry(set.key().clone()).or_default().extend_from_slice(set.values());
        }
        table
    }

    /// Gives no answer for a name and the names below it.
    pub fn with_silence_at(mut self, name: Name) -> Self {
        self.silent.insert(name);
        self
    }

    /// Returns the name, or the wildcard that matches it; `None` if it does not exist.
    fn owner(&self, name: &Name) -> Option<Name> {
        if self.names.contains(name) {
            return Some(name.clone());
        }
        let mut above = name.parent();
        while let Some(encloser) = above {
            if self.names.contains(&encloser) {
                return encloser.below("*").ok().filter(|wildcard| self.names.contains(wildcard));
            }
            above = encloser.parent();
        }
        None
    }

    fn answer(&self, asked: &Name, rtype: RecordType) -> Answer {
        let mut name = asked.clone();
        for _ in 0..MAX_ALIASES {
            if self.silent.iter().any(|silent| name.is_in(silent)) {
                return Answer::Unknown("no answer".into());
            }
            let Some(owner) = self.owner(&name) else { return Answer::NoSuchName };
            if let Some(values) = self.sets.get(&RecordKey::new(owner.clone(), rtype)) {
                let alias_of = (name != *asked).then_some(name);
                return Answer::Found { values: values.clone(), alias_of };
            }
            match self.sets.get(&RecordKey::new(owner, RecordType::CNAME)).map(Vec::as_slice) {
                Some([RecordData::Cname(target)]) => name = target.clone(),
                _ => return Answer::NoSuchSet,
            }
        }
        Answer::Unknown("too many aliases follow each other".into())
    }
}

#[async_trait]
impl Resolve for Table {
    async fn resolve(&self, name: &Name, rtype: RecordType) -> Answer {
        self.answer(name, rtype)
    }
}
