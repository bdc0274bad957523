//! Route 53, against a strict model of it and against moto.

#![allow(missing_docs)]

mod kit;
mod model;

use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Cancel, Progress, RetryPolicy, Secret};
use cloudron_dns::conformance::{Fixture, Place, run};
use cloudron_dns::route53::{Route53Options, Route53Provider, SyncWait};
use cloudron_dns::{
    Applied, Batch, Change, DnsProvider, Intent, Name, Observed, Ownership, PlanOptions, RecordData,
    RecordSet, RecordType, Result, Scope, Ttl, Visibility, Zone, apply, codes, find_zone, plan_for,
};
use cloudron_testkit::moto::Moto;
use model::{Fault, HostedZone, Model};

fn options(endpoint: &str) -> Route53Options {
    let mut options = Route53Options::default();
    options.endpoint = Some(endpoint.to_owned());
    options.access_key_id = Some("id".to_owned());
    options.secret_access_key = Some(Secret::new("secret"));
    options.retry = RetryPolicy::attempts(4).waits(Duration::from_millis(1), Duration::from_millis(5));
    options
}

fn provider(model: &Model) -> Route53Provider {
    Route53Provider::new(options(&model.endpoint)).unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn set(owner: &str, rtype: RecordType, values: &[&str]) -> RecordSet {
    RecordSet::parse(name(owner), Ttl::DEFAULT, rtype, values.iter().copied()).unwrap()
}

fn model() -> (Model, Zone) {
    let model = Model::start(vec![HostedZone::new("Z1", "example.com.")]);
    (model, Zone::new("Z1", name("example.com")))
}

struct OnMoto(Moto);

#[async_trait]
impl Fixture for OnMoto {
    async fn fresh(&self) -> Result<Place> {
        let body = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>example.com.</Name>\
             <CallerReference>{}</CallerReference></CreateHostedZoneRequest>",
            cloudron_core::random::token(12)
        );
        self.0.request("route53", "POST", "/moto-api/reset", &[], "");
        let answer = self.0.request("route53", "POST", "/2013-04-01/hostedzone", &[], &body);
        let id = answer.split("<Id>/hostedzone/").nth(1).unwrap().split('<').next().unwrap();
        let provider = Route53Provider::new(options(&self.0.endpoint()))?;
        Ok(Place { provider: Box::new(provider), zone: Zone::new(id, name("example.com")) })
    }
}

/// Checks of rules that moto does not enforce, or reports with another error than the service; the strict model has
/// these rules. It also refuses to replace some sets of several texts in one batch, as if the old one were not deleted
/// first, and to create some sets again that existed before.
const UNENFORCED_BY_MOTO: [&str; 22] = [
    "a_name_changes_its_type_twice",
    "a_delegation_gets_another_key_and_goes_with_it",
    "a_replacement_of_something_else_is_refused",
    "a_deletion_of_something_else_is_refused",
    "the_second_of_two_writers_hears_that_it_is_late",
    "a_creation_over_an_existing_set_is_refused",
    "a_batch_is_applied_whole_or_not_at_all",
    "a_cname_beside_an_address_is_refused",
    "a_name_outside_of_the_zone_is_refused",
    "a_replacement_of_many_values_leaves_nothing_of_them",
    "a_value_of_ours_comes_and_goes_beside_those_of_others",
    "pruning_takes_what_is_ours_and_no_more",
    "an_spf_record_of_others_is_merged_and_given_back",
    "records_of_others_are_the_same_after_everything",
    "an_address_beside_a_cname_is_refused",
    "a_replacement_of_nothing_is_refused",
    "a_deletion_of_nothing_is_refused",
    "a_batch_that_fails_says_what_was_applied",
    "a_batch_that_fails_at_its_last_change_writes_nothing",
    "a_plan_is_refused_once_the_zone_changed",
    "the_same_plan_cannot_be_applied_twice",
    "writers_of_one_set_at_the_same_time_lose_nothing",
];

#[tokio::test]
async fn the_conformance_kit_passes_on_moto_but_for_rules_that_it_does_not_enforce() {
    let Some(moto) = Moto::start() else { return };
    let report = run(&OnMoto(moto)).await;
    let unexpected: Vec<_> =
        report.failures().filter(|(name, _)| !UNENFORCED_BY_MOTO.contains(name)).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

fn machine(address: &str) -> Vec<Intent> {
    let key = format!("v=DKIM1; p={}", "k".repeat(392));
    let sets = [
        set("my.example.com", RecordType::A, &[address]),
        set("my.example.com", RecordType::AAAA, &["2001:db8::1"]),
        set("*.example.com", RecordType::A, &[address]),
        set("example.com", RecordType::MX, &["10 my.example.com"]),
        set("example.com", RecordType::TXT, &["v=spf1 a:my.example.com ~all"]),
        set("cloudron._domainkey.example.com", RecordType::TXT, &[&key]),
        set("_dmarc.example.com", RecordType::TXT, &["v=DMARC1; p=none"]),
        set("example.com", RecordType::CAA, &["0 issue \"letsencrypt.org\""]),
    ];
    sets.into_iter().map(Intent::Exactly).collect()
}

async fn bring(
    provider: &Route53Provider,
    zone: Option<&Zone>,
    wanted: &[Intent],
    ours: &mut Ownership,
) -> usize {
    let found;
    let zone = match zone {
        Some(zone) => zone,
        None => {
            found = find_zone(provider, &name("my.example.com")).await.unwrap();
            &found
        }
    };
    let options = PlanOptions::default().allow_mass_deletion(true);
    let (plan, basis) = plan_for(provider, zone, wanted, ours, &options).await.unwrap();
    apply(provider, &plan, Some(&basis), &Progress::none()).await.unwrap();
    *ours = plan.ownership;
    plan.changes.len()
}

#[tokio::test]
async fn a_machine_takes_three_requests_to_create_two_to_rerun_three_to_change_and_three_to_delete() {
    for known in [false, true] {
        let (model, zone) = model();
        let provider = provider(&model);
        let zone = known.then_some(&zone);
        let mut ours = Ownership::none();
        let gone: Vec<Intent> = machine("192.0.2.2").iter().map(|i| Intent::Absent(i.key())).collect();
        let steps = [machine("192.0.2.1"), machine("192.0.2.1"), machine("192.0.2.2"), gone];
        let mut counts = Vec::new();
        for wanted in &steps {
            let changes = bring(&provider, zone, wanted, &mut ours).await;
            counts.push((changes, model.take_requests().len()));
        }
        let less = usize::from(known);
        assert_eq!(counts, [(8, 3 - less), (0, 2 - less), (2, 3 - less), (8, 3 - less)]);
        assert_eq!(model.state.lock().unwrap().zones[0].sets.len(), 2, "only NS and SOA stay");
    }
}

#[tokio::test]
async fn the_zone_is_the_longest_public_one_over_all_pages() {
    let mut zones: Vec<_> =
        (0..230).map(|n| HostedZone::new(&format!("N{n}"), &format!("z{n}.net."))).collect();
    let mut private = HostedZone::new("P", "sub.example.com.");
    private.private = true;
    zones.extend([
        HostedZone::new("Z1", "example.com."),
        HostedZone::new("Z2", "sub.example.com."),
        HostedZone::new("Z3", "notexample.com."),
        private,
    ]);
    let model = Model::start(zones);
    let near = provider(&model);
    let mut options = options(&model.endpoint);
    for (owner, id) in [("a.example.com", "Z1"), ("a.sub.example.com", "Z2"), ("a.notexample.com", "Z3")] {
        assert_eq!(find_zone(&near, &name(owner)).await.unwrap().id, id);
        assert_eq!(model.take_requests(), ["ListHostedZonesByName"]);
        model.fault(&[Fault::DeniedByName]);
        assert_eq!(find_zone(&near, &name(owner)).await.unwrap().id, id, "without that permission");
        model.take_requests();
    }
    let all = near.list_zones(None).await.unwrap();
    assert_eq!((all.len(), model.take_requests().len()), (234, 3));
    assert_eq!(all.iter().filter(|z| z.visibility == Visibility::Private).count(), 1);
    options.zone_id = Some("Z1".to_owned());
    options.zone_name = Some(name("example.com"));
    let given = Route53Provider::new(options).unwrap();
    assert_eq!(find_zone(&given, &name("my.example.com")).await.unwrap().id, "Z1");
    assert!(model.take_requests().is_empty());
}

#[tokio::test]
async fn all_pages_are_read_and_routed_sets_are_opaque_and_never_written_over() {
    let (model, zone) = model();
    {
        let mut state = model.state.lock().unwrap();
        state.page = 3;
        let there = &mut state.zones[0];
        for n in 0..7 {
            let more = format!("<SetIdentifier>v{n}</SetIdentifier><Weight>{n}</Weight>");
            there.put("w.example.com.", "A", "60", &["192.0.2.1"], &more);
        }
        let alias = "<AliasTarget><HostedZoneId>Z</HostedZoneId><DNSName>x.cloudfront.net.</DNSName>\
                     <EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>";
        there.put("example.com.", "A", "", &[], alias);
        there.put(r"\052.example.com.", "TXT", "60", &[r#""caf\303\251""#], "");
    }
    let provider = provider(&model);
    let names = [name("w.example.com"), name("*.example.com"), name("none.example.com"), name("example.com")];
    for scope in [Scope::Zone, Scope::Names(&names)] {
        let read = provider.read(&zone, scope).await.unwrap();
        assert_eq!(read.at(&names[0]).filter(|s| s.plain().is_none()).count(), 7, "{read:?}");
        let text = read.at(&names[1]).find_map(Observed::plain).unwrap().clone();
        assert_eq!(text.values()[0], cloudron_dns::RecordData::txt("café"));
        let alias = read.all_of(&names[3], RecordType::A).next().unwrap();
        assert!(alias.to_string().contains("alias to x.cloudfront.net."), "{alias}");
    }
    let wanted = [
        set("w.example.com", RecordType::A, &["192.0.2.9"]),
        set("example.com", RecordType::A, &["192.0.2.9"]),
    ];
    let intents: Vec<Intent> = wanted.iter().cloned().map(Intent::Exactly).collect();
    let (plan, _) =
        plan_for(&provider, &zone, &intents, &Ownership::none(), &PlanOptions::default()).await.unwrap();
    assert_eq!((plan.changes.len(), plan.conflicts.len()), (0, 2));
    for set in wanted {
        let failure = provider.apply(Batch::new(&zone, &[Change::Create(set)])).await.unwrap_err();
        assert!(failure.error.is(&codes::CONFLICT) || failure.error.is(&codes::STALE), "{:?}", failure.error);
    }
}

#[tokio::test]
async fn types_that_are_not_written_are_read_unless_an_escape_has_two_meanings() {
    let (model, zone) = model();
    let known = [
        ("LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 1.00m 10000.00m 10.00m"),
        ("HTTPS", "1 . alpn=\"h2,h3\" port=8443"),
        ("NAPTR", r#"10 10 "u" "E2U+sip" "!^(.*)$!sip:\\1@x!" ."#),
        ("SSHFP", "4 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
    ];
    {
        let mut state = model.state.lock().unwrap();
        for (rtype, value) in known {
            state.zones[0].put("a.example.com.", rtype, "60", &[value], "");
        }
        state.zones[0].put("b.example.com.", "NAPTR", "60", &[r#"10 10 "u" "E2U+sip" "!\101!x!" ."#], "");
    }
    let read = provider(&model).read(&zone, Scope::Zone).await.unwrap();
    for (rtype, value) in known {
        let wanted = set("a.example.com", rtype.parse().unwrap(), &[value]);
        assert_eq!(read.get(wanted.key()).map(RecordSet::values), Some(wanted.values()), "{rtype}");
    }
    let ambiguous: Vec<_> = read.at(&name("b.example.com")).collect();
    assert!(ambiguous.len() == 1 && ambiguous[0].plain().is_none(), "{ambiguous:?}");
}

#[tokio::test]
async fn a_plan_refuses_what_cannot_be_written() {
    let (model, zone) = model();
    let provider = provider(&model);
    // Each byte is sent as four characters.
    let text =
        RecordSet::new(name("t.example.com"), Ttl::DEFAULT, [RecordData::txt(vec![255; 1500])]).unwrap();
    let wish = [Intent::Exactly(text.clone())];
    let (plan, _) =
        plan_for(&provider, &zone, &wish, &Ownership::none(), &PlanOptions::default()).await.unwrap();
    assert_eq!((plan.changes.len(), plan.conflicts.len()), (0, 1), "{plan}");
    let failure = provider.apply(Batch::new(&zone, &[Change::Create(text)])).await.unwrap_err();
    assert!(failure.error.is(&codes::UNSUPPORTED) && failure.applied == Applied::Nothing, "{failure:?}");
}

#[tokio::test]
async fn refusals_for_a_moment_are_repeated_and_others_are_told_in_the_services_words() {
    let (model, zone) = model();
    let provider = provider(&model);
    model.fault(&[Fault::Throttled, Fault::Throttled, Fault::Busy]);
    let new = set("my.example.com", RecordType::A, &["192.0.2.1"]);
    provider.apply(Batch::new(&zone, &[Change::Create(new.clone())])).await.unwrap();
    assert_eq!(model.take_requests().len(), 4);
    let failure = provider.apply(Batch::new(&zone, &[Change::Create(new)])).await.unwrap_err();
    assert!(failure.error.is(&codes::STALE) && failure.applied == Applied::Nothing);
    assert!(failure.error.message().contains("but it already exists"), "{}", failure.error);
    let outside = set("my.example.org", RecordType::A, &["192.0.2.1"]);
    let failure = provider.apply(Batch::new(&zone, &[Change::Create(outside)])).await.unwrap_err();
    assert!(failure.error.is(&codes::REFUSED), "{:?}", failure.error);
    assert!(failure.error.message().contains("is not permitted in zone"), "{}", failure.error);
    model.fault(&[Fault::Throttled; 4]);
    let error = provider.read(&zone, Scope::Zone).await.unwrap_err();
    assert!(error.is(&codes::RATE_LIMITED) && error.is_retryable(), "{error:?}");
    model.fault(&[Fault::WebPage; 4]);
    let error = provider.list_zones(Some(&name("example.com"))).await.unwrap_err();
    assert!(error.is(&codes::PROVIDER_DOWN), "{error:?}");
}

#[tokio::test]
async fn a_write_without_an_answer_is_not_repeated_and_the_rerun_finds_out() {
    for fault in [Fault::CutAfter, Fault::ServerError] {
        let (model, zone) = model();
        let provider = provider(&model);
        let wanted = [set("my.example.com", RecordType::A, &["192.0.2.1"])];
        model.fault(&[fault]);
        let failure =
            provider.apply(Batch::new(&zone, &[Change::Create(wanted[0].clone())])).await.unwrap_err();
        assert_eq!(failure.applied, Applied::Unknown, "{:?}", failure.error);
        assert_eq!(model.take_requests().len(), 1);
        let wanted = wanted.map(Intent::Exactly);
        let done = bring(&provider, Some(&zone), &wanted, &mut Ownership::none()).await;
        assert_eq!(done, usize::from(fault == Fault::ServerError));
        assert_eq!(model.state.lock().unwrap().zones[0].sets.len(), 3);
    }
}

#[tokio::test]
async fn a_large_plan_is_split_within_the_limits_and_tells_what_was_written_before_a_failure() {
    let (model, zone) = model();
    let provider = provider(&model);
    let text = "t".repeat(250);
    let changes: Vec<Change> = (0..300)
        .map(|n| Change::Create(set(&format!("n{n}.example.com"), RecordType::TXT, &[&text])))
        .collect();
    let receipt = provider.apply(Batch::new(&zone, &changes)).await.unwrap();
    assert_eq!((receipt.applied.len(), receipt.ids.len()), (300, 3));
    let mut again: Vec<Change> = (0..200)
        .map(|n| Change::Create(set(&format!("m{n}.example.com"), RecordType::TXT, &[&text])))
        .collect();
    again.push(changes[0].clone());
    let failure = provider.apply(Batch::new(&zone, &again)).await.unwrap_err();
    let Applied::Some(keys) = failure.applied else { panic!("{:?}", failure.applied) };
    assert_eq!(keys.len(), 126, "32,000 characters hold 126 values of 252");
}

#[tokio::test]
async fn waiting_ends_when_all_servers_have_the_change_or_at_the_limit_or_when_cancelled() {
    let (model, zone) = model();
    let provider = provider(&model);
    let new = set("my.example.com", RecordType::A, &["192.0.2.1"]);
    let receipt = provider.apply(Batch::new(&zone, &[Change::Create(new)])).await.unwrap();
    model.take_requests();
    model.state.lock().unwrap().pending = 2;
    let wait = SyncWait::new(Duration::from_millis(1), Duration::from_secs(20));
    provider.wait_in_sync(&receipt, &wait, &Cancel::new()).await.unwrap();
    assert_eq!(model.take_requests(), ["GetChange"; 3]);
    model.state.lock().unwrap().pending = usize::MAX;
    let short = SyncWait::new(Duration::from_millis(5), Duration::from_millis(50));
    let error = provider.wait_in_sync(&receipt, &short, &Cancel::new()).await.unwrap_err();
    assert!(error.is(&codes::NOT_PROPAGATED), "{error:?}");
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(provider.wait_in_sync(&receipt, &SyncWait::default(), &cancel).await.is_err());
}
