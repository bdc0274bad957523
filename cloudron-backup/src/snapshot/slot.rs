//! The place of a summary. If another object occupies it, the next slot is used.
//!
//! A backup and a prune that declares it dead go through the slots in the same order, and skip the same
//! objects: those signed neither by the backup's writer nor, about that backup, by the owner. Each slot is
//! decided by a conditional write. So for every reader either the summary comes before the tombstone, or the
//! tombstone before the summary.

use bytes::Bytes;
use cloudron_core::{BackupId, Error, Result};

use crate::format::summary::{self, Summary};
use crate::format::trust::{Standing, Trust};
use crate::keys::{Signer, WriterId};
use crate::store::blocking::Blocking;
use crate::{codes, layout};

/// The outcome of a backup whose lock expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The backup is complete, under this id.
    Made(BackupId),
    /// The backup can no longer be completed.
    Dead,
}

/// Returns the object in a slot, or `None` if it is free; empty for an object larger than any summary.
fn read(store: &Blocking, slot: &BackupId) -> Result<Option<Bytes>> {
    match store.get_at_most(&layout::summary(slot), layout::MOST_JSON) {
        Ok(content) => Ok(Some(content)),
        Err(e) if e.is(&codes::OBJECT_MISSING) => Ok(None),
        Err(e) if e.is(&codes::OBJECT_CORRUPT) => Ok(Some(Bytes::new())),
        Err(e) => Err(e),
    }
}

/// Returns the fate of a writer's backup, or `None` if it is undecided.
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

/// Returns the backups of this id, by any writer.
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

/// Stores a summary in the first free slot, and sets its id to the slot's.
///
/// # Errors
/// `backup-exists` when the writer has a backup of this id; `backup-aborted` when it was declared dead;
/// errors of the store.
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
        // The response to an earlier request of ours was lost.
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

/// Declares the backup of a writer dead, unless it is complete.
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
