//! Writers of one process that take turns lose nothing, although the interface has no preconditions.

use std::collections::BTreeSet;

use cloudron_core::Progress;
use cloudron_dns::serialized::SerializedWrites;
use cloudron_dns::{Intent, Ownership, PlanOptions, RecordType, Ttl, apply};
use serde_json::json;

use crate::{model, name, none_wrong, provider, set, zone};

#[test]
fn eight_writers_of_one_process_lose_nothing_when_they_take_turns() {
    let model = model();
    let spf = json!({"type": "TXT", "name": "@", "data": "v=spf1 mx -all", "ttl": 300});
    model.lock().put("example.com", spf);
    let shared = SerializedWrites::new(provider(&model));
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let shared = &shared;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let (zone, options, progress) = (zone(), PlanOptions::default(), Progress::none());
                let mut ours = Ownership::none();
                for round in 0..5 {
                    let text = format!("writer {writer} round {round}");
                    let mechanisms = vec![format!("ip4:192.0.2.{writer}")];
                    let wishes = [
                        Intent::Include(set("example.com", RecordType::TXT, &[&text])),
                        Intent::Spf { name: name("example.com"), ttl: Ttl::DEFAULT, mechanisms },
                    ];
                    let done = apply::ensure(shared, &zone, &wishes, &mut ours, &options, &progress);
                    runtime.block_on(done).unwrap();
                }
            });
        }
    });
    let records = model.records("example.com");
    let texts: BTreeSet<&str> =
        records.iter().filter(|r| r.text("type") == "TXT").map(|r| r.text("data")).collect();
    let spf = texts.iter().find(|t| t.starts_with("v=spf1")).unwrap();
    assert_eq!(texts.len(), 8 * 5 + 1, "{texts:?}");
    assert!((0..8).all(|writer| spf.contains(&format!("ip4:192.0.2.{writer} "))), "{spf}");
    none_wrong(&model);
}
