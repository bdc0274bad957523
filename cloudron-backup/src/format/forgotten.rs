//! Records of the backups that the owner removed, so that removals by others can be detected.
//!
//! Objects `forgotten/<hash>.json` are added and never changed, so that two prunes cannot overwrite each
//! other's records. Together they are, for each writer, the set of numbers that may be missing in the list.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use cloudron_core::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::format::summary::Summary;
use crate::format::trust::{Ranges, Source, Trust};
use crate::keys::{Signer, WriterId};
use crate::store::blocking::Blocking;
use crate::store::{BackupStore, get_all};
use crate::{codes, layout};

/// The start of the signed text.
const SIGNED: &[u8] = b"cloudron-backup forgotten v2\n";
/// The start of the signed text in format 1.
pub(crate) const FIRST_SIGNED: &[u8] = b"cloudron-backup forgotten v1\n";
/// The number of a writer's objects from which they are merged into one.
const MANY: usize = 8;

#[derive(Serialize, Deserialize)]
struct Object {
    forgotten: u32,
    repository: String,
    /// `None` in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    writer: Option<WriterId>,
    /// Ranges of sequence numbers, first and last.
    sequences: Vec<(u64, u64)>,
    /// The backups. Two concurrent backups may have the same number.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    backups: BTreeSet<String>,
}

/// The removed backups of a writer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Removed {
    pub(crate) numbers: Ranges,
    pub(crate) backups: BTreeSet<String>,
}

/// The removed backups, by writer; without a writer in a repository of format 1.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    removed: BTreeMap<Option<WriterId>, Removed>,
    /// Ignored objects: key and reason.
    pub(crate) unusable: Vec<(String, String)>,
    objects: BTreeMap<Option<WriterId>, Vec<String>>,
    none: Ranges,
}

impl Forgotten {
    /// Reads the objects signed by the owner.
    ///
    /// # Errors
    /// Errors of the store.
    pub(crate) async fn read(store: &Arc<dyn BackupStore>, trust: &Trust) -> Result<Self> {
        let mut forgotten = Self::default();
        let listed = store.list(layout::FORGOTTEN).await?.into_iter();
        let (named, others): (Vec<_>, Vec<_>) = listed.partition(|o| layout::is_hash_json(&o.key));
        let text = "it is no note that this program writes";
        forgotten.unusable.extend(others.into_iter().map(|o| (o.key, text.to_owned())));
        for (object, content) in get_all(store, named, layout::MOST_LIST).await? {
            match content {
                Ok(content) => forgotten.take(trust, object.key, &content),
                // It was merged with others since it was listed.
                Err(e) if e.is(&codes::OBJECT_MISSING) => {}
                Err(e) if e.is(&codes::OBJECT_CORRUPT) => {
                    forgotten.unusable.push((object.key, "it is too large".to_owned()));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(forgotten)
    }

    /// As [`read`](Self::read), on a thread that may block.
    ///
    /// # Errors
    /// Errors of the store.
    pub(crate) fn load(store: &Blocking, trust: &Trust) -> Result<Self> {
        store.with(|inner| async move { Self::read(&inner, trust).await })
    }

    fn take(&mut self, trust: &Trust, key: String, content: &[u8]) {
        let value: Value = serde_json::from_slice(content).unwrap_or_default();
        let known = match trust.is_first() {
            // If the owner's key is not known, the signature cannot be checked.
            true => trust.owner().is_none() || trust.source(&value, FIRST_SIGNED) == Some(Source::Owner),
            false => trust.source(&value, SIGNED) == Some(Source::Owner),
        };
        if !known {
            self.unusable.push((key, "it is not signed by the owner of this repository".to_owned()));
            return;
        }
        match serde_json::from_value::<Object>(value) {
            Ok(found)
                if found.repository == trust.repository() && found.writer.is_none() == trust.is_first() =>
            {
                let removed = self.removed.entry(found.writer).or_default();
                found.sequences.iter().for_each(|(first, last)| removed.numbers.insert(*first, *last));
                removed.backups.extend(found.backups);
                self.objects.entry(found.writer).or_default().push(key);
            }
            _ => self.unusable.push((key, "it cannot be read".to_owned())),
        }
    }

    /// Returns the numbers of a writer's removed backups.
    pub(crate) fn of(&self, writer: Option<WriterId>) -> &Ranges {
        self.removed.get(&writer).map_or(&self.none, |removed| &removed.numbers)
    }

    /// Checks whether the owner removed a backup. If it is listed nevertheless, somebody put it back.
    pub(crate) fn has(&self, summary: &Summary) -> bool {
        self.removed.get(&summary.writer).is_some_and(|r| r.backups.contains(summary.id.as_str()))
    }

    /// Returns all numbers, by writer.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Option<WriterId>, &Ranges)> {
        self.removed.iter().map(|(writer, removed)| (*writer, &removed.numbers))
    }

    /// Records more backups of a writer, before they are removed.
    ///
    /// # Errors
    /// Errors of the store.
    pub(crate) fn add(
        &mut self,
        store: &Blocking,
        repository: &str,
        owner: &Signer,
        writer: Option<WriterId>,
        more: &Removed,
    ) -> Result<()> {
        let known = self.removed.entry(writer).or_default();
        let objects = self.objects.entry(writer).or_default();
        let merge = objects.len() >= MANY;
        if known.numbers.covers(&more.numbers) && known.backups.is_superset(&more.backups) && !merge {
            return Ok(());
        }
        known.numbers.extend(&more.numbers);
        known.backups.extend(more.backups.iter().cloned());
        let Removed { numbers, backups } = if merge { &*known } else { more };
        let sequences = numbers.iter().map(|range| range.into_inner()).collect();
        let backups = backups.clone();
        let repository = repository.to_owned();
        let object = Object { forgotten: 2, repository, writer, sequences, backups };
        let content = owner.sign(&object, SIGNED);
        let name = layout::forgotten(&layout::object_id(&content));
        store.put(&name, &content.into())?;
        if merge {
            let old = std::mem::take(objects);
            old.iter().filter(|key| **key != name).try_for_each(|key| store.delete(key))?;
        }
        objects.push(name);
        Ok(())
    }
}

/// Describes missing numbers.
pub(crate) fn describe_gaps(writer: Option<WriterId>, gaps: &[RangeInclusive<u64>]) -> String {
    let show = |gap: &RangeInclusive<u64>| match (gap.start(), gap.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first} to {last}"),
    };
    let shown: Vec<String> = gaps.iter().take(20).map(show).collect();
    let of = writer.map_or(String::new(), |writer| format!(" of the writer {writer}"));
    format!("backups are missing that no prune removed: those{of} with the numbers {}", shown.join(", "))
}
