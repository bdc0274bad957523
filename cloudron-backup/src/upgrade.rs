//! Upgrades a repository of format 1.
//!
//! In format 1 all writers share a key, and nobody signs the index. So every pack is read once, and the new
//! index is signed by the owner. The key that the writers shared is certified and revoked in one step, and
//! the revocation lists every backup signed with it by its hash. The description is replaced last: after an
//! interruption the repository is still of format 1 or already of format 2, and a second run finishes the work.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use cloudron_core::{Error, Result, Unit};
use serde::Serialize;

use crate::chunk::ChunkId;
use crate::format::condemned::Condemned;
use crate::format::config::{Config, FIRST};
use crate::format::forgotten::{Forgotten, Removed};
use crate::format::index::{Kind, PackEntry};
use crate::format::lock::{EXPIRY, Lock};
use crate::format::recovery::recovery_files;
use crate::format::trust::{Source, revocation};
use crate::issue::Issue;
use crate::keys::{Certificate, Identity, WriterLimits, sign};
use crate::prune::{Listed, State, copies, each_chunk, is_damage, put_lines};
use crate::snapshot::{Owner, Session};
use crate::{codes, layout};

/// The name of the writer whose key all writers of format 1 share.
const NAME: &str = "format-1";

/// The result of an upgrade.
#[derive(Debug, Clone, Default, Serialize)]
#[must_use = "backups that lack content are in the report only"]
pub struct UpgradeReport {
    /// True if the repository already was of this format.
    pub was_new: bool,
    /// The number of packs read.
    pub packs: u64,
    /// The damaged packs: object and reason.
    pub packs_damaged: Vec<Issue>,
    /// The valid backups after the upgrade.
    pub backups: Vec<String>,
    /// The backups that lack content, and why. They remain valid.
    pub damaged: Vec<Issue>,
    /// Ignored objects: key and reason.
    pub ignored: Vec<Issue>,
}

impl UpgradeReport {
    /// Checks that every backup has all that it needs.
    ///
    /// # Errors
    /// `verify-failed`, with the first that does not.
    pub fn whole(&self) -> Result<()> {
        let Some(Issue { subject, reason }) = self.damaged.first() else { return Ok(()) };
        let text = format!("{} backups lack something, among them {subject}: {reason}", self.damaged.len());
        Err(Error::new(&codes::VERIFY_FAILED, text))
    }
}

/// Upgrades a repository. Returns the description that is stored now.
pub(crate) fn run(session: Session<'_>, identity: &Identity) -> Result<(Config, UpgradeReport)> {
    let owner = Owner::new(session, identity)?;
    let Session { store, config, .. } = session;
    let mut report = UpgradeReport::default();
    if config.version != FIRST {
        report.was_new = true;
        // Finishes an interrupted upgrade.
        copies::put_back(&owner, false, &mut Vec::new())?;
        remove_old(&owner)?;
        return Ok((config.clone(), report));
    }
    let lock = owner.lock("repair")?;
    check_nothing_runs(&owner, &lock)?;
    let listed = Listed::load(&owner)?;
    report.ignored.extend(listed.ignored.iter().map(|(name, why)| Issue::new(name, why)));
    // Includes condemned packs: the next prune copies what a backup needs of one.
    let state = State::behind(&owner, Condemned::default())?;
    let (lines, unread) = read_packs(&owner, &state, &mut report)?;
    check_backups(&owner, &listed, &lines, &unread, &mut report)?;
    put_lines(&owner, &lines, Kind::Index, Source::Owner)?;

    let key = identity.first_signing_key().verifying_key();
    let certificate = Certificate::new(NAME, &key, &WriterLimits::default(), &owner.signer.key);
    let writer = certificate.writer();
    // Packs in an archive could not be read: their lines stay claims of their writer.
    put_lines(&owner, &unread, Kind::Index, Source::Writer(writer))?;
    let keep: BTreeSet<String> = listed.hashes.values().cloned().collect();
    let revoked: Bytes = revocation(&config.id, writer, keep, &owner.signer.key).into();
    store.put(&layout::revocation(&revoked), &revoked)?;
    for certificate in [certificate, identity.writer_keys().certificate] {
        let object = Bytes::from(certificate.object());
        store.put(&layout::certificate(&object), &object)?;
    }
    let mut removed = Removed::default();
    listed.forgotten.all().for_each(|(_, ranges)| removed.numbers.extend(ranges));
    if !removed.numbers.is_empty() {
        Forgotten::default().add(store, &config.id, &owner.signer, Some(writer), &removed)?;
    }
    report.backups = listed.summaries.iter().map(|s| s.id.to_string()).collect();

    let files = recovery_files();
    for (name, content) in files {
        store.put(name, &Bytes::from_static(content))?;
    }
    let upgraded = config.upgraded(identity, &files);
    let description = Bytes::copy_from_slice(upgraded.object());
    store.put(&layout::copy_of(layout::CONFIG), &description)?;
    store.put(layout::CONFIG, &description)?;
    let owner = Owner::new(Session { config: &upgraded, ..session }, identity)?;
    remove_old(&owner)?;
    copies::put_back(&owner, false, &mut Vec::new())?;
    Ok((upgraded, report))
}

/// Refuses while there is a recent lock of format 1, which is unsigned.
fn check_nothing_runs(owner: &Owner<'_>, lock: &Lock) -> Result<()> {
    let now = lock.store_time()?;
    let is_live = |o: &crate::store::ObjectMeta| {
        o.key != lock.key() && o.modified.is_none_or(|m| now.duration_since(m).unwrap_or_default() <= EXPIRY)
    };
    match owner.store.list(layout::LOCKS)?.into_iter().find(is_live) {
        None => Ok(()),
        Some(other) => {
            let text = format!("{} of {} is under way", other.key, owner.store.url());
            let hint = "wait for it to end, or half an hour if it was cut off, and try again";
            Err(Error::new(&codes::PRUNE_BUSY, text).with_hint(hint))
        }
    }
}

/// Returns the lines of all packs: read from the packs, or taken from the old index for packs in an archive.
fn read_packs(
    owner: &Owner<'_>,
    state: &State,
    report: &mut UpgradeReport,
) -> Result<(Vec<PackEntry>, Vec<PackEntry>)> {
    let old: BTreeMap<ChunkId, &PackEntry> =
        state.objects.iter().flat_map(|o| &o.entries).map(|e| (e.pack, e)).collect();
    let mut packs: Vec<(&ChunkId, u64)> = state.packs.iter().map(|(pack, p)| (pack, p.size)).collect();
    packs.sort_unstable();
    let total = packs.iter().map(|(_, size)| size).sum();
    let task = owner.progress.task("Reading packs", Unit::Bytes, Some(total));
    let (mut lines, mut unread) = (Vec::new(), Vec::new());
    for (pack, size) in packs {
        owner.stop.check()?;
        report.packs += 1;
        match owner.read_pack(pack) {
            Ok(line) => lines.push(line),
            Err(e) if e.is(&codes::OBJECT_ARCHIVED) => unread.extend(old.get(pack).map(|e| (*e).clone())),
            Err(e) if is_damage(&e) => report.packs_damaged.push(Issue::new(layout::pack(pack), e)),
            Err(e) => return Err(e),
        }
        task.advance(size);
    }
    task.finish();
    Ok((lines, unread))
}

fn check_backups(
    owner: &Owner<'_>,
    listed: &Listed,
    lines: &[PackEntry],
    unread: &[PackEntry],
    report: &mut UpgradeReport,
) -> Result<()> {
    let there: std::collections::HashSet<ChunkId> =
        lines.iter().chain(unread).flat_map(|l| &l.chunks).map(|c| c.id).collect();
    for summary in &listed.summaries {
        let mut lacking = 0_u64;
        match each_chunk(owner, &summary.id, |chunk| lacking += u64::from(!there.contains(&chunk))) {
            Ok(()) if lacking == 0 => {}
            Ok(()) => {
                let text = format!("{lacking} of its chunks are in no pack that can be read");
                report.damaged.push(Issue::new(summary.id.to_string(), text));
            }
            Err(e) if e.is(&codes::PRUNE_UNSAFE) => {
                report.damaged.push(Issue::new(summary.id.to_string(), e.message()));
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Removes index objects, records and notes of format 1, which are no longer used.
fn remove_old(owner: &Owner<'_>) -> Result<()> {
    let store = owner.store;
    let state = State::load(owner)?;
    let unusable = state.unusable.iter().chain(&state.condemned.unusable);
    for (key, _) in unusable.filter(|(_, e)| e.is(&codes::OBJECT_FOREIGN)) {
        if is_first_index(owner, key)? {
            store.delete(key)?;
        }
    }
    for object in store.list(layout::FORGOTTEN)?.into_iter().filter(|o| o.size <= layout::MOST_LIST) {
        let content = store.get_at_most(&object.key, layout::MOST_LIST)?;
        let value: serde_json::Value = serde_json::from_slice(&content).unwrap_or_default();
        let owners = owner.signer.key.verifying_key();
        if sign::is_signed(&value, crate::format::forgotten::FIRST_SIGNED, &owners) {
            store.delete(&object.key)?;
        }
    }
    Ok(())
}

/// Checks whether an index object is of format 1: lines of packs without a header.
fn is_first_index(owner: &Owner<'_>, key: &str) -> Result<bool> {
    let content = owner.store.get_at_most(key, layout::MOST_INDEX)?;
    Ok(crate::format::index::object::is_first(&content, &*owner.open))
}
