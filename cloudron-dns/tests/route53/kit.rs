//! The conformance kit, with an independent reader of the model, and counted and failing requests.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cloudron_dns::conformance::{self, Calls, Fixture, Injection, Place, Truth, Wire, run};
use cloudron_dns::{Name, Observed, RecordData, RecordKey, RecordSet, RecordType, Result, Ttl, Zone};

use crate::model::{HostedZone, Model, turned};
use crate::{model, provider};

#[derive(Default)]
struct Strict {
    last: Mutex<Option<Model>>,
}

impl Strict {
    fn model(&self) -> Model {
        self.last.lock().unwrap().clone().unwrap()
    }
}

struct Behind(Model);

#[async_trait]
impl Fixture for Strict {
    async fn fresh(&self) -> Result<Place> {
        let (model, zone) = model();
        let provider = Box::new(provider(&model));
        *self.last.lock().unwrap() = Some(model);
        Ok(Place { provider, zone })
    }

    fn truth(&self, _place: &Place) -> Option<Arc<dyn Truth>> {
        Some(Arc::new(Behind(self.model())))
    }

    fn wire(&self, _place: &Place) -> Option<Arc<dyn Wire>> {
        Some(Arc::new(Behind(self.model())))
    }

    async fn add_zone(&self, _place: &Place, apex: &Name) -> Result<Option<Zone>> {
        let zone = HostedZone::new("Z2", &apex.to_string());
        self.model().state.lock().unwrap().zones.push(zone);
        Ok(Some(Zone::new("Z2", apex.clone())))
    }
}

#[async_trait]
impl Truth for Behind {
    async fn sets(&self, zone: &Zone) -> Result<Vec<Observed>> {
        let state = self.0.state.lock().unwrap();
        let there = state.zones.iter().find(|z| z.id == zone.id).unwrap();
        let plain = there.sets.iter().filter(|((_, rtype, _), set)| rtype != "SOA" && set.more.is_empty());
        plain
            .map(|((name, rtype, _), set)| {
                let (name, rtype) = (Name::parse(&decimal(&turned(name)))?, rtype.parse()?);
                let values = set.values.iter().map(|text| RecordData::parse(rtype, &decimal(text)));
                let ttl = Ttl::new(set.ttl.parse().unwrap())?;
                Ok(Observed::Plain(RecordSet::new(name, ttl, values.collect::<Result<Vec<_>>>()?)?))
            })
            .collect()
    }

    async fn put_opaque(&self, zone: &Zone) -> Result<Option<RecordKey>> {
        let name = zone.apex.below("alias")?;
        let alias = "<AliasTarget><HostedZoneId>Z</HostedZoneId><DNSName>x.cloudfront.net.</DNSName>\
                     <EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>";
        self.0.state.lock().unwrap().zones[0].put(&name.to_string(), "A", "", &[], alias);
        Ok(Some(RecordKey::new(name, RecordType::A)))
    }
}

/// Converts octal escapes to the decimal ones of zone files.
fn decimal(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let octal = escape.get(1..4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let length = if octal.is_some() { 4 } else { 2 };
        match octal {
            Some(byte) => out.push_str(&format!("\\{byte:03}")),
            None => out.push_str(&escape[..length]),
        }
        rest = &escape[length..];
    }
    out + rest
}

impl Wire for Behind {
    fn calls(&self) -> Calls {
        self.0.state.lock().unwrap().calls
    }

    fn inject(&self, injection: Injection) -> bool {
        self.0.state.lock().unwrap().injection = Some(injection);
        true
    }

    fn clear(&self) {
        self.0.state.lock().unwrap().injection = None;
    }
}

impl model::State {
    /// Counts a request, and returns its fault, if one was injected.
    pub(crate) fn count(&mut self, writes: bool) -> Option<conformance::Fault> {
        let calls = self.calls;
        self.calls = Calls::new(calls.reads + usize::from(!writes), calls.writes + usize::from(writes));
        let injection = self.injection.as_mut().filter(|i| i.writes == writes)?;
        if injection.after > 0 {
            injection.after -= 1;
            return None;
        }
        injection.times = injection.times.checked_sub(1)?;
        Some(injection.fault)
    }
}

#[tokio::test]
async fn the_conformance_kit_passes_on_the_strict_model() {
    let report = run(&Strict::default()).await;
    assert!(report.passed(), "{report}");
    // Types that it does not have, and no time to live is too short.
    assert_eq!(report.skipped().count(), 2, "{report}");
}
