//! Checks each object: that it exists and is unchanged.

use std::collections::HashMap;

use cloudron_core::{Error, Result, Unit};

use super::Check;
use crate::chunk::ChunkId;
use crate::chunk::frame::unframe;
use crate::format::config::Config;
use crate::format::index::{Index, Location, Packs};
use crate::format::key::check_statement;
use crate::format::pack;
use crate::verify::VerifyDepth;
use crate::{codes, layout};

/// Problems of packs: of a whole pack, or of some chunks.
#[derive(Debug, Default)]
pub(super) struct BadPacks {
    packs: HashMap<u32, usize>,
    /// Chunks that are not where a line says, with the key of the pack.
    chunks: HashMap<(u32, ChunkId), String>,
    /// Packs that are missing or have another size. That is a problem only if their content is needed: an
    /// unneeded pack may have been pruned while it was indexed.
    lost: HashMap<u32, String>,
}

impl Check<'_> {
    /// Returns the problem that makes a chunk unreadable: that of its best location, if no location is readable.
    pub(super) fn problem_of(&mut self, bad: &BadPacks, index: &Index, id: &ChunkId) -> Option<usize> {
        let mut first = None;
        for at in index.places(id) {
            if let Some(text) = bad.lost.get(&at.pack) {
                let key = layout::pack(&index.packs[at.pack as usize].0);
                first = first.or_else(|| Some(self.problem(&key, text)));
                continue;
            }
            match (bad.packs.get(&at.pack), bad.chunks.get(&(at.pack, *id))) {
                (Some(problem), _) => first = first.or(Some(*problem)),
                (None, Some(key)) => {
                    first = first.or_else(|| Some(self.problem(key, "chunks in it are damaged")));
                }
                (None, None) => return None,
            }
        }
        first
    }
}

/// Checks whether an error is about the object rather than about reaching the store.
pub(super) fn is_damage(error: &Error) -> bool {
    [&codes::OBJECT_CORRUPT, &codes::OBJECT_MISSING, &codes::SNAPSHOT_CORRUPT, &codes::SNAPSHOT_FORGED]
        .iter()
        .any(|code| error.is(code))
}

impl Check<'_> {
    fn full(&self) -> bool {
        self.depth == VerifyDepth::Full
    }

    /// Fetches an object. Returns `None`, and records a problem, if it is missing.
    pub(super) fn fetch(&mut self, key: &str) -> Result<Option<bytes::Bytes>> {
        self.session.stop.check()?;
        self.report.objects += 1;
        match self.session.store.get_at_most(key, layout::largest(key)) {
            Ok(content) => {
                self.report.bytes += content.len() as u64;
                Ok(Some(content))
            }
            Err(e) if e.is(&codes::OBJECT_MISSING) => {
                self.problem(key, "it is missing");
                Ok(None)
            }
            Err(e) if e.is(&codes::OBJECT_CORRUPT) => {
                self.problem(key, "it is too large");
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Checks the description of the repository, and the recovery files.
    pub(super) fn description(&mut self) -> Result<()> {
        if let Some(content) = self.fetch(layout::CONFIG)?
            && let Err(e) = Config::check_signature(&content, self.identity)
        {
            self.problem(layout::CONFIG, e);
        }
        self.second_copy(layout::CONFIG, self.session.config.object().to_vec().into())?;
        for (name, hash) in self.session.config.files.clone() {
            if let Some(content) = self.fetch(&name)?
                && layout::object_id(&content) != hash
            {
                self.problem(&name, "it was changed");
            }
        }
        Ok(())
    }

    pub(super) fn keys(&mut self) -> Result<()> {
        let keys = self.session.store.list(layout::KEYS)?;
        let (keys, others): (Vec<_>, Vec<_>) = keys
            .into_iter()
            .partition(|o| crate::format::key::name_of(&o.key).is_some() && o.size <= layout::MOST_SMALL);
        self.foreign(others.into_iter().filter(|o| !o.key.ends_with(".json")).map(|o| o.key));
        if keys.is_empty() {
            self.problem(layout::KEYS, "there is no key, so that the backup key opens nothing");
        }
        for object in keys {
            let Some(content) = self.fetch(&object.key)? else { continue };
            if layout::is_key_sound(&object.key, &content) {
                self.statement(&object.key, &content)?;
                self.second_copy(&object.key, content)?;
            } else {
                self.problem(&object.key, "it does not have the hash that it is named by");
            }
        }
        self.certificates()
    }

    /// Checks the certificates of writers. They are also part of everything that writers sign.
    fn certificates(&mut self) -> Result<()> {
        let mut found = 0;
        for object in self.session.store.list(layout::WRITERS)? {
            if !layout::is_hash_json(&object.key) || object.size > layout::MOST_JSON {
                self.foreign([object.key].into_iter());
            } else if let Some(content) = self.fetch(&object.key)? {
                let value = serde_json::from_slice(&content).unwrap_or_default();
                if object.key != layout::certificate(&content) {
                    self.problem(&object.key, "it does not have the hash that it is named by");
                } else if self.trust.writer(&value).is_some() {
                    found += 1;
                } else {
                    let text = "it is not signed by the owner of this repository".to_owned();
                    self.report.ignored.push((object.key, text));
                }
            }
        }
        if found == 0 && !self.trust.is_first() {
            self.problem(layout::WRITERS, "there is no certificate of a writer");
        }
        Ok(())
    }

    /// Checks the owner's statement on a key object. A key from an earlier format has none.
    fn statement(&mut self, key: &str, content: &[u8]) -> Result<()> {
        let Some(place) = crate::format::key::statement_key(key) else { return Ok(()) };
        let statement = match self.session.store.get_at_most(&place, layout::MOST_SMALL) {
            Err(e) if e.is(&codes::OBJECT_MISSING) => return Ok(()),
            other => other?,
        };
        self.report.objects += 1;
        let owner = self.trust.owner();
        let is_sound = |owner| check_statement(&statement, self.trust.repository(), content, owner);
        if !owner.is_some_and(is_sound) {
            self.problem(&place, "it is no statement of the owner on that key");
        }
        Ok(())
    }

    /// Checks the second copy of an object.
    fn second_copy(&mut self, key: &str, content: bytes::Bytes) -> Result<()> {
        if self.trust.is_first() {
            return Ok(());
        }
        let copy = crate::layout::copy_of(key);
        if self.fetch(&copy)?.is_some_and(|found| found != content) {
            self.problem(&copy, "it is not the same as the object of which it is the second copy");
        }
        Ok(())
    }

    /// Loads the index, if there is an identity to read it.
    pub(super) fn index(&mut self) -> Result<Option<Index>> {
        if let Some(identity) = self.identity {
            let key = self.session.config.owner_decryptor(identity)?;
            let index = crate::format::condemned::index_for_reading(
                self.session.store,
                (&*key, &self.trust),
                None,
                self.session.stop,
            )?;
            self.report.objects += index.objects.len() as u64;
            for (object, error) in &index.unusable {
                if error.is(&codes::OBJECT_FOREIGN) {
                    self.report.ignored.push((object.clone(), error.to_string()));
                } else {
                    self.problem(object, error);
                }
            }
            return Ok(Some(index));
        }
        let mut objects = self.session.store.list(layout::INDEX)?;
        objects.extend(self.session.store.list(layout::CONDEMNED)?);
        let (objects, others): (Vec<_>, Vec<_>) =
            objects.into_iter().partition(|o| layout::is_hash_age(&o.key) && o.size <= layout::MOST_INDEX);
        self.foreign(others.into_iter().map(|o| o.key));
        for object in objects {
            if self.full() {
                self.hashed(&object.key)?;
            } else {
                self.report.objects += 1;
            }
        }
        Ok(None)
    }

    /// Records objects that do not belong to a repository, which other programs may leave in a folder.
    fn foreign(&mut self, keys: impl Iterator<Item = String>) {
        let text = "it has no name that an object of a repository has";
        self.report.ignored.extend(keys.map(|key| (key, text.to_owned())));
    }

    /// Checks an object named by its hash. Returns its content if it is sound.
    fn hashed(&mut self, key: &str) -> Result<Option<bytes::Bytes>> {
        let Some(content) = self.fetch(key)? else { return Ok(None) };
        if layout::id_of(key) == Some(&layout::object_id(&content)) {
            return Ok(Some(content));
        }
        self.problem(key, "it does not have the hash that it is named by");
        Ok(None)
    }

    pub(super) fn packs(&mut self, index: Option<&Index>) -> Result<BadPacks> {
        let listed = self.session.store.list(layout::PACKS)?;
        let (listed, others): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|o| layout::is_hash_age(&o.key) && o.size <= layout::MOST_PACK);
        self.foreign(others.into_iter().map(|o| o.key));
        let mut bad = BadPacks::default();
        if let Some(index) = index {
            self.lost_packs(index, &mut bad)?;
        }
        self.report.objects += listed.len() as u64;
        let listed: Vec<_> = listed.into_iter().filter(|o| self.is_read(&o.key)).collect();
        if listed.is_empty() {
            return Ok(bad);
        }
        self.report.objects -= listed.len() as u64;
        let claims = index.map(claims_of_packs).unwrap_or_default();
        let total = listed.iter().map(|o| o.size).sum();
        let task = self.session.progress.task("Reading packs", Unit::Bytes, Some(total));
        for object in listed {
            let content = self.hashed(&object.key)?;
            let known = layout::id_of(&object.key).and_then(|id| claims.get(id));
            match (content, known) {
                (None, Some(known)) => {
                    let problem = self.problem(&object.key, "it is damaged");
                    bad.packs.extend(known.lines.iter().map(|line| (*line, problem)));
                }
                (Some(content), Some(known)) => self.chunks(&object.key, &content, known, &mut bad)?,
                // It belongs to an interrupted run, or there is no index to read.
                (_, None) => {}
            }
            task.advance(object.size);
        }
        task.finish();
        Ok(bad)
    }

    fn lost_packs(&self, index: &Index, bad: &mut BadPacks) -> Result<()> {
        let packs = Packs::list(self.session.store, true)?;
        for (number, (id, size)) in index.packs.iter().enumerate() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let text = match packs.size(id) {
                Some(found) if found == *size => continue,
                None => "it is missing".to_owned(),
                Some(found) => format!("it has {found} bytes instead of {size}"),
            };
            bad.lost.insert(number, text);
        }
        Ok(())
    }

    /// Checks whether a pack is to be read at this depth, today.
    fn is_read(&self, key: &str) -> bool {
        match self.depth {
            VerifyDepth::Quick => false,
            VerifyDepth::Full => true,
            VerifyDepth::Sample(percent) => in_sample(layout::id_of(key).unwrap_or(key), percent, self.day),
        }
    }

    /// Opens a pack and checks every chunk of it.
    fn chunks(&mut self, key: &str, content: &[u8], known: &Claims, bad: &mut BadPacks) -> Result<()> {
        let Some(identity) = self.identity else { return Ok(()) };
        let opener = self.session.config.owner_decryptor(identity)?;
        let namer = crate::snapshot::namer(identity)?;
        let plain = match pack::open_checked(content, &*opener) {
            Ok(plain) => plain,
            Err(e) => {
                let problem = self.problem(key, e);
                bad.packs.extend(known.lines.iter().map(|line| (*line, problem)));
                return Ok(());
            }
        };
        for (id, location) in &known.chunks {
            self.session.stop.check()?;
            let end = location.offset as usize + location.length as usize;
            let chunk = plain.get(location.offset as usize..end).map(|frame| unframe(frame, location.raw));
            if !chunk.is_some_and(|c| c.is_ok_and(|c| namer.name(&c) == *id)) {
                // A claim of a writer may be false. It is a problem if the chunk is nowhere else.
                bad.chunks.insert((location.pack, *id), key.to_owned());
            }
        }
        Ok(())
    }
}

/// Checks whether a pack is in the sample of a day: every pack is in one sample of each round.
fn in_sample(id: &str, percent: u8, day: u64) -> bool {
    let days = 100_u64.div_ceil(u64::from(percent.clamp(1, 100)));
    let hash = blake3::hash(id.as_bytes());
    let number = hash.as_bytes()[..8].iter().fold(0, |n, b| n << 8 | u64::from(*b));
    number % days == day % days
}

/// The index lines about each pack, by the name of the pack: their numbers, and the locations of chunks.
#[derive(Default)]
struct Claims {
    lines: Vec<u32>,
    chunks: Vec<(ChunkId, Location)>,
}

fn claims_of_packs(index: &Index) -> HashMap<String, Claims> {
    let mut claims: HashMap<String, Claims> = HashMap::new();
    for (number, (id, _)) in index.packs.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        claims.entry(hex::encode(id.0)).or_default().lines.push(number);
    }
    for (id, location) in index.all_places() {
        let pack = hex::encode(index.packs[location.pack as usize].0.0);
        claims.entry(pack).or_default().chunks.push((*id, *location));
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_reads_every_pack_once_in_a_round_of_days() {
        let packs: Vec<String> = (0..500).map(|n| layout::object_id(&[n as u8, (n >> 8) as u8])).collect();
        for (percent, days) in [(5, 20), (30, 4), (100, 1), (0, 100), (255, 1)] {
            for id in &packs {
                let read = (1000..1000 + days).filter(|day| in_sample(id, percent, *day)).count();
                assert_eq!(read, 1, "{percent} percent");
            }
        }
        let today = packs.iter().filter(|id| in_sample(id, 5, 20_000)).count();
        assert!((10..50).contains(&today), "{today} of 500");
    }
}
