//! A round: honest operations in any order, mixed with the adversary's, and the conditions that must hold.

use std::sync::LazyLock;

use bytes::Bytes;
use cloudron_backup::{
    KeepOfRevoked, PrunePolicy, PruneReport, PruneRequest, RepairRequest, SnapshotFilter, VerifyDepth, codes,
};
use cloudron_core::BackupId;
use cloudron_testkit::forge::Forge;

use crate::adversary::{Adversary, Rights};
use crate::common::sim::{Rng, SimStore};
use crate::honest::{Backup, GRACE, World, init};

/// The statistics of all rounds.
#[derive(Debug, Default)]
pub struct Stats {
    pub rounds: u64,
    pub backups: u64,
    pub prunes: u64,
    pub deleted: u64,
    pub restored: u64,
    pub lost: u64,
    pub acts: u64,
    pub during: u64,
}

/// The writer whose keys are stolen.
const STOLEN: usize = 1;

/// Objects of another repository.
static ELSEWHERE: LazyLock<Vec<(String, Bytes)>> = LazyLock::new(|| {
    let sim = SimStore::since(1_740_000_000, 1, 0);
    let identity = init(&sim);
    let adversary = adversary(&sim, Rights::Add, Rng(1));
    let mut world = World::new("elsewhere".to_owned(), sim, identity, adversary);
    for writer in 0..2 {
        world.backup(writer, &mut Rng(writer as u64)).unwrap();
    }
    let _ = prune(&world, &request(1)).unwrap();
    world.sim.history()
});

fn adversary(sim: &SimStore, rights: Rights, rng: Rng) -> Adversary {
    Adversary {
        rights,
        rng,
        forge: Forge::keyless(&sim.get("cloudron-backup.json").unwrap()),
        elsewhere: Vec::new(),
        expected: Vec::new(),
        overwritten: Default::default(),
        put: Default::default(),
        done: Vec::new(),
        once_in: 0,
        during: 0,
    }
}

fn request(last: u32) -> PruneRequest {
    let mut request = PruneRequest::new(PrunePolicy { last: Some(last), ..PrunePolicy::default() });
    request.grace = GRACE;
    request.allow_removals = true;
    request
}

fn prune(world: &World, request: &PruneRequest) -> cloudron_backup::Result<PruneReport> {
    let (identity, request) = (world.identity.clone(), request.clone());
    world.run("prune", async |repository, progress, cancel| {
        repository.prune(&identity, &request, &progress, &cancel).await
    })
}

pub fn round(rights: Rights, seed: u64, stats: &mut Stats) {
    let mut rng = Rng(seed.wrapping_mul(7919) ^ rights as u64);
    let sim = SimStore::since(1_750_000_000, seed, 0);
    let identity = init(&sim);
    let mut adversary = adversary(&sim, rights, Rng(rng.below(u64::MAX)));
    adversary.elsewhere = ELSEWHERE.clone();
    let context = format!("{rights:?} with CLOUDRON_TEST_SEED={seed}");
    let mut round = Round { rights, world: World::new(context, sim, identity, adversary), stats, rng };
    if rights == Rights::AddWithKeys {
        let keys = serde_json::to_value(&round.world.writers[STOLEN].keys).unwrap();
        let mut adversary = round.world.adversary();
        adversary.forge = adversary.forge.clone().with_keys(&keys);
    }
    round.backup(0);
    round.backup(STOLEN);
    let steps = 5 + round.rng.below(6);
    for _ in 0..steps {
        for _ in 0..round.rng.below(8) {
            round.world.adversary().act(&round.world.sim);
        }
        let once_in = [0, 3, 12, 40][round.rng.below(4) as usize];
        round.world.adversary().once_in = once_in;
        round.step();
        round.world.adversary().once_in = 0;
    }
    round.rest();
}

struct Round<'s> {
    rights: Rights,
    world: World,
    stats: &'s mut Stats,
    rng: Rng,
}

impl Round<'_> {
    /// Returns true if every honest operation must succeed.
    fn must_succeed(&self) -> bool {
        self.rights != Rights::Overwrite
    }

    #[track_caller]
    fn succeeded<T>(&self, what: &str, result: cloudron_backup::Result<T>) -> Option<T> {
        match result {
            Ok(done) => Some(done),
            Err(e) if self.must_succeed() => self.world.fail(&format!("{what} failed: {e:?}")),
            Err(_) => None,
        }
    }

    /// Runs an operation of the owner. An old lock of the owner that was put back may block it until the lock expires.
    fn waited<T>(&self, run: impl Fn(&Self) -> cloudron_backup::Result<T>) -> cloudron_backup::Result<T> {
        match run(self) {
            Err(e) if e.is(&codes::PRUNE_BUSY) => {
                self.world.sim.pass(3600);
                run(self)
            }
            other => other,
        }
    }

    /// Checks whether a backup was made without the adversary.
    fn is_ours(&self, backup: &Backup) -> bool {
        self.rights != Rights::AddWithKeys || backup.writer != STOLEN
    }

    fn step(&mut self) {
        match self.rng.below(13) {
            0..4 => self.backup(0),
            // The keys of the other writer are stolen.
            4 if self.rights != Rights::AddWithKeys => self.backup(STOLEN),
            4..8 => {
                self.world.pass(&mut self.rng, 3);
                self.prune();
            }
            8 => self.repair(),
            9 => self.copy(),
            10 => self.change_key(),
            11 => {
                let full = self.rng.once_in(2);
                self.verify(if full { VerifyDepth::Full } else { VerifyDepth::Quick });
            }
            _ => self.read(),
        }
    }

    fn backup(&mut self, writer: usize) {
        let made = self.world.backup(writer, &mut self.rng);
        if self.succeeded("create", made).is_some() {
            self.stats.backups += 1;
        }
    }

    fn prune(&mut self) {
        let last = 1 + self.rng.below(3) as u32;
        let mut request = request(last);
        if self.rng.once_in(4) {
            request.grace = std::time::Duration::ZERO;
        }
        let pruned = self.waited(|round| prune(&round.world, &request));
        if let Some(report) = self.succeeded("prune", pruned) {
            self.judge(&report, last as usize);
        }
    }

    /// Checks the report of a prune that kept the last `last` backups of each machine.
    fn judge(&mut self, report: &PruneReport, last: usize) {
        self.stats.prunes += 1;
        self.stats.deleted += report.packs_deleted;
        for writer in 0..self.world.writers.len() {
            let alive = self.world.alive();
            let of_writer: Vec<_> = alive.iter().filter(|b| b.writer == writer && self.is_ours(b)).collect();
            for backup in of_writer.iter().rev().take(last) {
                let removed = report.removed.contains(&backup.id);
                self.world
                    .check(!removed, || format!("{} is among the last {last}, and was removed", backup.id));
            }
        }
        for id in &report.damaged {
            let ours = self.world.alive().iter().any(|b| b.id.as_str() == id.as_str());
            let fine = !ours || self.rights == Rights::Overwrite;
            self.world.check(fine, || format!("a prune says that {id} is damaged: {report:?}"));
        }
        let incomplete = !report.is_whole();
        self.world.check(!incomplete || report.packs_deleted == 0, || {
            format!("a prune deleted packs while content was missing: {report:?}")
        });
        self.world.check(!incomplete || self.rights != Rights::Add, || format!("{:?}", report.damaged));
        for backup in &mut self.world.backups {
            backup.removed |= report.removed.contains(&backup.id);
        }
        self.say(report);
    }

    /// Records the names in a report.
    fn say(&self, report: &impl serde::Serialize) {
        let text = serde_json::to_string(report).unwrap();
        self.world.said.lock().unwrap().push_str(&format!("{text}\n"));
    }

    fn repair(&mut self) {
        let identity = self.world.identity.clone();
        let repaired = self.waited(|round| {
            round.world.run("repair", async |repository, progress, cancel| {
                repository.repair(&identity, &RepairRequest::default(), &progress, &cancel).await
            })
        });
        if let Some(report) = self.succeeded("repair", repaired) {
            self.say(&report);
            for (id, why) in &report.damaged {
                let ours = self.world.alive().iter().any(|b| b.id.as_str() == id);
                let fine = !ours || self.rights == Rights::Overwrite;
                self.world.check(fine, || format!("a repair says that {id} is damaged: {why}"));
            }
        }
    }

    fn copy(&mut self) {
        let copied = self.world.copied(self.rng.below(u64::MAX));
        // A store with foreign objects is not used as a target, and the error says so.
        if matches!(&copied, Err(e) if e.is(&codes::REPOSITORY_LOST)) {
            return;
        }
        let Some(other) = self.succeeded("copy", copied) else { return };
        self.world.adversary().once_in = 0;
        for backup in self.world.alive() {
            let restored = self.world.restored_from(&other, &backup);
            let fine = restored.is_ok() || self.rights == Rights::Overwrite;
            self.world.check(fine, || format!("the copy of {} is not whole: {restored:?}", backup.id));
        }
    }

    fn change_key(&mut self) {
        let before = self.world.key.clone();
        let changed = self.world.change_key(&mut self.rng);
        self.succeeded("key change", changed);
        if self.world.unlock().is_err() {
            self.world.key = before;
        }
        let opened = self.world.unlock();
        self.succeeded("unlock", opened);
    }

    /// Checks the repository. Returns false if that failed with an error.
    fn verify(&mut self, depth: VerifyDepth) -> bool {
        let identity = self.world.identity.clone();
        let verified = self.world.run("verify", async |repository, progress, cancel| {
            repository.verify(depth, Some(&identity), &progress, &cancel).await
        });
        let Some(report) = self.succeeded("verify", verified) else { return false };
        self.say(&report);
        for backup in self.world.alive() {
            let named = report.damaged.iter().any(|id| id == backup.id.as_str());
            let fine = !named || self.rights == Rights::Overwrite;
            self.world.check(fine, || format!("verify says that {} is damaged: {report:?}", backup.id));
        }
        true
    }

    /// Lists the backups, takes the latest of a machine, and restores one.
    fn read(&mut self) {
        let listed = self.world.run("list", async |repository, _, _| repository.snapshots().await);
        if let Some(list) = self.succeeded("list", listed) {
            for backup in self.world.alive() {
                let there = list.summaries.iter().any(|s| s.id == backup.id);
                let fine = there || self.rights == Rights::Overwrite;
                self.world.check(fine, || format!("{} is not in the list", backup.id));
            }
            for (key, e) in &list.unreadable {
                self.world.said.lock().unwrap().push_str(&format!("{key}: {e}\n"));
            }
        }
        for writer in 0..self.world.writers.len() {
            let alive = self.world.alive();
            let newest = alive.iter().rfind(|b| b.writer == writer && self.is_ours(b));
            let Some(newest) = newest else { continue };
            let filter = SnapshotFilter::all().of_fqdn(self.world.writers[writer].name);
            let latest = self
                .world
                .run("latest", async |repository, _, _| repository.find_matching("latest", &filter).await);
            if let Some(latest) = self.succeeded("latest", latest) {
                let fine = latest.id == newest.id || self.rights == Rights::Overwrite;
                self.world.check(fine, || format!("the latest is {} instead of {}", latest.id, newest.id));
            }
        }
        let alive = self.world.alive();
        if let Some(backup) = alive.get(self.rng.below(alive.len().max(1) as u64) as usize) {
            let restored = self.world.restored(backup);
            let fine = restored.is_ok() || self.rights == Rights::Overwrite;
            self.world.check(fine, || format!("{} does not restore: {restored:?}", backup.id));
        }
    }

    /// Revokes the writer whose keys were stolen, and keeps the backups that it made itself.
    fn revoke(&self) {
        let identity = self.world.identity.clone();
        let name = self.world.writers[STOLEN].name;
        let honest = self.world.backups.iter().filter(|b| b.writer == STOLEN).map(|b| b.id.clone()).collect();
        let revoked = self.world.run("revoke", async |repository, progress, cancel| {
            repository.revoke_writer(&identity, name, KeepOfRevoked::These(honest), &progress, &cancel).await
        });
        self.succeeded("revoke", revoked);
    }

    /// Returns the listed backups that no honest machine made, which the owner removes.
    fn forged(&self) -> Vec<BackupId> {
        let listed = self.world.run("list", async |repository, _, _| repository.snapshots().await);
        let alive = self.world.alive();
        let listed = listed.unwrap_or_default().summaries.into_iter().map(|s| s.id);
        listed.filter(|id| alive.iter().all(|b| b.id != *id)).collect()
    }

    /// Ends the adversary's actions. After two more prunes, every backup must restore.
    fn rest(mut self) {
        let mut request = PruneRequest::default();
        if self.rights == Rights::AddWithKeys {
            self.revoke();
            request.remove = self.forged();
        }
        for _ in 0..2 {
            self.world.sim.pass(3 * 86400);
            let pruned = self.waited(|round| prune(&round.world, &request));
            request.remove.clear();
            if let Some(report) = self.succeeded("prune", pruned) {
                self.judge(&report, usize::MAX);
                let whole = report.is_whole() || self.rights == Rights::Overwrite;
                self.world.check(whole, || format!("a prune misses content: {report:?}"));
            }
        }
        self.read();
        let checked = self.verify(VerifyDepth::Full);
        let named = self.world.said.lock().unwrap().clone();
        let (mut lost, mut restored) = (Vec::new(), 0);
        for backup in self.world.alive() {
            match self.world.restored(&backup) {
                Ok(()) => restored += 1,
                Err(e) if self.must_succeed() => self.world.fail(&format!("{} is lost: {e}", backup.id)),
                Err(e) => lost.push((backup, e)),
            }
        }
        // Overwritten objects can be restored from earlier versions. No other content may be lost except what
        // was reported.
        let overwritten = std::mem::take(&mut self.world.adversary().overwritten);
        for (key, content) in overwritten {
            self.world.sim.write(&key, Some(content));
        }
        for (backup, before) in &lost {
            let said = !checked || named.contains(backup.id.as_str());
            self.world.check(said, || format!("{} was lost and nothing named it: {before}", backup.id));
            match self.world.restored(backup) {
                Ok(()) => restored += 1,
                Err(e) => {
                    let said = named.contains(backup.id.as_str());
                    self.world.check(said, || format!("{} is gone and nothing named it: {e}", backup.id));
                    self.stats.lost += 1;
                }
            }
        }
        let adversary = self.world.adversary();
        self.stats.rounds += 1;
        self.stats.restored += restored;
        self.stats.acts += adversary.done.len() as u64;
        self.stats.during += adversary.during;
    }
}
