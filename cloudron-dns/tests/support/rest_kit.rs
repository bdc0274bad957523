//! The conformance kit on a model of a REST interface, with an independent reader, and counted and failing requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cloudron_dns::conformance::{Calls, Fault, Fixture, Injection, Place, Truth, Wire};
use cloudron_dns::{
    DnsProvider, Name, Observed, RecordData, RecordKey, RecordSet, RecordType, Result, Ttl, Zone,
};

use crate::rest::{self, Model, Service};

/// The access to a model that the kit needs.
pub trait Held: Service {
    /// Returns every plain record of a zone: name, type, TTL, and value as in a zone file.
    fn held(&self, zone: &Zone) -> Vec<(Name, RecordType, u32, String)>;
    /// Adds an opaque set.
    fn put_opaque(&mut self, zone: &Zone) -> RecordKey;
    fn add_zone(&mut self, apex: &Name) -> Zone;
}

pub type Make<S> = fn() -> (Arc<Model<S>>, Box<dyn DnsProvider>, Zone);

/// Creates a model for each check.
pub struct Fresh<S> {
    pub make: Make<S>,
    pub skip: &'static [(&'static str, &'static str)],
    pub last: Mutex<Option<Arc<Model<S>>>>,
}

impl<S> Fresh<S> {
    fn model(&self) -> Arc<Model<S>> {
        self.last.lock().unwrap().clone().unwrap()
    }
}

struct Behind<S>(Arc<Model<S>>);

#[async_trait]
impl<S: Held> Fixture for Fresh<S> {
    async fn fresh(&self) -> Result<Place> {
        let (model, provider, zone) = (self.make)();
        if let Some(used) = self.last.lock().unwrap().replace(model) {
            used.none_wrong();
        }
        Ok(Place { provider, zone })
    }

    fn truth(&self, _place: &Place) -> Option<Arc<dyn Truth>> {
        Some(Arc::new(Behind(self.model())))
    }

    fn wire(&self, _place: &Place) -> Option<Arc<dyn Wire>> {
        Some(Arc::new(Behind(self.model())))
    }

    async fn add_zone(&self, _place: &Place, apex: &Name) -> Result<Option<Zone>> {
        Ok(Some(self.model().lock().service.add_zone(apex)))
    }

    fn skip(&self) -> &[(&str, &str)] {
        self.skip
    }
}

#[async_trait]
impl<S: Held> Truth for Behind<S> {
    async fn sets(&self, zone: &Zone) -> Result<Vec<Observed>> {
        let mut sets: BTreeMap<RecordKey, (u32, Vec<RecordData>)> = BTreeMap::new();
        for (name, rtype, ttl, value) in self.0.lock().service.held(zone) {
            let set = sets.entry(RecordKey::new(name, rtype)).or_insert((ttl, Vec::new()));
            assert_eq!(set.0, ttl, "one time to live for all records of {rtype}");
            set.1.push(RecordData::parse(rtype, &value)?);
        }
        let plain = |(key, (ttl, values)): (RecordKey, (u32, Vec<RecordData>))| {
            Ok(Observed::Plain(RecordSet::new(key.name, Ttl::new(ttl)?, values)?))
        };
        sets.into_iter().map(plain).collect()
    }

    async fn put_opaque(&self, zone: &Zone) -> Result<Option<RecordKey>> {
        Ok(Some(self.0.lock().service.put_opaque(zone)))
    }
}

impl<S: Held> Wire for Behind<S> {
    fn calls(&self) -> Calls {
        let (reads, writes) = self.0.lock().calls;
        Calls::new(reads, writes)
    }

    fn inject(&self, injection: Injection) -> bool {
        let fault = match injection.fault {
            Fault::Refused => rest::Fault::Status(403),
            Fault::Busy => rest::Fault::RetryAfter(7),
            Fault::CutAfter => rest::Fault::CutAfter,
            _ => rest::Fault::CutBefore,
        };
        self.0.lock().injected = Some((injection.writes, injection.after, injection.times, fault));
        true
    }

    fn clear(&self) {
        self.0.lock().injected = None;
    }
}
