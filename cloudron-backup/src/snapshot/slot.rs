//! The place of a summary. Somebody may have put something else there: then the next slot is taken.
//!
//! A backup and the prune that declares it dead go through the slots in the same order, and pass over the same
//! objects: those that neither the backup's writer signed nor, about that backup, the owner. Each slot is decided
//! by a put-if-absent. So either the summary is in front of the tombstone, or the other way round, for everybody.

use bytes::Bytes;
use cloudron_core::{BackupId, Error, Result};

use crate::format::summary::{self, Summary};
use crate::format::trust::{Standing, Trust};
use crate::keys::{Signer, WriterId};
use crate::store::blocking::Blocking;
use crate::{codes, layout};

/// The outcome of a backup that was not heard of for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is made, under this id.
    Made(BackupId),
    /// It can never be made any more.
    Dead,
}

/// The object in a slot. Nothing when there is none; empty for one that is larger than any summary.
fn read(store: &Blocking, slot: &BackupId) -> Result<Option<Bytes>> {
    match store.get_at_most(&layout::summary(slot), layout::MOST_JSON) {
        Ok(content) => Ok(Some(content)),
        Err(e) if e.is(&codes::OBJECT_MISSING) => Ok(None),
        Err(e) if e.is(&codes::OBJECT_CORRUPT) => Ok(Some(Bytes::new())),
        Err(e) => Err(e),
    }
}

/// What became of the backup of a writer. Nothing when that is not decided.
///
/// # Errors
/// Errors of the store.
pub(crate) fn fate(store: &Blocking, trust: &Trust, id: &BackupId, writer: WriterId) -> Result<Option<Fate>> {
    for slot in layout::slots(id) {
        let Some(content) = read(store, &slot)? else { return Ok(None) };
        match trust.standing(&slot, &content, writer) {
            Standing::Made => return Ok(Some(Fate::Made(slot))),
            Standing::Dead => return Ok(Some(Fate::Dead)),
            Standing::Other => {}
        }
    }
    Ok(None)
}

/// The backups of this id, by any writer.
///
/// # Errors
/// Errors of the store.
pub(crate) fn made(store: &Blocking, trust: &Trust, id: &BackupId) -> Result<Vec<Summary>> {
    let mut found = Vec::new();
    for slot in layout::slots(id) {
        let Some(content) = read(store, &slot)? else { break };
        found.extend(trust.summary(slot.as_str(), &content).ok());
    }
    Ok(found)
}

/// Stores a summary in the first slot that is free, and names it by that.
///
/// # Errors
/// `backup-exists` when the writer has a backup of this id; `backup-aborted` when it was declared dead; what the store
/// reports.
pub(crate) fn publish(store: &Blocking, trust: &Trust, summary: &mut Summary, signer: &Signer) -> Result<()> {
    let id = summary.id.clone();
    let exists = || Error::new(&codes::BACKUP_EXISTS, format!("there is a backup {id} already"));
    let writer = signer.writer().ok_or_else(exists)?;
    for slot in layout::slots(&id) {
        summary.id = slot.clone();
        let object: Bytes = summary.sign(signer).into();
        if store.put_new(&layout::summary(&slot), &object)? {
            return Ok(());
        }
        let found = read(store, &slot)?.unwrap_or_default();
        // The answer to a request of ours got lost.
        if found == object {
            return Ok(());
        }
        match trust.standing(&slot, &found, writer) {
            Standing::Made => return Err(exists()),
            Standing::Dead => {
                let text = "the backup was declared dead before it was made";
                return Err(Error::new(&codes::BACKUP_ABORTED, text));
            }
            Standing::Other => {}
        }
    }
    Err(exists())
}

/// Declares the backup of a writer dead, unless it is made.
///
/// # Errors
/// Errors of the store; `backup-exists` when there is no slot left.
pub(crate) fn fence(
    store: &Blocking,
    trust: &Trust,
    id: &BackupId,
    writer: WriterId,
    signer: &Signer,
) -> Result<Fate> {
    for slot in layout::slots(id) {
        let tombstone: Bytes = summary::tombstone(&slot, trust.repository(), writer, signer).into();
        if store.put_new(&layout::summary(&slot), &tombstone)? {
            return Ok(Fate::Dead);
        }
        let found = read(store, &slot)?.unwrap_or_default();
        match trust.standing(&slot, &found, writer) {
            Standing::Made => return Ok(Fate::Made(slot)),
            Standing::Dead => return Ok(Fate::Dead),
            Standing::Other => {}
        }
    }
    Err(Error::new(&codes::BACKUP_EXISTS, format!("there is no place left for {id}")))
}
