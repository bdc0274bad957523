//! Checks that a server can make of its own repository without reading any backup.

use cloudron_core::{BackupId, Cancel, Progress, Result, ResultExt};

use super::Repository;
use crate::format::index::{Index, Packs, Whose};
use crate::keys::WriterKeys;
use crate::snapshot::{Session, Writing};
use crate::{codes, layout};

/// The result of an inspection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The number of packs in the index.
    pub packs: u64,
    /// The problems found, one sentence each. There may be one for each pack.
    pub problems: Vec<String>,
}

impl Repository {
    /// Compares the repository with the keys of a writer and the list of packs with the index, and looks for
    /// the writer's newest backup. No pack is read, so damage inside a pack is not seen.
    ///
    /// # Errors
    /// `repository-other` when the keys belong to another repository, `repository-corrupt` when its
    /// description was changed; `writer-revoked`; `repository-old`; errors of the store; `interrupted`.
    pub async fn inspect(
        &self,
        keys: &WriterKeys,
        newest: Option<&BackupId>,
        cancel: &Cancel,
    ) -> Result<Inspection> {
        let (newest, cache) = (newest.cloned(), self.cache_dir.clone());
        self.writing(keys, &Progress::none(), cancel, move |writing| {
            let mut found = Inspection::default();
            index(writing, cache.as_deref(), &mut found)?;
            if let Some(id) = newest
                && !writing.store.list(&layout::summary(&id))?.iter().any(|o| o.key == layout::summary(&id))
            {
                found.problems.push(format!("the newest backup {id} is not in the store"));
            }
            Ok(found)
        })
        .await
        .doing(|| format!("comparing {} with the keys and the index", self.store.url()))
    }
}

/// Checks that every pack named by index lines of the writer or of the owner exists.
fn index(writing: &Writing<'_>, cache: Option<&std::path::Path>, found: &mut Inspection) -> Result<()> {
    let Session { store, config, stop, .. } = **writing;
    let packs = Packs::list(store, true)?;
    let key = config.index_decryptor(&writing.keys.index_identity)?;
    let whose = Whose::Mine(writing.writer());
    let index = Index::load(store, (&*key, &writing.trust), cache, &packs, whose, stop)?;
    // Objects without a valid signature are ignored, so they do no harm.
    let unusable = index.unusable.iter().filter(|(_, error)| !error.is(&codes::OBJECT_FOREIGN));
    let unusable = unusable.map(|(object, error)| format!("{object} cannot be used: {error}"));
    found.problems.extend(unusable);
    for (id, size) in &index.packs {
        found.packs += 1;
        let pack = layout::pack(id);
        match packs.size(id) {
            Some(there) if there == *size => {}
            Some(there) => found.problems.push(format!("{pack} has {there} bytes instead of {size}")),
            None => found.problems.push(format!("{pack} is missing")),
        }
    }
    Ok(())
}
