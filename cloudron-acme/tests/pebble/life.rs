//! The life of a certificate: always either the old one or a new one is served, and the owner is told once.

use std::sync::Arc;

use cloudron_acme::{Challenge, Reason, Subject, Wanted};
use cloudron_testkit::fault::Fault;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::world::{NAME, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_obtained_renewed_by_ari_replaced_early_revoked_and_replaced() {
    let Some(world) = World::new() else { return };
    let certificates = world.open();
    certificates.pass().await;
    assert_eq!(world.told(), ["obtained"], "{}", world.pebble.log());
    let first = world.served();
    assert_eq!(world.resolver.names(), [NAME.parse::<Subject>().unwrap()]);
    let order = world.pebble.gate().orders().remove(0);
    assert_eq!(
        (order["profile"].as_str(), &order["replaces"]),
        (Some("tlsserver"), &serde_json::Value::Null)
    );
    assert!(world.challenges.answer("/.well-known/acme-challenge/").is_none());

    // Nothing is due, and nothing is asked for.
    let calls = world.pebble.gate().calls().len();
    assert!(certificates.pass().await.as_secs() > 3600);
    assert_eq!((world.pebble.gate().calls().len(), world.orders()), (calls, 1));

    // The authority wants it back.
    world.pebble.suggest(&world.leaf(), "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
    world.later(7 * 3600);
    // The clock is hours away from the authority's: that alone keeps an order from being made.
    certificates.pass().await;
    assert_eq!((world.served(), world.told()), (first.clone(), vec!["acme-clock (valid)".to_owned()]));
    world.later(-7 * 3600);
    let record = world.state().join(format!("certificates/{NAME}.json"));
    let text = std::fs::read_to_string(&record).unwrap();
    let mut kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    kept["ari"]["asked"] = 0.into();
    drop(certificates);
    std::fs::write(&record, kept.to_string()).unwrap();
    let certificates = world.open();
    assert_eq!(world.served(), first, "a restart serves what the folder has");
    certificates.pass().await;
    let second = world.served();
    assert!(second != first && !second.is_empty());
    assert_eq!(world.told(), ["obtained again"]);
    assert!(world.pebble.gate().orders()[1]["replaces"].is_string());

    certificates.replace(NAME).unwrap();
    certificates.pass().await;
    let third = world.served();
    assert_ne!(third, second);
    let serial = certificates.certificate(NAME).unwrap().serial();
    assert_eq!(world.pebble.status_of(&serial), "Valid");

    certificates.revoke(NAME, Reason::KeyCompromise).unwrap();
    certificates.pass().await;
    assert_ne!(world.served(), third);
    assert_eq!(world.pebble.status_of(&serial), "Revoked");
    assert_eq!(
        (world.told(), world.orders()),
        (["obtained", "revoked", "obtained"].map(String::from).into(), 4)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn six_reinstalls_with_a_backup_ask_for_one_certificate_and_make_one_account() {
    let Some(world) = World::new() else { return };
    world.open().pass().await;
    let first = world.served();
    for _ in 0..5 {
        let saved = tempfile::tempdir().unwrap();
        copy(&world.state(), saved.path());
        std::fs::remove_dir_all(world.state()).unwrap();
        copy(saved.path(), &world.state());
        world.open().pass().await;
        assert_eq!(world.served(), first);
    }
    let calls = world.pebble.gate().calls();
    let of = |path: &str| calls.iter().filter(|call| *call == path).count();
    assert_eq!((of("/order-plz"), of("/sign-me-up")), (1, 1), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_refusals_and_a_cut_network_leave_the_old_certificate_and_are_told_once() {
    let Some(world) = World::new() else { return };
    let certificates = world.open();
    certificates.pass().await;
    let first = world.served();
    world.told();
    let gate = world.pebble.gate();

    // 429: nothing is asked for until the authority's time is over, however often it is tried.
    certificates.replace(NAME).unwrap();
    gate.fault("/order-plz", Fault::Refused(429, "rateLimited"), Some(1800));
    let wait = certificates.pass().await.as_secs();
    assert!((1700..2400).contains(&wait), "{wait}");
    for _ in 0..5 {
        certificates.pass().await;
    }
    let certificates = {
        drop(certificates);
        world.open()
    };
    certificates.pass().await;
    assert_eq!((world.orders(), world.served()), (2, first.clone()));
    assert_eq!(world.told(), ["acme-rate-limited (valid)"]);

    // The network is cut: tried again, but not all the time.
    world.later(2400);
    gate.cut(true);
    for _ in 0..4 {
        certificates.pass().await;
        world.later(300);
    }
    assert_eq!((world.orders(), world.served()), (2, first.clone()));
    assert_eq!(world.told(), [""; 0], "the owner knows already that it fails");

    // Mended: a new one, and the owner is told that it is over.
    gate.cut(false);
    world.later(-3000);
    certificates.pass().await;
    world.later(3000);
    certificates.pass().await;
    assert_ne!(world.served(), first);
    assert_eq!(world.told(), ["obtained again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_cut_off_at_any_call_is_gone_on_with_and_never_loses_the_old_certificate() {
    let Some(world) = World::new() else { return };
    let certificates = world.open();
    certificates.pass().await;
    let paths = [
        "/dir",
        "/nonce-plz",
        "/order-plz",
        "/authZ/",
        "/chalZ/",
        "/finalize-order/",
        "/my-order/",
        "/certZ/",
    ];
    for path in paths {
        for fault in [Fault::Lost, Fault::Unanswered, Fault::Refused(500, "serverInternal")] {
            let (before, orders) = (world.served(), world.orders());
            certificates.replace(NAME).unwrap();
            world.pebble.gate().fault(path, fault.clone(), None);
            certificates.pass().await;
            let served = world.served();
            assert!(!served.is_empty());
            if served == before {
                world.later(130);
                certificates.pass().await;
                world.later(-130);
            }
            assert_ne!(world.served(), before, "{path} {fault:?}: {:?}", certificates.status());
            let made = world.orders() - orders;
            // An answer that was lost may have been an order; everything after it is gone on with.
            let most = if path == "/order-plz" { 3 } else { 1 };
            assert!(made <= most, "{path} {fault:?}: {made} orders");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_fails_on_the_replaced_certificate_is_asked_without_it_and_limits_count() {
    let Some(world) = World::new() else { return };
    let certificates = world.open();
    let issued = || {
        let record = world.state().join(format!("certificates/{NAME}.json"));
        let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
        kept["issued"].as_array().map_or(0, Vec::len)
    };
    certificates.pass().await;
    let first = world.served();
    certificates.replace(NAME).unwrap();
    certificates.pass().await;
    let second = world.served();
    assert_ne!(first, second);
    assert_eq!(issued(), 1, "an order that replaces is exempt");

    certificates.replace(NAME).unwrap();
    world.pebble.gate().fault("/order-plz", Fault::Refused(500, "serverInternal"), None);
    certificates.pass().await;
    assert_ne!(world.served(), second);
    let replacing: Vec<bool> =
        world.pebble.gate().orders().iter().map(|order| order["replaces"].is_string()).collect();
    assert_eq!((replacing, issued()), (vec![false, true, true, false], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_fails_is_tried_ever_less_often_over_restarts_and_others_do_not_wait() {
    let Some(world) = World::new() else { return };
    let want = |certificates: &cloudron_acme::Certificates| {
        let bad = Wanted::new(["blocked.example.com"], Challenge::Http01).unwrap();
        let good = Wanted::new([NAME], Challenge::Http01).unwrap();
        certificates.want([bad, good]).unwrap();
    };
    for _ in 0..4 {
        let certificates = world.open();
        want(&certificates);
        certificates.pass().await;
    }
    assert_eq!(world.orders(), 2, "one for each: {:?}", world.told());
    let mut told = world.told();
    told.sort();
    assert_eq!(told, ["acme-refused (fallback)", "obtained"]);
    let kept = std::fs::read_to_string(world.state().join("ledger.json")).unwrap();
    assert!(kept.contains("blocked.example.com"), "{kept}");
    world.later(70);
    let certificates = world.open();
    want(&certificates);
    certificates.pass().await;
    certificates.pass().await;
    world.later(70);
    certificates.pass().await;
    assert_eq!((world.orders(), world.told().len()), (3, 0), "ten minutes after the second failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_a_year_off_asks_for_nothing_and_harms_nothing() {
    let Some(world) = World::new() else { return };
    let certificates = world.open();
    certificates.pass().await;
    let first = world.served();
    for year in [366 * 86_400, -366 * 86_400] {
        world.later(year);
        certificates.pass().await;
        certificates.pass().await;
        assert_eq!((world.served(), world.orders()), (first.clone(), 1));
        world.later(-year);
        certificates.pass().await;
        assert_eq!((world.served(), world.orders()), (first.clone(), 1));
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)
        } else {
            _ = std::fs::copy(entry.path(), to).unwrap()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_trusts_the_authority_accepts_what_is_served_and_no_name_gets_the_certificate_of_another()
 {
    let Some(world) = World::new() else { return };
    world.open().pass().await;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone());
    let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor =
        tokio_rustls::TlsAcceptor::from(Arc::new(server.with_cert_resolver(world.resolver.clone())));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.pebble.root().as_bytes()).unwrap()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider);
    let client = client.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client.with_no_client_auth()));
    for (name, trusted) in [(NAME, true), ("other.example.com", false)] {
        let (near, far) = tokio::io::duplex(1 << 16);
        let acceptor = acceptor.clone();
        let served = tokio::spawn(async move { acceptor.accept(far).await.map(drop) });
        let connected = connector.connect(name.try_into().unwrap(), near).await;
        assert_eq!(connected.is_ok(), trusted, "{name}");
        drop(connected);
        let _ = served.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_at_any_call_leaves_the_old_certificate_and_the_next_one_gets_a_new_one() {
    let Some(world) = World::new() else { return };
    world.open().pass().await;
    for call in 1..=10 {
        let (before, orders) = (world.served(), world.orders());
        let certificates = world.open();
        certificates.replace(NAME).unwrap();
        let already = world.pebble.gate().calls().len();
        let run = tokio::spawn({
            let certificates = certificates.clone();
            async move { certificates.pass().await }
        });
        while world.pebble.gate().calls().len() < already + call && !run.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        run.abort();
        let _ = run.await;
        drop(certificates);
        let between = world.served();
        let certificates = world.open();
        let after = world.served();
        assert!(!after.is_empty() && (after == before || between != before), "call {call}");
        // What was shown to the authority is gone with the process, so it may have failed there: then, one more.
        for _ in 0..3 {
            certificates.pass().await;
            world.later(70);
        }
        world.later(-210);
        assert_ne!(world.served(), before, "call {call}: {:?}", certificates.status());
        assert!(world.orders() - orders <= 2, "call {call}");
    }
}
