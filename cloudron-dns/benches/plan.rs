//! How long planning and reading zone files take. `cargo bench -p cloudron-dns`

#![allow(missing_docs)]

use cloudron_dns::zone_file::{self, ReadOptions};
use cloudron_dns::{
    Intent, Name, Observed, Ownership, PlanOptions, RecordSet, RecordType, Snapshot, Ttl, Zone, plan,
};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

const SIZES: [usize; 2] = [100, 10_000];

fn main() {
    divan::main();
}

fn set(n: usize, address: &str) -> RecordSet {
    let name = Name::parse(&format!("host{n}.example.com")).unwrap();
    RecordSet::parse(name, Ttl::DEFAULT, RecordType::A, [address]).unwrap()
}

fn zone() -> Zone {
    Zone::new("1", Name::parse("example.com").unwrap())
}

fn snapshot(sets: usize, address: &str) -> Snapshot {
    Snapshot::new(zone(), (0..sets).map(|n| Observed::Plain(set(n, address))), true)
}

/// Wishes that are fulfilled.
#[divan::bench(args = SIZES)]
fn plan_without_a_change(bencher: Bencher<'_, '_>, sets: usize) {
    planned(bencher, sets, "192.0.2.1");
}

/// Wishes of which every one is a change.
#[divan::bench(args = SIZES)]
fn plan_that_changes_all(bencher: Bencher<'_, '_>, sets: usize) {
    planned(bencher, sets, "192.0.2.2");
}

fn planned(bencher: Bencher<'_, '_>, sets: usize, wished: &str) {
    let wishes: Vec<Intent> = (0..sets).map(|n| Intent::Exactly(set(n, wished))).collect();
    let current = snapshot(sets, "192.0.2.1");
    let ours = Ownership::none();
    bencher
        .counter(ItemsCount::new(sets))
        .bench(|| plan(black_box(&wishes), &current, &ours, &PlanOptions::default()));
}

/// A zone file of one line for each set.
#[divan::bench(args = SIZES)]
fn read_a_zone_file(bencher: Bencher<'_, '_>, sets: usize) {
    let text: String = (0..sets).map(|n| format!("host{n}.example.com. 300 IN A 192.0.2.1\n")).collect();
    let options = ReadOptions::new(Name::parse("example.com").unwrap());
    bencher
        .counter(ItemsCount::new(sets))
        .bench(|| zone_file::read(black_box(text.as_bytes()), &options).unwrap());
}
