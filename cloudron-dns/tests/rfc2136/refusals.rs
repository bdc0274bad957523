//! Refusals of the servers, and the resulting errors.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cloudron_core::Clock;
use cloudron_dns::rfc2136::{Rfc2136Options, Rfc2136Provider, TsigKey};
use cloudron_dns::{
    Applied, ApplyFailure, Batch, Change, DnsProvider, Error, Receipt, RecordType, Scope, codes, find_zone,
};
use cloudron_testkit::named::Named;

use crate::servers::{SECRET, Server, bind, key, knot, pdns, zone};
use crate::{name, set};

const ZONE: &str = "z0.example.com";

fn address(owner: &str) -> Change {
    Change::Create(set(owner, RecordType::A, &["192.0.2.1"]))
}

async fn create(provider: &Rfc2136Provider, apex: &str) -> Result<Receipt, ApplyFailure> {
    let changes = [address(&format!("my.{apex}"))];
    provider.apply(Batch::new(&zone(apex), &changes)).await
}

/// Checks that reading and writing both fail with this code, nothing is written, and the error contains these words.
async fn refuses(server: &Server, options: Rfc2136Options, code: &cloudron_core::Code, words: &str) {
    let provider = Rfc2136Provider::new(options);
    let read = provider.read(&zone(ZONE), Scope::Zone).await.unwrap_err();
    let failure = create(&provider, ZONE).await.unwrap_err();
    assert_eq!(failure.applied, Applied::Nothing);
    for error in [read, failure.error] {
        assert!(error.is(code) && error.hint().is_some(), "{error:?}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(words) && !shown.contains("Y2FuYXJ5"), "{shown}");
    }
    let read = server.provider(ZONE).read(&zone(ZONE), Scope::Zone).await.unwrap();
    assert_eq!(read.sets.len(), 2);
}

/// A clock that is off by some seconds.
struct Skewed(i64);

#[async_trait]
impl Clock for Skewed {
    fn now(&self) -> SystemTime {
        let (now, skew) = (SystemTime::now(), Duration::from_secs(self.0.unsigned_abs()));
        if self.0 < 0 { now - skew } else { now + skew }
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {}
}

#[tokio::test]
async fn a_wrong_key_a_wrong_secret_and_a_wrong_algorithm_are_told_apart() {
    for server in [bind(), knot()] {
        let Some(server) = server else { return };
        let options = |text: &str| server.options(ZONE).with_key(TsigKey::parse(text).unwrap());
        let unknown = options(&format!("hmac-sha256:nobody:{SECRET}"));
        refuses(&server, unknown, &codes::KEY_REFUSED, "BADKEY").await;
        let other = options("hmac-sha256:sha256.key:YW5vdGhlci1zZWNyZXQ=");
        refuses(&server, other, &codes::KEY_REFUSED, "BADSIG").await;
        let algorithm = options(&format!("hmac-sha512:sha256.key:{SECRET}"));
        refuses(&server, algorithm, &codes::KEY_REFUSED, "BADKEY").await;
    }
}

/// PowerDNS does not sign such a response, and only returns NOTAUTH or REFUSED.
#[tokio::test]
async fn powerdns_does_not_say_what_is_wrong_with_a_key_and_the_error_says_what_it_may_be() {
    let Some(server) = pdns() else { return };
    for text in [format!("nobody:{SECRET}"), "sha256.key:YW5vdGhlci1zZWNyZXQ=".into()] {
        let options = server.options(ZONE).with_key(TsigKey::parse(&text).unwrap());
        let provider = Rfc2136Provider::new(options);
        let read = provider.read(&zone(ZONE), Scope::Zone).await.unwrap_err();
        assert!(read.is(&codes::ZONE_NOT_FOUND), "{read:?}");
        let failure = create(&provider, ZONE).await.unwrap_err();
        assert!(failure.error.is(&codes::UPDATE_REFUSED), "{failure:?}");
        for error in [read, failure.error] {
            assert!(error.hint().is_some_and(|hint| hint.contains("key")), "{error:?}");
        }
    }
    let read = server.provider(ZONE).read(&zone(ZONE), Scope::Zone).await.unwrap();
    assert_eq!(read.sets.len(), 2);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_said_with_the_difference() {
    for server in [bind(), knot()] {
        let Some(server) = server else { return };
        for (skew, words) in [(-4_000, "ahead of ours"), (4_000, "behind ours")] {
            let options = server.options(ZONE).with_clock(Arc::new(Skewed(skew)));
            refuses(&server, options.clone(), &codes::CLOCK, words).await;
            let error = Rfc2136Provider::new(options).read(&zone(ZONE), Scope::Zone).await.unwrap_err();
            let close = (3_999..=4_001).any(|n| error.message().contains(&format!("{n} seconds")));
            assert!(close, "{error}");
        }
    }
}

#[tokio::test]
async fn who_signs_nothing_may_neither_read_nor_write() {
    for server in [bind(), knot(), pdns()] {
        let Some(server) = server else { return };
        let provider = Rfc2136Provider::new(Rfc2136Options::new(server.address()).with_zone(name(ZONE)));
        let error = provider.read(&zone(ZONE), Scope::Zone).await.unwrap_err();
        assert!(error.is(&codes::TRANSFER_REFUSED), "{error:?}");
        let failure = create(&provider, ZONE).await.unwrap_err();
        let error = failure.error;
        assert!(error.is(&codes::UPDATE_REFUSED) || error.is(&codes::ZONE_NOT_FOUND), "{error:?}");
        assert_eq!(failure.applied, Applied::Nothing);
    }
}

#[tokio::test]
async fn a_zone_that_is_not_there_is_not_found_and_never_empty() {
    for server in [bind(), knot(), pdns()] {
        let Some(server) = server else { return };
        let not_found = |error: Error| assert!(error.is(&codes::ZONE_NOT_FOUND), "{error:?}");
        let provider = Rfc2136Provider::new(Rfc2136Options::new(server.address()).with_key(key("sha256")));
        not_found(find_zone(&provider, &name("my.example.org")).await.unwrap_err());
        not_found(provider.read(&zone("example.org"), Scope::Zone).await.unwrap_err());
        let names = [name("my.example.org")];
        not_found(provider.read(&zone("example.org"), Scope::Names(&names)).await.unwrap_err());
        let error = create(&provider, "example.org").await.unwrap_err().error;
        assert!(error.is(&codes::ZONE_NOT_FOUND) || error.is(&codes::UPDATE_REFUSED), "{error:?}");
        assert_eq!(
            find_zone(&provider, &name("a.b.z1.example.com")).await.unwrap().apex,
            name("z1.example.com")
        );
    }
}

#[tokio::test]
async fn an_update_that_is_sent_to_a_secondary_server_is_refused() {
    let Some(primary) = bind() else { return };
    let top = format!("key sha256.key {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};");
    let port = primary.address().port();
    let clauses = format!(
        "type secondary; primaries {{ 127.0.0.1 port {port} key sha256.key; }}; allow-transfer {{ key sha256.key; }};"
    );
    let Some(secondary) = Named::start(&top, &[(ZONE.to_owned(), clauses)]) else { return };
    let options = Rfc2136Options::new(secondary.address()).with_key(key("sha256")).with_zone(name(ZONE));
    let provider = Rfc2136Provider::new(options);
    let mut tries = 0;
    while provider.read(&zone(ZONE), Scope::Zone).await.is_err() {
        tries += 1;
        assert!(tries < 100, "the secondary does not get the zone");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let failure = create(&provider, ZONE).await.unwrap_err();
    assert!(failure.error.is(&codes::UPDATE_REFUSED), "{failure:?}");
    assert!(failure.error.hint().is_some_and(|hint| hint.contains("primary")));
    assert_eq!(failure.applied, Applied::Nothing);
}

#[tokio::test]
async fn a_stale_precondition_says_what_is_there_and_writes_nothing() {
    for server in [bind(), knot(), pdns()] {
        let Some(server) = server else { return };
        let provider = server.provider(ZONE);
        create(&provider, ZONE).await.unwrap();
        let old = set("my.z0.example.com", RecordType::A, &["192.0.2.7"]);
        let new = set("my.z0.example.com", RecordType::A, &["192.0.2.8"]);
        let stale =
            [address("other.z0.example.com"), Change::Replace { old: old.clone(), new }, Change::Delete(old)];
        for changes in [&stale[..2], &stale[2..]] {
            let failure = provider.apply(Batch::new(&zone(ZONE), changes)).await.unwrap_err();
            assert!(failure.error.is(&codes::STALE), "{failure:?}");
            assert!(failure.error.message().contains("192.0.2.1 now"), "{failure:?}");
            assert_eq!(failure.applied, Applied::Nothing);
        }
        assert_eq!(provider.read(&zone(ZONE), Scope::Zone).await.unwrap().sets.len(), 3);
    }
}

#[tokio::test]
async fn a_cname_beside_other_data_is_a_conflict_and_never_ignored() {
    for server in [bind(), knot(), pdns()] {
        let Some(server) = server else { return };
        let provider = server.provider(ZONE);
        create(&provider, ZONE).await.unwrap();
        let www = Change::Create(set("www.z0.example.com", RecordType::CNAME, &["x.example.net"]));
        provider.apply(Batch::new(&zone(ZONE), std::slice::from_ref(&www))).await.unwrap();
        let beside = [
            Change::Create(set("my.z0.example.com", RecordType::CNAME, &["x.example.net"])),
            Change::Create(set("www.z0.example.com", RecordType::TXT, &["x"])),
        ];
        for change in beside {
            let failure = provider.apply(Batch::new(&zone(ZONE), &[change])).await.unwrap_err();
            assert!(failure.error.is(&codes::CONFLICT), "{failure:?}");
        }
        assert_eq!(provider.read(&zone(ZONE), Scope::Zone).await.unwrap().sets.len(), 4);
    }
}

#[tokio::test]
async fn a_cname_and_an_address_take_each_others_place_in_one_message() {
    for server in [bind(), knot(), pdns()] {
        let Some(mut server) = server else { return };
        let provider = server.provider(ZONE);
        create(&provider, ZONE).await.unwrap();
        let a = set("my.z0.example.com", RecordType::A, &["192.0.2.1"]);
        let cname = set("my.z0.example.com", RecordType::CNAME, &["x.example.net"]);
        for (old, new) in [(&a, &cname), (&cname, &a)] {
            let changes = [Change::Delete(old.clone()), Change::Create(new.clone())];
            let done = provider.apply(Batch::new(&zone(ZONE), &changes)).await;
            done.unwrap_or_else(|e| panic!("{e:?}\n{}", server.log()));
            let read = provider.read(&zone(ZONE), Scope::Zone).await.unwrap();
            assert_eq!(read.get(new.key()), Some(new), "{read:?}");
            assert_eq!(read.sets.len(), 3);
        }
    }
}
