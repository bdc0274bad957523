//! Lost responses, and concurrent writers.

use std::time::Duration;

use cloudron_core::Progress;
use cloudron_dns::rfc2136::Rfc2136Provider;
use cloudron_dns::{
    Applied, Batch, Change, DnsProvider, Intent, Ownership, PlanOptions, RecordType, Scope, apply, codes,
    plan_for,
};

use crate::servers::{Server, bind, knot, pdns, zone};
use crate::set;
use crate::wire::Wire;

const ZONE: &str = "z0.example.com";

#[tokio::test]
async fn an_update_whose_answer_is_lost_is_unknown_and_the_next_run_finds_it() {
    for server in [bind(), knot()] {
        let Some(server) = server else { return };
        let wire = Wire::start(server.address()).await;
        let mut options = server.options(ZONE);
        options.server = wire.address();
        let provider = Rfc2136Provider::new(options);
        let my = set("my.z0.example.com", RecordType::A, &["192.0.2.1"]);
        wire.lose_answers_to_updates(true);
        let before = wire.messages();
        let failure =
            provider.apply(Batch::new(&zone(ZONE), &[Change::Create(my.clone())])).await.unwrap_err();
        assert!(failure.error.is(&codes::NO_ANSWER), "{failure:?}");
        assert_eq!((failure.applied, wire.messages() - before), (Applied::Unknown, 1));
        wire.lose_answers_to_updates(false);
        let none = Ownership::none();
        let wish = [Intent::Exactly(my)];
        let (plan, _) =
            plan_for(&provider, &zone(ZONE), &wish, &none, &PlanOptions::default()).await.unwrap();
        assert!(plan.is_empty() && plan.unchanged.len() == 1, "{plan}");
    }
}

#[tokio::test]
async fn a_server_that_is_killed_leaves_an_error_and_never_an_empty_zone() {
    let Some(mut server) = bind() else { return };
    let provider = Rfc2136Provider::new(server.options(ZONE).within(Duration::from_secs(1)));
    assert_eq!(provider.read(&zone(ZONE), Scope::Zone).await.unwrap().sets.len(), 2);
    if let Server::Bind(named) = &mut server {
        named.daemon().kill();
    }
    let error = provider.read(&zone(ZONE), Scope::Zone).await.unwrap_err();
    assert!(error.is(&codes::NO_ANSWER) && error.message().contains("127.0.0.1:"), "{error:?}");
    let my = set("my.z0.example.com", RecordType::A, &["192.0.2.1"]);
    let failure = provider.apply(Batch::new(&zone(ZONE), &[Change::Create(my)])).await.unwrap_err();
    assert_eq!(failure.applied, Applied::Nothing);
}

#[tokio::test]
async fn eight_writers_at_a_time_lose_no_value() {
    let rounds: usize =
        std::env::var("CLOUDRON_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    for server in [bind(), knot(), pdns()] {
        let Some(server) = server else { return };
        for round in 0..rounds {
            let apex = format!("z{}.example.com", round % crate::servers::ZONES);
            let writers: Vec<_> = (0..8)
                .map(|writer| {
                    tokio::spawn(include(server.provider(&apex), apex.clone(), format!("{round}-{writer}")))
                })
                .collect();
            for writer in writers {
                writer.await.unwrap();
            }
            let read = server.provider(&apex).read(&zone(&apex), Scope::Zone).await.unwrap();
            let texts = read.get(set(&apex, RecordType::TXT, &["x"]).key()).unwrap();
            let of_round =
                texts.values().iter().filter(|v| v.to_string().starts_with(&format!("\"{round}-")));
            assert_eq!(of_round.count(), 8, "{texts}");
        }
    }
}

/// Adds a text to those at the apex, and retries until no other writer was faster.
async fn include(provider: Rfc2136Provider, apex: String, text: String) {
    let wish = [Intent::Include(set(&apex, RecordType::TXT, &[&text]))];
    loop {
        let none = Ownership::none();
        let (plan, basis) =
            plan_for(&provider, &zone(&apex), &wish, &none, &PlanOptions::default()).await.unwrap();
        match apply(&provider, &plan, Some(&basis), &Progress::none()).await {
            Ok(_) => return,
            Err(failure) => assert!(failure.error.is(&codes::STALE), "{failure:?}"),
        }
    }
}
