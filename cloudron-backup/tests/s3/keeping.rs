//! Lifecycle rules that delete by age, and archives.

use std::time::Duration;

use cloudron_backup::lifecycle::{self, SafeDays};
use cloudron_backup::store::Known;
use cloudron_backup::{InitOptions, Repository, RestoreRequest, codes};
use cloudron_core::{Cancel, ErrorKind, Progress, Secret};

use crate::common::{Fixture, KEY, noise};
use crate::fake::Fake;

const BY_AGE: &str = "<LifecycleConfiguration><Rule><ID>keep-90</ID><Status>Enabled</Status>\
    <Filter><Prefix>p/</Prefix></Filter><Expiration><Days>90</Days></Expiration></Rule></LifecycleConfiguration>";

fn set_rules(fake: &Fake, status: u16, text: &str) {
    fake.state.lock().unwrap().lifecycle = Some((status, text.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_deletes_by_age_gets_no_repository_and_no_backup() {
    let fake = Fake::start();
    set_rules(&fake, 200, BY_AGE);
    let options = InitOptions { work_factor: Some(2) };
    let refused = Repository::init(fake.store(), &Secret::new(KEY), options).await.unwrap_err();
    assert!(refused.is(&codes::STORE_EXPIRES), "{refused:?}");
    assert!(refused.to_string().contains("keep-90"), "{refused}");
    assert!(fake.state.lock().unwrap().objects.is_empty(), "nothing was written");

    fake.state.lock().unwrap().lifecycle = None;
    let f = Fixture::on(fake.store()).await;
    f.write("a", "x");
    f.backup().await;
    set_rules(&fake, 200, BY_AGE);
    let refused = f.try_backup(&f.repo).await.unwrap_err();
    assert!(refused.is(&codes::STORE_EXPIRES) && refused.detail("rule").is_some(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_cannot_be_read_are_warned_of_and_not_replaced() {
    let fake = Fake::start();
    for (status, code) in [(403, "AccessDenied"), (501, "NotImplemented"), (405, "MethodNotAllowed")] {
        set_rules(&fake, status, code);
        let store = fake.store();
        assert!(matches!(store.lifecycle().await.unwrap(), Known::Unknown(_)), "{code}");
        let error = lifecycle::apply(&*store, SafeDays::default()).await.unwrap_err();
        assert!(error.is(&codes::STORE_RULES_UNKNOWN), "{error:?}");
    }
    let f = Fixture::on(fake.store()).await;
    f.write("a", "x");
    f.backup().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_writes_over_what_it_must_keep_gets_no_repository() {
    let fake = Fake::start();
    fake.state.lock().unwrap().writes_over = true;
    let options = InitOptions { work_factor: Some(2) };
    let refused = Repository::init(fake.store(), &Secret::new(KEY), options).await.unwrap_err();
    assert!(refused.is(&codes::STORE_CONDITIONAL), "{refused:?}");
    let left = fake.store().list("keys/").await.unwrap();
    assert!(left.is_empty(), "no half repository is left: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_asks_for_what_is_archived_and_goes_on_when_run_again() {
    let fake = Fake::start();
    let f = Fixture::on(fake.store()).await;
    f.write("a", noise(3_000_000, 1));
    let id = f.backup().await.id;
    f.write("b", noise(3_000_000, 2));
    f.backup().await;
    let packs = fake.archive("/packs/");
    fake.log();
    let error = f.restore(&id, "out").await.unwrap_err();
    assert!(error.is(&codes::OBJECT_ARCHIVED) && error.is_retryable(), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Partial);
    assert!(!f.target("out").exists(), "nothing was written");
    let asked = fake.log().iter().filter(|line| line.ends_with("?restore")).count();
    assert!(asked >= 1 && asked < packs, "only what this backup needs was asked for: {asked} of {packs}");
    let mut tries = 0;
    while f.restore(&id, "out").await.is_err() {
        tries += 1;
        assert!(tries < 10, "it comes out of the archive");
    }
    assert!(f.compare(&id, "out").await.is_identical());
    assert!(fake.log().iter().all(|line| !line.ends_with("?restore")), "nothing is asked for twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_the_list_does_not_show_is_found_by_reading() {
    let fake = Fake::start();
    let f = Fixture::on(fake.store()).await;
    f.write("a", noise(1_000_000, 1));
    let id = f.backup().await.id;
    fake.add_header("/packs/", "x-amz-storage-class", "INTELLIGENT_TIERING");
    fake.add_header("/packs/", "x-amz-archive-status", "ARCHIVE_ACCESS");
    let error = f.restore(&id, "out").await.unwrap_err();
    assert!(error.is(&codes::OBJECT_ARCHIVED) && error.is_retryable(), "{error:?}");
    let mut request = RestoreRequest::under(f.target("out"));
    request.thaw_wait = Some(Duration::from_secs(20));
    assert!(f.restore_with(&id, &request).await.unwrap().is_complete());
    cloudron_testkit::tree::assert_same(&f.source(), &f.restored("out"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_may_wait_for_an_archive_even_of_the_index() {
    let fake = Fake::start();
    let f = Fixture::on(fake.store()).await;
    f.write("a", noise(1_000_000, 1));
    let made = f.backup().await;
    let (id, manifest) = (made.id.clone(), Fixture::manifest_of(&made));
    for part in ["/packs/", "/index/", &manifest] {
        assert!(fake.archive(part) > 0);
    }
    let mut request = RestoreRequest::under(f.target("out"));
    request.thaw_wait = Some(Duration::from_secs(20));
    let report = f.restore_with(&id, &request).await.unwrap();
    assert!(report.is_complete());
    cloudron_testkit::tree::assert_same(&f.source(), &f.restored("out"));
    let report = f
        .repo
        .verify(cloudron_backup::VerifyDepth::Quick, None, &Progress::none(), &Cancel::new())
        .await
        .unwrap();
    assert!(report.is_good(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_backup_is_found_without_reading_what_was_read_before() {
    let fake = Fake::start();
    let f = Fixture::on(fake.store()).await;
    f.write("a", "x");
    for _ in 0..3 {
        f.backup().await;
    }
    let repo = f.repo.clone().with_cache_dir(f.dir.path().join("list"));
    for (newest, requests) in [(3, 6), (3, 3), (4, 4), (4, 3)] {
        if newest == 4 && requests == 4 {
            f.backup().await;
        }
        fake.log();
        assert_eq!(repo.find("latest").await.unwrap().sequence, newest);
        assert_eq!(fake.log().len(), requests, "three lists, and each summary once");
    }
    let all = repo.snapshots().await.unwrap();
    assert_eq!(all.summaries.iter().map(|s| s.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
}
