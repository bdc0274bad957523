//! Eight concurrent writers of one zone: no value of any writer is lost, in any round.
//!
//! `CLOUDRON_TEST_ROUNDS` sets the number of rounds.

#![allow(missing_docs, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::task::{Context, Waker};
use std::time::Instant;

use async_trait::async_trait;
use cloudron_core::Progress;
use cloudron_dns::memory::MemoryProvider;
use cloudron_dns::serialized::SerializedWrites;
use cloudron_dns::{
    ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Intent, Name, Observed, Ownership,
    PlanOptions, Receipt, RecordData, RecordKey, RecordSet, RecordType, Result, Scope, Snapshot, SyncStatus,
    Ttl, Zone, apply, codes,
};

const WRITERS: usize = 8;

fn rounds(default: usize) -> usize {
    std::env::var("CLOUDRON_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn zone() -> Zone {
    Zone::new("z", Name::parse("example.com").unwrap())
}

fn text(text: &str) -> RecordSet {
    RecordSet::new(zone().apex, Ttl::DEFAULT, [RecordData::txt(text)]).unwrap()
}

/// Creates a zone with texts of another owner, one of them an SPF record.
fn memory() -> MemoryProvider {
    let theirs = ["v=spf1 include:_spf.example.net -all", "theirs"].map(RecordData::txt);
    let theirs = RecordSet::new(zone().apex, Ttl::DEFAULT, theirs).unwrap();
    MemoryProvider::new().with_zone(zone(), [Observed::Plain(theirs)])
}

/// Lets others write between reading and writing, and may lose the response to the first write.
struct Slow<P>(P, AtomicBool);

fn slow<P>(provider: P) -> Slow<P> {
    Slow(provider, AtomicBool::new(false))
}

#[async_trait]
impl<P: DnsProvider> DnsProvider for Slow<P> {
    fn id(&self) -> &str {
        self.0.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>> {
        self.0.list_zones(near).await
    }

    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot> {
        let read = self.0.read(zone, scope).await;
        std::thread::yield_now();
        read
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        std::thread::yield_now();
        if self.1.swap(false, Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.0.apply(batch).await
    }

    async fn sync_status(&self, receipt: &Receipt) -> Result<SyncStatus> {
        self.0.sync_status(receipt).await
    }
}

/// A provider without preconditions.
struct Unchecked(MemoryProvider);

#[async_trait]
impl DnsProvider for Unchecked {
    fn id(&self) -> &str {
        "unchecked"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Atomicity::Batch)
    }

    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>> {
        self.0.list_zones(near).await
    }

    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot> {
        self.0.read(zone, scope).await
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        for change in batch.changes {
            if let Some(new) = change.after() {
                self.0.put(&batch.zone.id, Observed::Plain(new.clone()));
            } else if let Some(old) = self.read(batch.zone, Scope::Zone).await?.get(change.key()) {
                self.0.apply(Batch::new(batch.zone, &[Change::Delete(old.clone())])).await?;
            }
        }
        Ok(Receipt::new(batch.changes.iter().map(|c| c.key().clone())))
    }

    async fn sync_status(&self, _receipt: &Receipt) -> Result<SyncStatus> {
        Ok(SyncStatus::NotReported)
    }
}

/// Returns the intents of one writer in a round: its new text added, its last one removed, and its SPF mechanism added
/// or removed.
fn wishes(writer: usize, round: usize) -> Vec<Intent> {
    let (name, mechanisms) = (zone().apex, vec![format!("ip4:192.0.2.{writer}")]);
    let spf = match round % 2 {
        0 => Intent::Spf { name, ttl: Ttl::DEFAULT, mechanisms },
        _ => Intent::SpfWithout { name, mechanisms },
    };
    let mut wishes = vec![Intent::Include(text(&format!("writer {writer} round {round}"))), spf];
    if round > 0 {
        wishes.push(Intent::Exclude(text(&format!("writer {writer} round {}", round - 1))));
    }
    wishes
}

/// Checks that the zone has exactly the values of all writers in a round, and the initial ones.
fn check(snapshot: &Snapshot, round: usize) -> std::result::Result<(), String> {
    let set = snapshot.get(&RecordKey::new(zone().apex, RecordType::TXT)).ok_or("all texts are gone")?;
    let found: BTreeSet<String> = set.values().iter().map(ToString::to_string).collect();
    let mechanisms: Vec<String> = found.iter().filter(|t| t.contains("v=spf1")).cloned().collect();
    let [spf] = &mechanisms[..] else { return Err(format!("round {round}: {mechanisms:?}")) };
    let mut wanted = BTreeSet::from(["\"theirs\"".to_owned(), spf.clone()]);
    for writer in 0..WRITERS {
        wanted.insert(format!("\"writer {writer} round {round}\""));
        let there = spf.contains(&format!(" ip4:192.0.2.{writer} "));
        if there != round.is_multiple_of(2) {
            return Err(format!("round {round}: writer {writer} in {spf}"));
        }
    }
    let kept = spf.contains("include:_spf.example.net") && spf.ends_with("-all\"");
    if found == wanted && kept { Ok(()) } else { Err(format!("round {round}: {found:?}")) }
}

/// Runs all writers in all rounds, and returns the number of repeated plans, or the first lost value.
fn race(provider: &dyn DnsProvider, rounds: usize) -> std::result::Result<usize, String> {
    let (barrier, again) = (Barrier::new(WRITERS), AtomicUsize::new(0));
    let lost = Mutex::new(None);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (barrier, again, lost) = (&barrier, &again, &lost);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let (zone, progress) = (zone(), Progress::none());
                let mut ours = Ownership::none();
                for round in 0..rounds {
                    let wishes = wishes(writer, round);
                    let options = PlanOptions::default();
                    let done = apply::ensure(provider, &zone, &wishes, &mut ours, &options, &progress);
                    match runtime.block_on(done) {
                        Ok(done) => drop(again.fetch_add(done.tries - 1, Ordering::Relaxed)),
                        Err(failure) => *lost.lock().unwrap() = Some(format!("{:?}", failure.error)),
                    }
                    if barrier.wait().is_leader() {
                        let all = runtime.block_on(provider.read(&zone, Scope::Zone)).unwrap();
                        if let Err(what) = check(&all, round) {
                            lost.lock().unwrap().get_or_insert(what);
                        }
                    }
                    barrier.wait();
                    if lost.lock().unwrap().is_some() {
                        return;
                    }
                }
            });
        }
    });
    match lost.into_inner().unwrap() {
        Some(what) => Err(what),
        None => Ok(again.into_inner()),
    }
}

#[test]
fn eight_writers_of_one_set_lose_nothing() {
    let rounds = rounds(1000);
    let (provider, start) = (slow(memory()), Instant::now());
    let again = race(&provider, rounds).unwrap();
    println!("{rounds} rounds of {WRITERS} writers in {:?}, {again} plans made again", start.elapsed());
    assert!(rounds < 50 || again > 0, "nobody was ever in the way of another");
}

#[test]
fn eight_writers_who_take_turns_lose_nothing_without_preconditions() {
    let rounds = rounds(100);
    let (provider, start) = (SerializedWrites::new(slow(Unchecked(memory()))), Instant::now());
    let again = race(&provider, rounds).unwrap();
    println!("{rounds} rounds of {WRITERS} writers in {:?}, {again} plans made again", start.elapsed());
    assert!(rounds < 50 || again > 0, "nobody was ever in the way of another");
}

#[test]
fn without_preconditions_and_turns_something_is_lost_so_that_the_race_is_one() {
    assert!(race(&slow(Unchecked(memory())), 1000).is_err());
}

#[test]
fn a_writer_that_is_given_up_lets_the_others_have_their_turn() {
    let provider = SerializedWrites::new(Slow(Unchecked(memory()), AtomicBool::new(true)));
    let (zone, name) = (zone(), zone().apex.below("my").unwrap());
    let set = RecordSet::parse(name, Ttl::DEFAULT, RecordType::A, ["192.0.2.1"]).unwrap();
    let changes = [Change::Create(set)];
    let mut given_up = provider.apply(Batch::new(&zone, &changes));
    let mut waits = provider.apply(Batch::new(&zone, &changes));
    let mut context = Context::from_waker(Waker::noop());
    assert!(given_up.as_mut().poll(&mut context).is_pending());
    assert!(waits.as_mut().poll(&mut context).is_pending());
    drop(given_up);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(waits).unwrap();
    let error = runtime.block_on(provider.apply(Batch::new(&zone, &changes))).unwrap_err().error;
    assert!(error.is(&codes::STALE), "{error:?}");
}
