use bytes::Bytes;
use cloudron_backup::codes;
use cloudron_backup::lifecycle::{self, Harm, SafeDays};
use cloudron_backup::store::Known;
use cloudron_backup::{VerifyDepth, conformance};
use cloudron_core::{Cancel, Progress};

use crate::common::{Fixture, noise};
use crate::moto::Moto;

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    let Some(moto) = Moto::start() else { return };
    // Moto checks first and then writes: concurrent writers are tested on the fake.
    conformance::check_one_writer(moto.store("s3://bucket/some/prefix")).await;
    conformance::check_one_writer(moto.store("s3://bucket")).await;
    conformance::check_long_list(moto.store("s3://bucket"), 1_050).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_backed_up_verified_and_restored() {
    let Some(moto) = Moto::start() else { return };
    let f = Fixture::on(moto.store("s3://bucket/home")).await;
    f.write("large", noise(40_000_000, 1));
    for i in 0..300 {
        f.write(&format!("mail/{i}"), noise(i * 10, 2));
    }
    let first = f.backup().await.id;
    f.write("mail/7", "changed");
    let second = f.backup().await;
    assert!(second.added_bytes < 100_000, "{second:?}");
    f.assert_restores(&second.id, "out").await;
    let report = f
        .repo
        .verify(VerifyDepth::Full, Some(&f.identity), &Progress::none(), &Cancel::new())
        .await
        .unwrap()
        .good()
        .unwrap();
    assert_eq!(report.good, [first.to_string(), second.id.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_written_in_parts_once() {
    let Some(moto) = Moto::start() else { return };
    let store = moto.store("s3://bucket/p");
    let file = tempfile::NamedTempFile::new().unwrap();
    let content = noise(40 << 20, 3);
    std::fs::write(file.path(), &content).unwrap();
    assert!(store.put_new_file("snapshots/x.age", file.path()).await.unwrap());
    assert!(!store.put_new_file("snapshots/x.age", file.path()).await.unwrap());
    assert_eq!(store.get("snapshots/x.age").await.unwrap(), content);
    assert!(!moto.request("GET", "/bucket?uploads", "").contains("<Upload>"), "no unfinished upload is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_delete_by_age_are_found_and_ours_go_beside_them() {
    let Some(moto) = Moto::start() else { return };
    let store = moto.store("s3://bucket/home");
    assert_eq!(store.lifecycle().await.unwrap(), Known::Is(lifecycle::Lifecycle::default()));
    let rules = "<LifecycleConfiguration><Rule><ID>old ones</ID><Status>Enabled</Status>\
        <Filter><Prefix>home/</Prefix></Filter><Expiration><Days>90</Days></Expiration></Rule>\
        <Rule><ID>logs</ID><Status>Enabled</Status><Filter><Prefix>logs/</Prefix></Filter>\
        <Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>";
    moto.request("PUT", "/bucket?lifecycle", rules);
    let review = lifecycle::apply(&*store, SafeDays::default()).await.unwrap();
    assert_eq!(review.dangers.len(), 1);
    assert_eq!((review.dangers[0].rule.as_str(), &review.dangers[0].harm), ("old ones", &Harm::Deletes));
    let after = lifecycle::review(&*store, SafeDays::default()).await.unwrap();
    assert!(after.is_applied, "{after:?}");
    let Known::Is(current) = after.current else { panic!("the rules are known") };
    assert_eq!(current.rules.len(), 4);
    assert_eq!(current.rules.iter().filter(|r| r.name() == "logs" || r.name() == "old ones").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn versioning_and_object_lock_are_seen() {
    let Some(moto) = Moto::start() else { return };
    let rules = moto.store("s3://bucket").rules().await.unwrap();
    // Moto's response for a bucket that never had versions uses a wrong name.
    assert_ne!(rules.versioning, Known::Is(true));
    assert_eq!(rules.object_lock.known().map(|lock| lock.enabled), Some(false));
    moto.create_locked_bucket("locked");
    let store = moto.store("s3://locked");
    let rules = store.rules().await.unwrap();
    let lock = rules.object_lock.known().unwrap();
    assert_eq!((lock.enabled, lock.default_retention.as_deref()), (true, Some("GOVERNANCE 30 days")));
    store.put("a", &Bytes::from_static(b"x")).await.unwrap();
    store.delete("a").await.unwrap();
    assert!(moto.request("GET", "/locked?versions", "").contains("<Version>"), "it stays as a version");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_exist_is_named() {
    let Some(moto) = Moto::start() else { return };
    let store = moto.store("s3://no-such-bucket/x");
    let error = store.put("a", &Bytes::new()).await.unwrap_err();
    assert!(error.is(&codes::STORE_MISSING), "{error:?}");
    let error = store.list("").await.unwrap_err();
    assert!(error.is(&codes::STORE_MISSING), "{error:?}");
}
