//! Object by object: whether it is there and has the bytes that were written.

use std::collections::HashMap;

use cloudron_core::{Error, Result, Unit};

use super::Check;
use crate::chunk::ChunkId;
use crate::chunk::frame::unframe;
use crate::index::{Index, Location, Packs};
use crate::repository::VerifyDepth;
use crate::repository::config::Config;
use crate::{codes, layout, pack};

/// What is wrong with packs: a problem for all of a pack, or for some chunks.
#[derive(Debug, Default)]
pub(super) struct BadPacks {
    packs: HashMap<u32, usize>,
    chunks: HashMap<ChunkId, usize>,
    /// Those that are not there, or not with their size. That is a problem only where something needs them: a
    /// pack that nothing needed may have been pruned under the eyes of whoever indexed it.
    lost: HashMap<u32, String>,
}

impl Check<'_> {
    /// The problem that keeps a chunk from being read.
    pub(super) fn problem_of(
        &mut self,
        bad: &BadPacks,
        index: &Index,
        id: &ChunkId,
        location: &Location,
    ) -> Option<usize> {
        if let Some(text) = bad.lost.get(&location.pack) {
            return Some(self.problem(&layout::pack(&index.packs[location.pack as usize].0), text));
        }
        bad.packs.get(&location.pack).or_else(|| bad.chunks.get(id)).copied()
    }
}

/// Whether an error is about the object rather than about reaching the store.
pub(super) fn is_damage(error: &Error) -> bool {
    [&codes::OBJECT_CORRUPT, &codes::OBJECT_MISSING, &codes::SNAPSHOT_CORRUPT, &codes::SNAPSHOT_FORGED]
        .iter()
        .any(|code| error.is(code))
}

impl Check<'_> {
    fn full(&self) -> bool {
        self.depth == VerifyDepth::Full
    }

    /// Fetches an object. Nothing, and a problem, when it is missing.
    pub(super) fn fetch(&mut self, key: &str) -> Result<Option<bytes::Bytes>> {
        self.stop.check()?;
        self.report.objects += 1;
        match self.store.get(key) {
            Ok(content) => {
                self.report.bytes += content.len() as u64;
                Ok(Some(content))
            }
            Err(e) if e.is(&codes::OBJECT_MISSING) => {
                self.problem(key, "it is missing");
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// The description of the repository, and the files on how to restore without this program.
    pub(super) fn description(&mut self) -> Result<()> {
        let owner = match self.identity {
            Some(identity) => Some(identity.writer_keys().signing_key()?.verifying_key()),
            None => None,
        };
        if let Some(content) = self.fetch(layout::CONFIG)?
            && let Err(e) = Config::check_signature(&content, owner.as_ref())
        {
            self.problem(layout::CONFIG, e);
        }
        for (name, hash) in self.config.files.clone() {
            if let Some(content) = self.fetch(&name)?
                && layout::object_id(&content) != hash
            {
                self.problem(&name, "it was changed");
            }
        }
        Ok(())
    }

    pub(super) fn keys(&mut self) -> Result<()> {
        let mut keys = self.store.list(layout::KEYS)?;
        keys.retain(|o| o.key.ends_with(".age"));
        if keys.is_empty() {
            self.problem(layout::KEYS, "there is no key, so that the backup key opens nothing");
        }
        for object in keys {
            if let Some(content) = self.fetch(&object.key)?
                && !layout::is_key_sound(&object.key, &content)
            {
                self.problem(&object.key, "it does not have the hash that it is named by");
            }
        }
        Ok(())
    }

    /// The index, if there is the identity to read it.
    pub(super) fn index(&mut self) -> Result<Option<Index>> {
        if let Some(identity) = self.identity {
            let key = self.config.owner_decryptor(identity)?;
            let index = crate::condemned::index_for_reading(self.store, &*key, self.stop)?;
            self.report.objects += index.objects.len() as u64;
            for (object, error) in &index.unusable {
                self.problem(object, error);
            }
            return Ok(Some(index));
        }
        let mut objects = self.store.list(layout::INDEX)?;
        objects.extend(self.store.list(layout::CONDEMNED)?);
        for object in objects {
            if self.full() {
                self.hashed(&object.key)?;
            } else {
                self.report.objects += 1;
            }
        }
        Ok(None)
    }

    /// Checks an object that is named by its hash. Gives its content if it is sound.
    fn hashed(&mut self, key: &str) -> Result<Option<bytes::Bytes>> {
        let Some(content) = self.fetch(key)? else { return Ok(None) };
        if layout::id_of(key) == Some(&layout::object_id(&content)) {
            return Ok(Some(content));
        }
        self.problem(key, "it does not have the hash that it is named by");
        Ok(None)
    }

    pub(super) fn packs(&mut self, index: Option<&Index>) -> Result<BadPacks> {
        let listed = self.store.list(layout::PACKS)?;
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
        let contents = index.map(contents_of_packs).unwrap_or_default();
        let total = listed.iter().map(|o| o.size).sum();
        let task = self.progress.task("Reading packs", Unit::Bytes, Some(total));
        for object in listed {
            let content = self.hashed(&object.key)?;
            let known = layout::id_of(&object.key).and_then(|id| contents.get(id));
            match (content, known) {
                (None, Some((pack, _))) => {
                    let problem = self.problem(&object.key, "it is damaged");
                    bad.packs.insert(*pack, problem);
                }
                (Some(content), Some((pack, chunks))) => {
                    self.chunks(&object.key, &content, *pack, chunks, &mut bad)?
                }
                // It is of a run that was cut off, or there is no index to read.
                (_, None) => {}
            }
            task.advance(object.size);
        }
        task.finish();
        Ok(bad)
    }

    fn lost_packs(&self, index: &Index, bad: &mut BadPacks) -> Result<()> {
        let packs = Packs::list(self.store, true)?;
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

    /// Whether a pack is read at this depth, today.
    fn is_read(&self, key: &str) -> bool {
        match self.depth {
            VerifyDepth::Quick => false,
            VerifyDepth::Full => true,
            VerifyDepth::Sample(percent) => in_sample(layout::id_of(key).unwrap_or(key), percent, self.day),
        }
    }

    /// Opens a pack and checks every chunk of it.
    fn chunks(
        &mut self,
        key: &str,
        content: &[u8],
        number: u32,
        chunks: &[(ChunkId, Location)],
        bad: &mut BadPacks,
    ) -> Result<()> {
        let Some(identity) = self.identity else { return Ok(()) };
        let opener = self.config.owner_decryptor(identity)?;
        let namer = crate::restore::namer(identity)?;
        let plain = match pack::open_checked(content, &*opener) {
            Ok(plain) => plain,
            Err(e) => {
                let problem = self.problem(key, e);
                bad.packs.insert(number, problem);
                return Ok(());
            }
        };
        for (id, location) in chunks {
            self.stop.check()?;
            let end = location.offset as usize + location.length as usize;
            let chunk = plain.get(location.offset as usize..end).map(|frame| unframe(frame, location.raw));
            if !chunk.is_some_and(|c| c.is_ok_and(|c| namer.name(&c) == *id)) {
                let problem = self.problem(key, "chunks in it are damaged");
                bad.chunks.insert(*id, problem);
            }
        }
        Ok(())
    }
}

/// Whether a pack is among those that are read on a day: every one is on one day of each round.
fn in_sample(id: &str, percent: u8, day: u64) -> bool {
    let days = 100_u64.div_ceil(u64::from(percent.clamp(1, 100)));
    let hash = blake3::hash(id.as_bytes());
    let number = hash.as_bytes()[..8].iter().fold(0, |n, b| n << 8 | u64::from(*b));
    number % days == day % days
}

type Contents = HashMap<String, (u32, Vec<(ChunkId, Location)>)>;

fn contents_of_packs(index: &Index) -> Contents {
    let mut contents = Contents::new();
    for (number, (id, _)) in index.packs.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        contents.entry(hex::encode(id.0)).or_insert((number, Vec::new()));
    }
    for (id, location) in index.chunks() {
        let pack = hex::encode(index.packs[location.pack as usize].0.0);
        if let Some((_, chunks)) = contents.get_mut(&pack) {
            chunks.push((*id, *location));
        }
    }
    contents
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
