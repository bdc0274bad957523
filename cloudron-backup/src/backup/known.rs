//! Finds what the store already has.

use std::collections::HashSet;
use std::path::Path;

use cloudron_core::Result;

use super::BackupRun;
use crate::chunk::ChunkId;
use crate::format::condemned::packs_to_rely_on;
use crate::format::index::{Index, PackEntry, Packs, Whose};
use crate::packer::{self, journal};

/// Returns the chunks in the store. A pack that is missing or has another size does not count, so that its
/// content is stored again.
pub(super) fn known_chunks(run: &BackupRun<'_>, cache: Option<&Path>) -> Result<Index> {
    // Before the packs are listed: packs in these journals were stored before that, or never will be.
    let chunk_key = run.keys.chunk_key()?;
    let left = cache.map(|dir| journal::Left::read(dir, &chunk_key)).unwrap_or_default();
    let key = run.config.index_decryptor(&run.keys.index_identity)?;
    let key = (&*key, &run.trust);
    let packs = packs_to_rely_on(run.store, key, cache, run.stop)?;
    let whose = Whose::Mine(run.writer());
    let mut index = Index::load(run.store, key, cache, &packs, whose, run.stop)?;
    for (object, error) in &index.unusable {
        let text = format!("{object} cannot be used, what it lists is stored again where needed: {error}");
        run.progress.warn(text);
    }
    adopt(run, left, &packs, &mut index)?;
    Ok(index)
}

/// Adds packs to the index that an interrupted run stored without indexing them.
fn adopt(run: &BackupRun<'_>, left: journal::Left, packs: &Packs, index: &mut Index) -> Result<()> {
    let mut known: HashSet<ChunkId> = index.packs.iter().map(|(pack, _)| *pack).collect();
    let is_new = |e: &&PackEntry| packs.has(e) && known.insert(e.pack);
    let found: Vec<PackEntry> = left.entries.iter().filter(is_new).cloned().collect();
    if !found.is_empty() {
        let (data, for_index) = (run.config.data_encryptor()?, run.config.index_encryptor()?);
        packer::store_index(&run.target(&*data, &*for_index, None), &found)?;
        found.iter().for_each(|entry| index.add(entry));
        run.progress.note(format!("{} packs of a run that was cut off are used", found.len()));
    }
    left.remove();
    Ok(())
}
