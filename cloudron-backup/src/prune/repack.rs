//! Rewrites packs of which little is needed.

use std::collections::HashSet;

use cloudron_core::{Result, Unit, codes};

use super::known::Known;
use super::plan::Plan;
use super::report::PruneReport;
use super::rewrite::{Rewriter, Rewritten, is_unreadable};
use super::state::State;
use crate::chunk::ChunkId;
use crate::snapshot::Owner;

/// Copies the needed chunks of the packs that the plan rewrites, as far as the store has space. The plan then
/// condemns the packs whose chunks are all in new packs, and keeps the others.
pub(super) fn repack(
    owner: &Owner<'_>,
    state: &State,
    known: &Known,
    plan: &mut Plan,
    report: &mut PruneReport,
) -> Result<Rewritten> {
    let rewrites = std::mem::take(&mut plan.rewrite);
    let total = rewrites.iter().map(|r| r.entry.size).sum();
    let task = owner.progress.task("Repacking", Unit::Bytes, Some(total));
    let mut rewriter = Rewriter::new(owner);
    let mut copy_all = || {
        for rewrite in &rewrites {
            match rewriter.copy(&rewrite.entry.pack, &rewrite.chunks) {
                Err(e) if is_unreadable(&e) => owner.progress.warn(format!("a pack stays as it is: {e}")),
                other => other?,
            }
            task.advance(rewrite.entry.size);
        }
        rewriter.close()
    };
    match copy_all() {
        Err(e) if e.is(&codes::NO_SPACE) => report.no_space = Some(e.to_string()),
        other => other?,
    }
    task.finish();
    let written = rewriter.written();
    let moved: HashSet<ChunkId> = written.lines.iter().flat_map(|l| &l.chunks).map(|c| c.id).collect();
    for rewrite in rewrites {
        if rewrite.chunks.is_subset(&moved) {
            report.packs_repacked += 1;
            plan.dead.push(rewrite.entry);
        } else {
            plan.keep(state, known, &rewrite.entry.pack);
        }
    }
    Ok(written)
}
