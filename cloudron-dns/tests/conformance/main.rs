//! The kit passes correct providers, and fails each deliberately broken one.

#![allow(missing_docs, unreachable_pub)]

mod broken;
mod defects;
#[path = "../support/faulty.rs"]
mod faulty;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cloudron_dns::conformance::{Fixture, Outcome, Place, Report, Truth, Wire, checks, run, run_some};
use cloudron_dns::memory::MemoryProvider;
use cloudron_dns::{Atomicity, Capabilities, DnsProvider, Name, RecordType, Result, Ttl, Zone};

use broken::Broken;
use defects::{DEFECTS, Defect};
use faulty::{Faulty, Server};

fn zone() -> Zone {
    Zone::new("z", Name::parse("example.com").unwrap())
}

/// Places with every optional capability of a fixture.
struct Full<P> {
    server: Mutex<Arc<Server>>,
    provider: P,
}

fn full<P: Fn(&Arc<Server>) -> Box<dyn DnsProvider> + Send + Sync>(provider: P) -> Full<P> {
    Full { server: Mutex::default(), provider }
}

#[async_trait]
impl<P: Fn(&Arc<Server>) -> Box<dyn DnsProvider> + Send + Sync> Fixture for Full<P> {
    async fn fresh(&self) -> Result<Place> {
        let server = Server::with_zone(zone(), []);
        *self.server.lock().unwrap() = server.clone();
        Ok(Place { provider: (self.provider)(&server), zone: zone() })
    }

    fn truth(&self, _place: &Place) -> Option<Arc<dyn Truth>> {
        Some(self.server.lock().unwrap().clone())
    }

    fn wire(&self, _place: &Place) -> Option<Arc<dyn Wire>> {
        Some(self.server.lock().unwrap().clone())
    }

    async fn add_zone(&self, _place: &Place, apex: &Name) -> Result<Option<Zone>> {
        let zone = Zone::new(apex.to_string(), apex.clone());
        self.server.lock().unwrap().add(zone.clone(), []);
        Ok(Some(zone))
    }
}

async fn report_of(defect: Defect, name: Option<&str>) -> Report {
    let fixture =
        full(move |server| Box::new(Broken { inner: Faulty::new(server, Atomicity::Batch), defect }));
    run_some(&fixture, |_, n| name.is_none_or(|name| name == n)).await
}

#[tokio::test]
async fn a_provider_without_defect_passes_every_check_that_fits_it() {
    let report = report_of(Defect::None, None).await;
    let skipped: Vec<_> = report.skipped().map(|(name, _)| name).collect();
    assert!(report.passed(), "{report}");
    // Its times to live and types are not limited.
    assert_eq!(
        skipped,
        [
            "a_time_to_live_that_is_too_short_is_raised_and_told",
            "a_type_that_it_does_not_have_is_refused_before_anything_is_written",
        ]
    );
}

#[tokio::test]
async fn every_deliberate_defect_is_caught_by_the_check_that_names_it() {
    let mut missed = Vec::new();
    for (defect, name) in DEFECTS {
        let report = report_of(*defect, Some(name)).await;
        if !matches!(report.outcome(name), Some(Outcome::Failed(_))) {
            missed.push(format!("{defect:?}: {report}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(DEFECTS.len() >= 40, "{}", DEFECTS.len());
}

#[tokio::test]
async fn the_kit_has_186_checks_each_with_a_name_of_its_own() {
    let mut names: Vec<&str> = checks().map(|(_, name)| name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert_eq!((all, DEFECTS.len()), (186, 73), "docs/dns.md says how many");
    for (_, name) in DEFECTS {
        assert!(names.contains(name), "there is no check {name}");
    }
}

#[tokio::test]
async fn a_provider_of_any_atomicity_passes_when_it_says_so_and_in_less_than_5_seconds() {
    for atomicity in [Atomicity::Batch, Atomicity::Set, Atomicity::Record] {
        let start = Instant::now();
        let report = run(&full(move |server| Box::new(Faulty::new(server, atomicity)))).await;
        assert!(report.passed(), "{atomicity:?}\n{report}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

fn modest(capabilities: &mut Capabilities) {
    capabilities.types = Some(vec![RecordType::A, RecordType::AAAA, RecordType::TXT, RecordType::MX]);
    (capabilities.max_batch, capabilities.max_txt, capabilities.sync_status) = (10, 300, true);
    capabilities.min_ttl = Ttl::new(60).unwrap();
}

#[tokio::test]
async fn a_provider_is_not_failed_for_what_it_says_that_it_cannot_do() {
    let report = run(&full(|server| {
        let mut provider = Faulty::new(server, Atomicity::Batch);
        modest(&mut provider.capabilities);
        Box::new(provider)
    }))
    .await;
    assert!(report.passed(), "{report}");
    assert!(report.skipped().count() > 20, "{report}");
}

struct Plain;

#[async_trait]
impl Fixture for Plain {
    async fn fresh(&self) -> Result<Place> {
        let provider = MemoryProvider::new().with_zone(zone(), []);
        Ok(Place { provider: Box::new(provider), zone: zone() })
    }

    fn skip(&self) -> &[(&str, &str)] {
        &[("an_address_comes_back", "it is not wanted")]
    }
}

#[tokio::test]
async fn a_fixture_that_offers_nothing_has_checks_skipped_with_a_reason_and_none_passed_unseen() {
    let report = run(&Plain).await;
    assert!(report.passed(), "{report}");
    let wire = report.skipped().filter(|(_, why)| *why == "the fixture has no wire").count();
    assert!(wire >= 20, "{report}");
    assert_eq!(report.outcome("an_address_comes_back"), Some(&Outcome::Skipped("it is not wanted".into())));
}

#[tokio::test]
async fn a_report_is_a_line_of_a_table_and_json() {
    let report =
        run_some(&Plain, |_, name| name.starts_with("an_address_") || name == "a_text_comes_back").await;
    assert_eq!(report.markdown(), "| `memory` | 4 | 0 | 1 | it is not wanted |");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["provider"], &json["passed"]), (&"memory".into(), &4.into()));
    let skipped = serde_json::json!({
        "name": "an_address_comes_back", "level": "values", "outcome": "skipped", "why": "it is not wanted"
    });
    assert!(json["checks"].as_array().unwrap().contains(&skipped), "{json}");
}
