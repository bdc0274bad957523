//! Plans: what they do, and what they never do.

#![allow(missing_docs, clippy::cloned_ref_to_slice_refs)]

use cloudron_dns::memory::MemoryProvider;
use cloudron_dns::{
    Adopt, ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Intent, Name, Observed,
    Ownership, Plan, PlanOptions, Reason, Receipt, RecordKey, RecordSet, RecordType, Scope, Snapshot,
    SyncStatus, Ttl, Zone, apply, codes, names_to_read, plan, plan_for,
};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn set(owner: &str, rtype: RecordType, values: &[&str]) -> RecordSet {
    RecordSet::parse(name(owner), Ttl::DEFAULT, rtype, values.iter().copied()).unwrap()
}

fn zone() -> Zone {
    Zone::new("z", name("example.com"))
}

fn holding(sets: &[RecordSet]) -> Snapshot {
    Snapshot::new(zone(), sets.iter().cloned().map(Observed::Plain), true)
}

fn owning(sets: &[RecordSet]) -> Ownership {
    Ownership::from(sets.to_vec())
}

fn planned(desired: &[Intent], current: &[RecordSet], ours: &[RecordSet]) -> Plan {
    plan(desired, &holding(current), &owning(ours), &PlanOptions::default())
}

fn adopting(desired: &[Intent], current: &[RecordSet]) -> Plan {
    let options = PlanOptions::default().adopt(Adopt::All);
    plan(desired, &holding(current), &Ownership::none(), &options)
}

const A: RecordType = RecordType::A;
const TXT: RecordType = RecordType::TXT;

#[test]
fn what_is_right_already_is_left_alone_whoever_made_it() {
    let my = set("my.example.com", A, &["192.0.2.1"]);
    let plan = planned(&[Intent::Exactly(my.clone())], &[my.clone()], &[]);
    assert!(plan.is_empty());
    assert_eq!(plan.to_string(), "= 1 record set is right already\n");
    // It did not become ours by being right, and another TTL of somebody else's set is not ours to change.
    assert_eq!(plan.ownership, Ownership::none());
    let slower = my.clone().with_ttl(Ttl::MAX);
    assert!(planned(&[Intent::Exactly(my)], &[slower], &[]).is_empty());
}

#[test]
fn our_own_values_are_replaced_in_one_step() {
    let old = set("my.example.com", A, &["192.0.2.1"]);
    let new = set("my.example.com", A, &["192.0.2.2"]);
    let plan = planned(&[Intent::Exactly(new.clone())], &[old.clone()], &[old.clone()]);
    assert_eq!(plan.changes, [Change::Replace { old: old.clone(), new: new.clone() }]);
    assert_eq!(plan.ownership, owning(&[new.clone()]));
    assert_eq!(
        plan.to_string(),
        "- my.example.com. 300 IN A 192.0.2.1\n+ my.example.com. 300 IN A 192.0.2.2\n"
    );
    // A new TTL alone is a change too, when the set is ours.
    let faster = old.clone().with_ttl(Ttl::MIN);
    let plan = planned(&[Intent::Exactly(faster.clone())], &[old.clone()], &[old.clone()]);
    assert_eq!(plan.changes, [Change::Replace { old, new: faster }]);
}

#[test]
fn somebody_elses_values_are_a_conflict_that_shows_both_sides_until_adopted() {
    let theirs = set("example.com", RecordType::MX, &["1 aspmx.example.net"]);
    let wanted = set("example.com", RecordType::MX, &["10 my.example.com"]);
    let plan = planned(&[Intent::Exactly(wanted.clone())], &[theirs.clone()], &[]);
    assert!(plan.changes.is_empty());
    let error = plan.check().unwrap_err();
    assert!(error.is(&codes::CONFLICT) && error.detail("adoptable").is_some());
    for side in ["1 aspmx.example.net.", "10 my.example.com."] {
        assert!(error.message().contains(side), "{error}");
    }
    let plan = adopting(&[Intent::Exactly(wanted.clone())], &[theirs.clone()]);
    assert_eq!(plan.changes, [Change::Replace { old: theirs, new: wanted.clone() }]);
    assert_eq!(plan.ownership, owning(&[wanted]));
}

#[test]
fn our_value_beside_somebody_elses_comes_and_goes_alone() {
    let theirs = set("example.com", TXT, &["theirs"]).with_ttl(Ttl::MAX);
    let ours = set("example.com", TXT, &["ours"]);
    let both = set("example.com", TXT, &["ours", "theirs"]).with_ttl(Ttl::MAX);
    let plan = planned(&[Intent::Include(ours.clone())], &[theirs.clone()], &[]);
    assert_eq!(plan.changes, [Change::Replace { old: theirs.clone(), new: both.clone() }]);
    assert!(plan.ownership.owns_all(&ours) && !plan.ownership.owns_all(&theirs));

    let gone = planned(&[Intent::Exclude(ours.clone())], &[both.clone()], &[ours.clone()]);
    assert_eq!(gone.changes, [Change::Replace { old: both.clone(), new: theirs }]);
    assert_eq!(gone.ownership, Ownership::none());
    // Their value is not ours to take out.
    assert_eq!(planned(&[Intent::Exclude(ours)], &[both], &[]).conflicts[0].reason, Reason::Foreign);
}

#[test]
fn an_spf_record_is_merged_whoever_made_it_and_other_texts_stay() {
    let theirs = set("example.com", TXT, &["v=spf1 include:_spf.example.net -all", "verification=1"]);
    let spf = Intent::Spf {
        name: name("example.com"),
        ttl: Ttl::DEFAULT,
        mechanisms: vec!["a:my.example.com".into()],
    };
    let plan = planned(std::slice::from_ref(&spf), &[theirs.clone()], &[]);
    let merged =
        set("example.com", TXT, &["v=spf1 include:_spf.example.net a:my.example.com -all", "verification=1"]);
    assert_eq!(plan.changes, [Change::Replace { old: theirs.clone(), new: merged.clone() }]);
    // What holds their terms does not become ours, so that pruning never deletes it.
    assert_eq!(plan.ownership, Ownership::none());
    let rest = Intent::SpfWithout { name: name("example.com"), mechanisms: vec!["a:my.example.com".into()] };
    assert_eq!(
        planned(&[rest], &[merged.clone()], &[]).changes,
        [Change::Replace { old: merged, new: theirs }]
    );
    let two = set("example.com", TXT, &["v=spf1 -all", "v=spf1 mx -all"]);
    assert!(planned(&[spf], &[two], &[]).check().unwrap_err().is(&codes::SPF));
}

#[test]
fn a_default_makes_way_for_what_is_there() {
    let theirs = set("_dmarc.example.com", TXT, &["v=DMARC1; p=reject"]);
    let ours = set("_dmarc.example.com", TXT, &["v=DMARC1; p=none"]);
    assert!(planned(&[Intent::Default(ours.clone())], &[theirs], &[]).is_empty());
    assert_eq!(planned(&[Intent::Default(ours.clone())], &[], &[]).changes, [Change::Create(ours.clone())]);
    let newer = set("_dmarc.example.com", TXT, &["v=DMARC1; p=none; rua=mailto:a@example.com"]);
    assert_eq!(planned(&[Intent::Default(newer)], &[ours.clone()], &[ours]).changes.len(), 1);
}

#[test]
fn a_cname_never_ends_up_beside_another_record() {
    let cname = set("my.example.com", RecordType::CNAME, &["x.example.net"]);
    let address = set("my.example.com", A, &["192.0.2.1"]);
    for (there, wanted) in [(&cname, &address), (&address, &cname)] {
        let refused = planned(&[Intent::Exactly(wanted.clone())], std::slice::from_ref(there), &[]);
        assert!(refused.changes.is_empty());
        assert_eq!(refused.conflicts[0].reason, Reason::CnameAndOther);
        assert_eq!(refused.conflicts[0].existing, [Observed::Plain(there.clone())]);
        // Adopted, the old one goes before the new one comes.
        let taken = adopting(&[Intent::Exactly(wanted.clone())], std::slice::from_ref(there));
        assert_eq!(taken.changes, [Change::Delete(there.clone()), Change::Create(wanted.clone())]);
        assert!(taken.gaps.is_empty());
    }
    let both = [Intent::Exactly(cname.clone()), Intent::Exactly(address.clone())];
    assert_eq!(planned(&both, &[], &[]).conflicts[0].reason, Reason::Contradiction);
    // One record at a time, there is a moment without an answer, and the plan says so.
    let options = PlanOptions::with_capabilities(Capabilities::new(Atomicity::Record)).adopt(Adopt::All);
    let plan = plan(&[Intent::Exactly(address)], &holding(&[cname]), &Ownership::none(), &options);
    assert_eq!(plan.gaps, [RecordKey::new(name("my.example.com"), RecordType::CNAME)]);
}

#[test]
fn what_must_never_be_written_is_refused_even_when_adopted() {
    let sub = set("sub.example.com", RecordType::NS, &["ns.example.net"]);
    let apex_ns = set("example.com", RecordType::NS, &["ns.example.net"]);
    for (wanted, reason) in [
        (set("example.com", RecordType::NS, &["ns.other.example"]), Reason::Protected),
        (set("example.com", RecordType::SOA, &[r"\# 1 00"]), Reason::Protected),
        (set("example.com", RecordType::CNAME, &["x.example.net"]), Reason::Protected),
        (set("my.notexample.com", A, &["192.0.2.1"]), Reason::NotInZone),
        (set("my.sub.example.com", A, &["192.0.2.1"]), Reason::Delegated(name("sub.example.com"))),
    ] {
        let plan = adopting(&[Intent::Exactly(wanted.clone())], &[sub.clone(), apex_ns.clone()]);
        assert!(plan.changes.is_empty(), "{wanted}");
        assert_eq!(plan.conflicts[0].reason, reason, "{wanted}");
    }
    assert!(adopting(&[Intent::Absent(apex_ns.key().clone())], &[apex_ns]).changes.is_empty());
}

#[test]
fn an_alias_and_routed_sets_are_never_written_over() {
    let my = set("my.example.com", A, &["192.0.2.1"]);
    let alias = Observed::Opaque { key: my.key().clone(), what: "alias to x.cloudfront.net".into() };
    let weighted = Observed::Plain(my.clone().with_variant("weight-1"));
    let options = PlanOptions::default().adopt(Adopt::All);
    let wanted = [Intent::Exactly(set("my.example.com", A, &["192.0.2.2"]))];
    let refused = plan(&wanted, &Snapshot::new(zone(), [alias], true), &Ownership::none(), &options);
    assert_eq!((refused.conflicts[0].reason.clone(), refused.changes.len()), (Reason::Opaque, 0));
    assert!(refused.to_string().contains("alias to x.cloudfront.net"));
    let refused = plan(&wanted, &Snapshot::new(zone(), [weighted], true), &Ownership::none(), &options);
    assert_eq!((refused.conflicts[0].reason.clone(), refused.changes.len()), (Reason::Opaque, 0));
}

#[test]
fn pruning_deletes_what_is_ours_and_no_longer_wanted_and_nothing_else() {
    let old = set("old.example.com", A, &["192.0.2.1"]);
    let shared = set("example.com", TXT, &["ours", "theirs"]);
    let theirs = set("www.example.com", A, &["192.0.2.9"]);
    let ours = owning(&[old.clone(), set("example.com", TXT, &["ours"])]);
    let current = holding(&[old.clone(), shared.clone(), theirs]);
    assert!(plan(&[], &current, &ours, &PlanOptions::default()).is_empty());
    let options = PlanOptions::default().prune(true);
    let plan = plan(&[], &current, &ours, &options);
    let left = set("example.com", TXT, &["theirs"]);
    assert_eq!(plan.changes, [Change::Replace { old: shared, new: left }, Change::Delete(old)]);
    assert_eq!(plan.ownership, Ownership::none());
}

#[test]
fn a_large_share_of_a_zone_is_deleted_only_when_asked_for() {
    let sets: Vec<_> = (0..10).map(|n| set(&format!("n{n}.example.com"), A, &["192.0.2.1"])).collect();
    let options = PlanOptions::default().prune(true);
    let refused = plan(&[], &holding(&sets), &owning(&sets), &options);
    assert!(refused.check().unwrap_err().message().contains("10 of 10 record sets would be deleted"));
    let options = options.allow_mass_deletion(true);
    assert_eq!(plan(&[], &holding(&sets), &owning(&sets), &options).changes.len(), 10);
}

#[test]
fn what_the_provider_cannot_do_is_adjusted_or_refused_before_anything_is_written() {
    let mut capabilities = Capabilities::new(Atomicity::Record);
    capabilities.min_ttl = Ttl::new(600).unwrap();
    capabilities.max_txt = 10;
    capabilities.types = Some(vec![A, TXT]);
    let options = PlanOptions::with_capabilities(capabilities);
    let desired = [
        set("my.example.com", A, &["192.0.2.1"]),
        set("a.example.com", TXT, &["more than ten bytes"]),
        set("b.example.com", RecordType::CAA, &["0 issue \"x\""]),
    ];
    let plan = plan(&desired.map(Intent::Exactly), &holding(&[]), &Ownership::none(), &options);
    assert_eq!(plan.changes[0].after().unwrap().ttl().seconds(), 600);
    assert_eq!(plan.adjusted[0].what, "the TTL is 600 instead of 300");
    assert!(plan.conflicts.iter().all(|c| matches!(c.reason, Reason::Unsupported(_))), "{plan}");
    assert_eq!(plan.conflicts.len(), 2);
}

#[test]
fn wishes_that_exclude_each_other_are_refused_and_repeated_ones_are_not() {
    let my = set("my.example.com", A, &["192.0.2.1"]);
    let other = set("my.example.com", A, &["192.0.2.2"]);
    let twice = [Intent::Exactly(my.clone()), Intent::Exactly(my.clone())];
    assert_eq!(planned(&twice, &[], &[]).changes.len(), 1);
    for second in [Intent::Exactly(other.clone()), Intent::Include(other), Intent::Absent(my.key().clone())] {
        let plan = planned(&[Intent::Exactly(my.clone()), second], &[], &[]);
        assert_eq!(plan.conflicts[0].reason, Reason::Contradiction);
        assert!(plan.changes.is_empty());
    }
}

#[test]
fn a_plan_is_json_and_survives_it() {
    let old = set("my.example.com", A, &["192.0.2.1"]);
    let new = set("my.example.com", A, &["192.0.2.2"]);
    let foreign = set("example.com", TXT, &["x"]);
    let desired = [Intent::Exactly(new), Intent::Exactly(set("example.com", TXT, &["y"]))];
    let plan = planned(&desired, &[old.clone(), foreign], &[old]);
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}

#[tokio::test]
async fn a_plan_whose_zone_changed_since_writes_nothing() {
    let provider = MemoryProvider::new().with_zone(zone(), []);
    let wanted =
        [set("my.example.com", A, &["192.0.2.1"]), set("example.com", TXT, &["x"])].map(Intent::Exactly);
    let (none, options) = (Ownership::none(), PlanOptions::default());
    let (plan, basis) = plan_for(&provider, &zone(), &wanted, &none, &options).await.unwrap();
    provider.put("z", Observed::Plain(set("my.example.com", A, &["192.0.2.9"])));
    for basis in [Some(&basis), None] {
        let failure = apply(&provider, &plan, basis, &Default::default()).await.unwrap_err();
        assert!(failure.error.is(&codes::STALE), "{:?}", failure.error);
    }
    let all = provider.read(&zone(), Scope::Zone).await.unwrap();
    assert_eq!(all.sets.len(), 1);
    assert_eq!(provider.batches_written(), 0);
}

#[tokio::test]
async fn a_plan_with_conflicts_writes_nothing() {
    let theirs = set("my.example.com", A, &["192.0.2.9"]);
    let provider = MemoryProvider::new().with_zone(zone(), [Observed::Plain(theirs)]);
    let wanted =
        [set("my.example.com", A, &["192.0.2.1"]), set("example.com", TXT, &["x"])].map(Intent::Exactly);
    let (plan, basis) =
        plan_for(&provider, &zone(), &wanted, &Ownership::none(), &PlanOptions::default()).await.unwrap();
    assert_eq!(plan.changes.len(), 1);
    assert!(apply(&provider, &plan, Some(&basis), &Default::default()).await.is_err());
    assert_eq!(provider.batches_written(), 0);
}

#[test]
fn the_names_that_are_read_include_those_that_could_be_delegated_away() {
    let wanted = [Intent::Exactly(set("a.b.example.com", A, &["192.0.2.1"]))];
    let names = names_to_read(&zone(), &wanted, &Ownership::none(), &PlanOptions::default());
    assert_eq!(names, ["example.com", "b.example.com", "a.b.example.com"].map(name));
}

#[test]
fn a_large_zone_is_planned_in_no_time() {
    let old: Vec<_> = (0..10_000).map(|n| set(&format!("n{n}.example.com"), A, &["192.0.2.1"])).collect();
    let new = old.iter().map(|s| set(s.name().without_dot(), A, &["192.0.2.2"])).map(Intent::Exactly);
    let (new, current, ours): (Vec<_>, _, _) = (new.collect(), holding(&old), owning(&old));
    let start = cpu_time();
    let plan = plan(&new, &current, &ours, &PlanOptions::default());
    assert_eq!(plan.changes.len(), 10_000);
    // Ten times what an unoptimised build needs; anything quadratic takes minutes.
    let taken = cpu_time() - start;
    assert!(taken < std::time::Duration::from_secs(10), "{taken:?}");
}

/// A host that accepts every change and omits some.
struct Dropping {
    inner: MemoryProvider,
    dropped: fn(&Change) -> bool,
}

#[async_trait::async_trait]
impl DnsProvider for Dropping {
    fn id(&self) -> &str {
        "dropping"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        capabilities.may_drop = true;
        capabilities
    }

    async fn list_zones(&self, near: Option<&Name>) -> cloudron_dns::Result<Vec<Zone>> {
        self.inner.list_zones(near).await
    }

    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> cloudron_dns::Result<Snapshot> {
        self.inner.read(zone, scope).await
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let kept: Vec<Change> = batch.changes.iter().filter(|c| !(self.dropped)(c)).cloned().collect();
        self.inner.apply(Batch::new(batch.zone, &kept)).await?;
        Ok(Receipt::new(batch.changes.iter().map(|change| change.key().clone())))
    }

    async fn sync_status(&self, receipt: &Receipt) -> cloudron_dns::Result<SyncStatus> {
        self.inner.sync_status(receipt).await
    }
}

#[tokio::test]
async fn what_a_host_drops_without_a_word_is_an_error_that_names_it() {
    let old = [set("a.example.com", A, &["192.0.2.1"]), set("b.example.com", A, &["192.0.2.1"])];
    let a = |value: &str| Intent::Exactly(set("a.example.com", A, &[value]));
    let slow = set("a.example.com", A, &["192.0.2.1"]).with_ttl(Ttl::new(60).unwrap());
    for (wish, dropped, says) in [
        (
            a("192.0.2.2"),
            (|c: &Change| c.before().is_some()) as fn(&Change) -> bool,
            "a.example.com. A: there is",
        ),
        (Intent::Exactly(slow), |c| c.before().is_some(), "a.example.com. 300 IN A"),
        (Intent::Absent(old[0].key().clone()), |c| c.after().is_none(), "192.0.2.1"),
        (
            Intent::Exactly(set("new.example.com", TXT, &["x"])),
            |c| c.before().is_none(),
            "new.example.com. TXT is not there",
        ),
    ] {
        let inner = MemoryProvider::new().with_zone(zone(), old.iter().cloned().map(Observed::Plain));
        let provider = Dropping { inner, dropped };
        let second = Intent::Exactly(set("b.example.com", A, &["192.0.2.1", "192.0.2.2"]));
        let (ours, options) = (owning(&old), PlanOptions::default());
        let (plan, basis) = plan_for(&provider, &zone(), &[wish, second], &ours, &options).await.unwrap();
        let failure = apply(&provider, &plan, Some(&basis), &Default::default()).await.unwrap_err();
        assert!(failure.error.is(&codes::DROPPED), "{:?}", failure.error);
        assert!(failure.error.message().contains(says), "{says}: {}", failure.error);
        let error = cloudron_dns::Error::from(failure);
        assert_eq!(error.code().kind.exit_code(), 9, "{error}");
    }
}

#[tokio::test]
async fn the_short_form_knows_how_large_the_zone_is() {
    let sets: Vec<_> = (0..40).map(|n| set(&format!("n{n}.example.com"), A, &["192.0.2.1"])).collect();
    let provider = MemoryProvider::new().with_zone(zone(), sets.iter().cloned().map(Observed::Plain));
    let gone =
        |number: usize| sets[..number].iter().map(|s| Intent::Absent(s.key().clone())).collect::<Vec<_>>();
    let (ours, options) = (owning(&sets), PlanOptions::default());
    for (number, refused) in [(3, false), (12, false), (13, true), (40, true)] {
        let (plan, _) = plan_for(&provider, &zone(), &gone(number), &ours, &options).await.unwrap();
        assert_eq!(plan.check().is_err(), refused, "{number} of 40\n{plan}");
    }
    // Of a zone that cannot be read as a whole, the share of what was read counts.
    let mut capabilities = Capabilities::new(Atomicity::Batch);
    capabilities.listing = false;
    let provider = MemoryProvider::new()
        .with_zone(zone(), sets.iter().cloned().map(Observed::Plain))
        .with_capabilities(capabilities);
    let (plan, _) = plan_for(&provider, &zone(), &gone(12), &ours, &options).await.unwrap();
    assert!(plan.check().unwrap_err().message().contains("12 of 12 record sets that were read"), "{plan}");
    let free = options.allow_mass_deletion(true);
    let (plan, _) = plan_for(&provider, &zone(), &gone(12), &ours, &free).await.unwrap();
    assert!(plan.check().is_ok());
}

/// Returns the CPU time of this thread, which is independent of the load of the machine.
fn cpu_time() -> std::time::Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    std::time::Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
fn many_cnames_and_delegations_are_planned_in_no_time() {
    for (rtype, value) in [(RecordType::CNAME, "a.example.net"), (RecordType::NS, "ns1.example.net")] {
        let sets = (0..20_000).map(|n| set(&format!("n{n}.example.com"), rtype, &[value]));
        let wishes: Vec<Intent> = sets.map(Intent::Exactly).collect();
        let start = cpu_time();
        let plan = plan(&wishes, &holding(&[]), &Ownership::none(), &PlanOptions::default());
        assert_eq!(plan.changes.len(), 20_000);
        // Several times what an unoptimised build needs; what was quadratic took minutes.
        let taken = cpu_time() - start;
        assert!(taken < std::time::Duration::from_secs(20), "{taken:?}");
    }
}
