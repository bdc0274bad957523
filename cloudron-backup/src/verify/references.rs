//! Backup by backup: whether its summary and manifest are sound and everything it names is there.

use std::collections::BTreeSet;

use cloudron_core::{BackupId, Result, Unit};

use super::Check;
use super::objects::{BadPacks, is_damage};
use crate::forgotten::{Forgotten, gaps};
use crate::index::Index;
use crate::manifest::{Entry, Extent};
use crate::repository::{Summary, VerifyDepth, summary, summary_name};
use crate::restore::Backup;
use crate::{codes, layout};

/// So many files are named for a problem.
const NAMED: usize = 20;

impl Check<'_> {
    pub(super) fn snapshots(&mut self, index: Option<&Index>, bad: &BadPacks) -> Result<()> {
        let listed = self.store.list(layout::SNAPSHOTS)?;
        let number = listed.iter().filter(|o| summary_name(&o.key).is_some()).count() as u64;
        let task = self.progress.task("Checking backups", Unit::Items, Some(number));
        let mut sequences = BTreeSet::new();
        let mut named = BTreeSet::new();
        for object in &listed {
            self.stop.check()?;
            let Some(name) = summary_name(&object.key) else { continue };
            task.advance(1);
            named.insert(name);
            self.report.backups += 1;
            self.report.good.push(name.to_owned());
            let Some(content) = self.fetch(&object.key)? else { continue };
            match self.summary(&content, name) {
                Err(e) if e.is(&codes::BACKUP_ABORTED) => {
                    self.report.backups -= 1;
                    self.report.good.pop();
                }
                Ok(summary) => {
                    sequences.insert(summary.sequence);
                    if self.seen.differs(&summary) {
                        let problem = self.problem(&object.key, "it is another backup than was seen before");
                        self.affects(problem, name);
                    }
                    self.seen.add(&summary);
                    self.backup(&summary, index, bad)?;
                }
                Err(e) if is_damage(&e) => {
                    let problem = self.problem(&object.key, e);
                    self.affects(problem, name);
                }
                Err(e) => return Err(e),
            }
        }
        let manifests = listed.iter().filter_map(|o| {
            o.key.strip_prefix(layout::SNAPSHOTS)?.strip_suffix(".age").filter(|n| !named.contains(n))
        });
        let manifests = manifests.map(str::to_owned).collect();
        self.withheld(listed.iter().map(|o| o.key.as_str()), manifests, &sequences)?;
        task.finish();
        Ok(())
    }

    fn summary(&self, content: &[u8], name: &str) -> Result<Summary> {
        let summary = Summary::parse(content);
        if let Ok(summary) = &summary {
            summary.check_place(name, &self.config.id)?;
        }
        let keys = match self.identity {
            Some(identity) => vec![identity.writer_keys().signing_key()?.verifying_key()],
            None => self.config.verifying_keys(),
        };
        if !keys.iter().any(|key| summary::check_signature(content, key).is_ok()) {
            let text = "it is not signed by a key of this repository";
            return Err(cloudron_core::Error::new(&crate::codes::SNAPSHOT_FORGED, text));
        }
        summary
    }

    fn backup(&mut self, summary: &Summary, index: Option<&Index>, bad: &BadPacks) -> Result<()> {
        let key = layout::manifest(&summary.id);
        self.report.objects += 1;
        let checked = match (self.identity, index) {
            (Some(identity), Some(index)) => self.references(identity, &summary.id, index, bad),
            _ if self.depth == VerifyDepth::Full => crate::manifest::fetch(
                self.store,
                &layout::manifest(&summary.id),
                &summary.manifest,
                self.stop,
            )
            .map(drop),
            _ => self.manifest_size(summary, &key),
        };
        match checked {
            Err(e) if is_damage(&e) => {
                let problem = self.problem(&key, e);
                self.affects(problem, summary.id.as_str());
                Ok(())
            }
            other => {
                self.report.bytes += if self.identity.is_some() { summary.manifest.size } else { 0 };
                other
            }
        }
    }

    fn manifest_size(&self, summary: &Summary, key: &str) -> Result<()> {
        let found = self.store.head(key)?.map(|o| o.size);
        if found == Some(summary.manifest.size) {
            return Ok(());
        }
        let text = match found {
            None => "it is missing".to_owned(),
            Some(found) => format!("it has {found} bytes instead of {}", summary.manifest.size),
        };
        Err(cloudron_core::Error::new(&crate::codes::SNAPSHOT_CORRUPT, text))
    }

    /// Goes through a manifest and looks for every chunk that it names.
    fn references(
        &mut self,
        identity: &crate::keys::Identity,
        id: &BackupId,
        index: &Index,
        bad: &BadPacks,
    ) -> Result<()> {
        let backup = Backup::open(self.store, self.config, identity, id, self.stop)?;
        let mut entries = backup.entries()?;
        while let Some(entry) = entries.next()? {
            self.stop.check()?;
            for extent in &entry.extents {
                let Extent::Data { chunk, length, offset } = extent else { continue };
                let problem = match index.get(chunk) {
                    None => Some(self.unknown_chunk(id, index)),
                    Some(at) if u64::from(*offset) + u64::from(*length) > u64::from(at.raw) => Some(
                        self.problem(&layout::manifest(id), "it names parts of chunks that do not exist"),
                    ),
                    Some(at) => self.problem_of(bad, index, chunk, &at),
                };
                if let Some(problem) = problem {
                    self.name_file(problem, id, &entry);
                    break;
                }
            }
        }
        Ok(())
    }

    /// A chunk that is in no index: because of an index object that cannot be used, or of one that is gone.
    fn unknown_chunk(&mut self, id: &BackupId, index: &Index) -> usize {
        match index.unusable.first() {
            Some((object, error)) => self.problem(&object.clone(), error),
            None => {
                let text = format!("an object is missing here: chunks of {id} are in no index");
                self.problem(layout::INDEX, text)
            }
        }
    }

    fn name_file(&mut self, problem: usize, id: &BackupId, entry: &Entry) {
        self.affects(problem, id.as_str());
        let files = &mut self.report.problems[problem].files;
        if files.len() < NAMED {
            files.push(format!("{id}:{}", entry.path().display()));
        }
    }

    /// Numbers that are missing among the summaries are those of backups that the owner forgot, or somebody
    /// took them away. A manifest without a summary is of a run that was cut off, unless a number is missing.
    fn withheld<'k>(
        &mut self,
        listed: impl Iterator<Item = &'k str>,
        manifests: Vec<String>,
        sequences: &BTreeSet<u64>,
    ) -> Result<()> {
        let owner = self.identity.map(|identity| identity.owner_key().verifying_key());
        let forgotten = Forgotten::load(self.store, &self.config.id, owner.as_ref())?;
        for (object, text) in &forgotten.unusable {
            self.problem(object, text);
        }
        self.rolled_back(listed, &forgotten)?;
        let gaps = gaps(sequences, &forgotten.sequences);
        if gaps.is_empty() {
            return Ok(());
        }
        let show = |(first, last): &(u64, u64)| match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        };
        let shown: Vec<String> = gaps.iter().take(NAMED).map(show).collect();
        let text =
            format!("backups are missing that no prune removed: those with the numbers {}", shown.join(", "));
        self.problem(layout::SNAPSHOTS, text);
        for name in manifests {
            let key = format!("{}{name}.json", layout::SNAPSHOTS);
            let problem =
                self.problem(&key, "it is missing, and the backups' numbers show that there was one");
            self.affects(problem, &name);
        }
        Ok(())
    }

    /// Backups that this machine has seen and that are gone.
    fn rolled_back<'k>(
        &mut self,
        listed: impl Iterator<Item = &'k str>,
        forgotten: &Forgotten,
    ) -> Result<()> {
        let missing = self.seen.missing(self.store, listed, forgotten)?;
        self.seen.save();
        if !missing.is_empty() {
            let problem = self.problem(layout::SNAPSHOTS, crate::seen::rolled_back(&missing));
            missing.iter().for_each(|name| self.affects(problem, name));
            self.report.rolled_back = missing;
        }
        Ok(())
    }
}
