//! Failing requests and servers.

use std::time::Duration;

use bytes::Bytes;
use cloudron_backup::store::{ConditionalWrites, ServerSideEncryption};
use cloudron_backup::{codes, conformance, open_store_with};
use cloudron_core::codes as core;

use crate::common::noise;
use crate::fake::{Fake, Fault};
use crate::moto::options;

const ONE: Bytes = Bytes::from_static(b"one");

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_in_short_pages() {
    let fake = Fake::start();
    fake.state.lock().unwrap().page = 3;
    conformance::check(fake.store()).await;
    conformance::check_long_list(fake.store(), 33).await;
}

#[tokio::test]
async fn passing_failures_are_repeated_until_it_works() {
    let fake = Fake::start();
    let store = fake.store();
    for fault in [
        Fault::Answer(500, "", "InternalError"),
        Fault::Answer(503, "", "SlowDown"),
        Fault::Answer(400, "", "RequestTimeout"),
        Fault::Cut,
    ] {
        fake.fault("PUT /bucket/p/a", fault);
    }
    store.put("a", &ONE).await.unwrap();
    assert_eq!(fake.log().len(), 5);
    for fault in [Fault::Half, Fault::Cut, Fault::Answer(503, "", "ServiceUnavailable")] {
        fake.fault("GET /bucket/p/a", fault);
    }
    assert_eq!(store.get("a").await.unwrap(), ONE, "an answer that was cut is asked for again");
    fake.fault("DELETE", Fault::DoneAndCut);
    store.delete("a").await.unwrap();
    fake.fault("GET /bucket?", Fault::Half);
    assert!(store.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_store_that_keeps_failing_is_unavailable_and_worth_a_later_try() {
    let fake = Fake::start();
    for _ in 0..20 {
        fake.fault("GET", Fault::Answer(503, "", "SlowDown"));
    }
    let error = fake.store().get("a").await.unwrap_err();
    assert!(error.is(&codes::STORE_UNAVAILABLE) && error.is_retryable(), "{error:?}");
    assert_eq!((fake.log().len(), error.request_id()), (8, Some("R1")));
    assert!(error.to_string().contains("SlowDown"), "{error}");
}

#[tokio::test]
async fn silence_ends_with_the_time_limit() {
    let fake = Fake::start();
    let mut options = options(&fake.endpoint);
    options.timeout = Duration::from_millis(200);
    options.retry.attempts = 2;
    for _ in 0..2 {
        fake.fault("GET", Fault::Silence);
    }
    let store = open_store_with("s3://bucket/p", &options).unwrap();
    let error = store.get("a").await.unwrap_err();
    assert!(error.is(&codes::STORE_UNAVAILABLE), "{error:?}");
    assert_eq!(fake.log().len(), 2, "{error}");
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut options = options(&format!("http://127.0.0.1:{port}"));
    options.retry.attempts = 2;
    let error = open_store_with("s3://bucket", &options).unwrap().get("a").await.unwrap_err();
    assert!(error.is(&codes::STORE_UNAVAILABLE), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn of_a_conditional_write_whose_answer_is_lost_the_writer_knows_that_it_won() {
    let fake = Fake::start();
    let store = fake.store();
    fake.fault("PUT", Fault::DoneAndCut);
    assert!(store.put_new("a", &ONE).await.unwrap(), "the object is our own");
    fake.fault("PUT", Fault::DoneAnd(500, "InternalError"));
    assert!(store.put_new("b", &ONE).await.unwrap(), "and so is one after a server's own error");
    // The other writer's object has the same content, but it is not ours.
    fake.fault("PUT", Fault::Answer(500, "", "InternalError"));
    assert!(!store.put_new("a", &ONE).await.unwrap());
    fake.fault("PUT", Fault::Answer(409, "", "ConditionalRequestConflict"));
    fake.log();
    assert!(!store.put_new("a", &ONE).await.unwrap());
    assert_eq!(fake.log().len(), 2, "after a conflict nothing is open, so nothing is looked up");
}

#[tokio::test]
async fn a_conditional_write_takes_one_request() {
    let fake = Fake::start();
    let store = fake.store();
    assert!(store.put_new("a", &ONE).await.unwrap());
    assert!(!store.put_new("a", &ONE).await.unwrap());
    assert_eq!(fake.log(), ["PUT /bucket/p/a", "PUT /bucket/p/a"]);
}

#[tokio::test]
async fn a_service_without_conditional_writes_is_used_only_when_allowed() {
    let fake = Fake::start();
    fake.fault("PUT", Fault::Answer(501, "", "NotImplemented"));
    let error = fake.store().put_new("a", &ONE).await.unwrap_err();
    assert!(error.is(&codes::STORE_CONDITIONAL), "{error:?}");
    let mut options = options(&fake.endpoint);
    options.conditional_writes = ConditionalWrites::LookFirst;
    let store = open_store_with("s3://bucket/p", &options).unwrap();
    fake.log();
    assert!(store.put_new("a", &ONE).await.unwrap());
    assert!(!store.put_new("a", &Bytes::new()).await.unwrap());
    assert_eq!(store.get("a").await.unwrap(), ONE);
    assert_eq!(fake.log()[..3], ["HEAD /bucket/p/a", "PUT /bucket/p/a", "HEAD /bucket/p/a"]);
}

#[tokio::test]
async fn what_the_service_refuses_has_a_code_that_says_what_to_do() {
    let fake = Fake::start();
    let store = fake.store();
    let answer = Fault::Answer;
    for (fault, code) in [
        (answer(403, "", "AccessDenied"), &codes::STORE_DENIED),
        (answer(403, "", "SignatureDoesNotMatch"), &codes::STORE_DENIED),
        (answer(400, "", "ExpiredToken"), &codes::STORE_DENIED),
        (answer(403, "", "RequestTimeTooSkewed"), &codes::STORE_CLOCK),
        (answer(404, "", "NoSuchBucket"), &codes::STORE_MISSING),
        (answer(301, "x-amz-bucket-region: eu-north-1\r\n", "PermanentRedirect"), &codes::STORE_REGION),
        (answer(400, "", "AuthorizationHeaderMalformed"), &codes::STORE_REGION),
        (answer(507, "", "XMinioStorageFull"), &core::NO_SPACE),
        (answer(403, "", "QuotaExceeded"), &core::NO_SPACE),
        (answer(400, "", "InvalidArgument"), &codes::STORE_FAILED),
    ] {
        fake.fault("PUT", fault.clone());
        let error = store.put("a", &ONE).await.unwrap_err();
        assert!(error.is(code), "{fault:?}: {error:?}");
        assert!(!error.is_retryable() && !format!("{error:?}").contains("canary"), "{error:?}");
        if error.is(&codes::STORE_REGION) && fake.log().len() == 6 {
            assert_eq!(error.hint(), Some("the bucket is in the region eu-north-1"));
        }
    }
}

#[tokio::test]
async fn a_failed_upload_in_parts_leaves_none_behind() {
    let fake = Fake::start();
    let store = fake.store();
    let file = tempfile::NamedTempFile::new().unwrap();
    let content = noise(40 << 20, 1);
    std::fs::write(file.path(), &content).unwrap();
    fake.fault("PUT /bucket/p/large?partNumber=2", Fault::Answer(403, "", "AccessDenied"));
    let error = store.put_new_file("large", file.path()).await.unwrap_err();
    assert!(error.is(&codes::STORE_DENIED), "{error:?}");
    assert_eq!(fake.state.lock().unwrap().unfinished_uploads(), 0);
    // Transient failures are retried, part by part, and a lost response at the end is resolved.
    fake.fault("PUT /bucket/p/large?partNumber=1", Fault::Cut);
    fake.fault("PUT /bucket/p/large?partNumber=3", Fault::Answer(500, "", "InternalError"));
    fake.fault("POST /bucket/p/large?uploadId", Fault::DoneAndCut);
    assert!(store.put_new_file("large", file.path()).await.unwrap());
    assert_eq!(store.get("large").await.unwrap(), content);
    // Another writer finished before the end of the upload.
    fake.fault("HEAD", Fault::Answer(404, "", ""));
    assert!(!store.put_new_file("large", file.path()).await.unwrap());
    assert_eq!(fake.state.lock().unwrap().unfinished_uploads(), 0);
    // An error in the body of a successful response.
    fake.fault("HEAD", Fault::Answer(404, "", ""));
    fake.state.lock().unwrap().objects.clear();
    fake.fault("POST /bucket/p/large?uploadId", Fault::Answer(200, "", "InternalError"));
    assert!(store.put_new_file("large", file.path()).await.unwrap());
    assert_eq!(store.get("large").await.unwrap(), content);
}

#[tokio::test]
async fn packs_get_the_storage_class_and_everything_the_encryption() {
    let fake = Fake::start();
    let mut options = options(&fake.endpoint);
    options.storage_class = Some("STANDARD_IA".to_owned());
    options.server_side_encryption = Some(ServerSideEncryption::Kms { key: Some("k1".to_owned()) });
    let store = open_store_with("s3://bucket/p", &options).unwrap();
    store.put("packs/aa/x.age", &ONE).await.unwrap();
    store.put("index/x.age", &ONE).await.unwrap();
    let state = fake.state.lock().unwrap();
    let header = |key: &str, name: &str| state.objects[key].headers.get(name).cloned();
    assert_eq!(header("p/packs/aa/x.age", "x-amz-storage-class").as_deref(), Some("STANDARD_IA"));
    assert_eq!(header("p/index/x.age", "x-amz-storage-class"), None);
    assert_eq!(header("p/index/x.age", "x-amz-server-side-encryption").as_deref(), Some("aws:kms"));
    assert_eq!(header("p/index/x.age", "x-amz-server-side-encryption-aws-kms-key-id").as_deref(), Some("k1"));
}

#[tokio::test]
async fn a_list_that_goes_nowhere_is_an_error_and_not_a_short_list() {
    let fake = Fake::start();
    let store = fake.store();
    for key in ["a", "b", "c"] {
        store.put(key, &ONE).await.unwrap();
    }
    fake.fault("GET /bucket?", Fault::Answer(200, "", ""));
    assert!(store.list("").await.is_err(), "an answer that is no list is no empty list");
    fake.fault(
        "GET /bucket?",
        Fault::Text("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"),
    );
    let error = store.list("").await.unwrap_err();
    assert!(error.to_string().contains("gives no next one"), "{error}");
}
