//! Checks each backup: that its summary and manifest are valid and all content they name exists.

use std::collections::{BTreeMap, BTreeSet};

use cloudron_core::{BackupId, Result, Unit};

use super::Check;
use super::objects::{BadPacks, is_damage};
use crate::codes;
use crate::format::forgotten::{Forgotten, describe_gaps};
use crate::format::index::Index;
use crate::format::manifest::{Entry, Extent, first_line};
use crate::format::summary::Summary;
use crate::format::trust::gaps;
use crate::keys::WriterId;
use crate::layout::{self, summary_name};
use crate::snapshot::Backup;
use crate::verify::VerifyDepth;

/// The maximum number of files named for a problem.
const NAMED: usize = 20;

impl Check<'_> {
    pub(super) fn snapshots(&mut self, index: Option<&Index>, bad: &BadPacks) -> Result<()> {
        let listed = self.session.store.list(layout::SNAPSHOTS)?;
        let number = listed.iter().filter(|o| summary_name(&o.key).is_some()).count() as u64;
        let task = self.session.progress.task("Checking backups", Unit::Items, Some(number));
        let mut sequences: BTreeMap<Option<WriterId>, BTreeSet<u64>> = BTreeMap::new();
        let mut named = BTreeSet::new();
        let forgotten = Forgotten::load(self.session.store, &self.trust)?;
        self.report.ignored.extend(forgotten.unusable.iter().cloned());
        for object in &listed {
            self.session.stop.check()?;
            let Some(name) = summary_name(&object.key) else { continue };
            task.advance(1);
            if object.size > layout::MOST_JSON || name.parse::<BackupId>().is_err() {
                let text = "it is no summary that this program writes".to_owned();
                self.report.ignored.push((object.key.clone(), text));
                continue;
            }
            let Some(content) = self.fetch(&object.key)? else { continue };
            match self.trust.summary(name, &content) {
                Err(e) if e.is(&codes::BACKUP_ABORTED) => {}
                Ok(summary) if forgotten.has(&summary) => {
                    let text = "a prune removed it, and it counts no longer".to_owned();
                    self.report.ignored.push((object.key.clone(), text));
                }
                Ok(summary) => {
                    named.insert(summary.manifest_key());
                    self.report.backups += 1;
                    self.report.good.push(name.to_owned());
                    sequences.entry(summary.writer).or_default().insert(summary.sequence);
                    if self.seen.differs(&summary) {
                        let problem = self.problem(&object.key, "it is another backup than was seen before");
                        self.affects(problem, name);
                    }
                    self.seen.add(&summary);
                    self.backup(&summary, index, bad)?;
                }
                // A damaged summary looks like one without a valid signature. The owner can decide.
                Err(e) if is_damage(&e) => {
                    let problem = self.problem(&object.key, e);
                    self.affects(problem, name);
                }
                Err(e) => return Err(e),
            }
        }
        let manifests = listed.iter().map(|o| &o.key).filter(|key| layout::is_hash_age(key));
        let unnamed: Vec<&String> = manifests.filter(|key| !named.contains(*key)).collect();
        self.withheld(listed.iter().map(|o| o.key.as_str()), &unnamed, &sequences, &forgotten)?;
        task.finish();
        Ok(())
    }

    fn backup(&mut self, summary: &Summary, index: Option<&Index>, bad: &BadPacks) -> Result<()> {
        let key = summary.manifest_key();
        self.report.objects += 1;
        let checked = match (self.identity, index) {
            (Some(identity), Some(index)) => self.references(identity, summary, index, bad),
            _ if self.depth == VerifyDepth::Full => {
                crate::format::manifest::fetch(self.session.store, &key, &summary.manifest, self.session.stop)
                    .map(drop)
            }
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
        let found = self.session.store.head(key)?.map(|o| o.size);
        if found == Some(summary.manifest.size) {
            return Ok(());
        }
        let text = match found {
            None => "it is missing".to_owned(),
            Some(found) => format!("it has {found} bytes instead of {}", summary.manifest.size),
        };
        Err(cloudron_core::Error::new(&crate::codes::SNAPSHOT_CORRUPT, text))
    }

    /// Reads a manifest and checks every chunk that it names.
    fn references(
        &mut self,
        identity: &crate::keys::Identity,
        summary: &Summary,
        index: &Index,
        bad: &BadPacks,
    ) -> Result<()> {
        let id = &summary.id;
        let backup = Backup::open(&self.session, &self.trust, identity, id)?;
        let mut entries = backup.entries()?;
        while let Some(entry) = entries.next()? {
            self.session.stop.check()?;
            for extent in &entry.extents {
                let Extent::Data { chunk, length, offset } = extent else { continue };
                let end = u64::from(*offset) + u64::from(*length);
                let problem = if !index.contains(chunk) {
                    Some(self.unknown_chunk(id, index))
                } else if index.places(chunk).all(|at| end > u64::from(at.raw)) {
                    let text = "it names parts of chunks that do not exist";
                    Some(self.problem(&summary.manifest_key(), text))
                } else {
                    self.problem_of(bad, index, chunk)
                };
                if let Some(problem) = problem {
                    self.name_file(problem, id, &entry);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Reports a chunk that is in no index, because of an unusable or missing index object.
    fn unknown_chunk(&mut self, id: &BackupId, index: &Index) -> usize {
        match index.unusable.iter().find(|(_, e)| !e.is(&codes::OBJECT_FOREIGN)) {
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

    /// Reports missing numbers among the summaries: these backups were removed by somebody other than the
    /// owner, unless the owner forgot them.
    fn withheld<'k>(
        &mut self,
        listed: impl Iterator<Item = &'k str>,
        unnamed: &[&String],
        sequences: &BTreeMap<Option<WriterId>, BTreeSet<u64>>,
        forgotten: &Forgotten,
    ) -> Result<()> {
        self.rolled_back(listed, forgotten)?;
        let mut withheld = false;
        for (writer, present) in sequences {
            let gaps = gaps(present, forgotten.of(*writer));
            if !gaps.is_empty() {
                withheld = true;
                self.problem(layout::SNAPSHOTS, describe_gaps(*writer, &gaps));
            }
        }
        if withheld { self.name_withheld(unnamed) } else { Ok(()) }
    }

    /// Reports backups whose manifest exists without a summary.
    fn name_withheld(&mut self, unnamed: &[&String]) -> Result<()> {
        let Some(identity) = self.identity else { return Ok(()) };
        let key = self.session.config.owner_decryptor(identity)?;
        for manifest in unnamed {
            self.session.stop.check()?;
            let header = first_line(self.session.store, manifest, &*key)?
                .filter(|h| h.repository == self.session.config.id);
            // A manifest can come from anybody: one of an existing backup proves nothing.
            let id = header.and_then(|h| h.id.parse::<BackupId>().ok());
            let is_there = |id: &BackupId| self.report.good.iter().any(|name| name == id.as_str());
            if let Some(id) = id.filter(|id| !is_there(id)) {
                let text = "it is missing, and the backups' numbers show that there was one";
                let problem = self.problem(&layout::summary(&id), text);
                self.affects(problem, id.as_str());
            }
        }
        Ok(())
    }

    /// Reports backups seen by this machine that no longer exist.
    fn rolled_back<'k>(
        &mut self,
        listed: impl Iterator<Item = &'k str>,
        forgotten: &Forgotten,
    ) -> Result<()> {
        let missing = self.seen.missing(self.session.store, listed, forgotten)?;
        self.seen.save();
        if !missing.is_empty() {
            let problem = self.problem(layout::SNAPSHOTS, crate::cache::history::rolled_back(&missing));
            missing.iter().for_each(|name| self.affects(problem, name));
            self.report.rolled_back = missing;
        }
        Ok(())
    }
}
