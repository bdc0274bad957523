//! The credentials of an instance, from a double of the metadata service.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cloudron_core::{Clock, Error};
use cloudron_http::{HttpOptions, InstanceMetadata, ReqwestTransport, codes};
use cloudron_testkit::instance_metadata::{Behaviour, InstanceMetadataDouble};

/// A clock that the test moves. It does not wait.
struct Moved(Mutex<SystemTime>);

impl Moved {
    /// 2026-12-01T12:00:00Z.
    fn noon() -> Arc<Self> {
        Arc::new(Self(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_126_400))))
    }

    fn pass(&self, minutes: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(60 * minutes);
    }
}

#[async_trait]
impl Clock for Moved {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
    fn monotonic(&self) -> Duration {
        self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
    }
    async fn sleep(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

fn service(double: &InstanceMetadataDouble, clock: &Arc<Moved>) -> InstanceMetadata {
    let mut http = HttpOptions::default().within(Duration::from_millis(400));
    http.longest_answer = 16 << 10;
    let transport = Arc::new(ReqwestTransport::new(http).unwrap());
    InstanceMetadata::new(double.endpoint(), transport, clock.clone()).unwrap()
}

fn good(id: &str, expiration: &str) -> Behaviour {
    Behaviour::with("cloudron-example.com", id, "canary-secret", expiration)
}

async fn refused(behaviour: Behaviour) -> Error {
    let double = InstanceMetadataDouble::start(behaviour);
    let error = service(&double, &Moved::noon()).credentials().await.unwrap_err();
    assert!(error.is(&codes::INSTANCE_CREDENTIALS), "{error}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    error
}

#[tokio::test]
async fn credentials_are_asked_for_with_a_token_kept_and_renewed_before_they_end() {
    let (clock, double) = (Moved::noon(), InstanceMetadataDouble::start(good("one", "2026-12-01T18:00:00Z")));
    let service = service(&double, &clock);
    let first = service.credentials().await.unwrap();
    assert_eq!((&*first.access_key_id, first.secret_access_key.expose()), ("one", "canary-secret"));
    assert_eq!(first.session_token.expose(), "session-one");
    let role = "/latest/meta-data/iam/security-credentials/";
    let asked = double.take_requests();
    assert_eq!(
        asked,
        [
            "PUT /latest/api/token".to_owned(),
            format!("GET {role}"),
            format!("GET {role}cloudron-example.com")
        ]
    );
    double.set(good("two", "2026-12-01T23:59:00Z"));
    clock.pass(354);
    assert_eq!(service.credentials().await.unwrap(), first);
    assert_eq!(double.take_requests(), [""; 0], "they are kept");
    clock.pass(2);
    assert_eq!(service.credentials().await.unwrap().access_key_id, "two", "four minutes before the end");
    assert!(!format!("{first:?} {service:?}").contains("canary"));
}

#[tokio::test]
async fn many_that_ask_at_once_send_one_question() {
    let double = InstanceMetadataDouble::start(good("one", "2026-12-01T18:00:00Z"));
    let service = Arc::new(service(&double, &Moved::noon()));
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { service.credentials().await })
        })
        .collect();
    for one in asking {
        assert!(one.await.unwrap().is_ok());
    }
    assert_eq!(double.take_requests().len(), 3);
}

#[tokio::test]
async fn a_service_that_fails_for_a_moment_is_asked_again_and_does_no_harm_while_the_last_credentials_are_valid()
 {
    let (clock, double) = (Moved::noon(), InstanceMetadataDouble::start(good("one", "2026-12-01T13:00:00Z")));
    double.set(Behaviour { failures: 2, ..good("one", "2026-12-01T13:00:00Z") });
    let service = service(&double, &clock);
    assert_eq!(service.credentials().await.unwrap().access_key_id, "one");
    double.set(Behaviour { failures: 1000, ..Behaviour::default() });
    clock.pass(57);
    assert_eq!(service.credentials().await.unwrap().access_key_id, "one", "still valid");
    let asked = double.take_requests().len();
    assert_eq!(service.credentials().await.unwrap().access_key_id, "one");
    assert_eq!(double.take_requests().len(), 0, "asked again after a minute only, {asked}");
    clock.pass(4);
    assert!(service.credentials().await.unwrap_err().is(&codes::INSTANCE_CREDENTIALS), "they have ended");
    double.set(good("two", "2026-12-01T19:00:00Z"));
    assert_eq!(service.credentials().await.unwrap().access_key_id, "two");
}

#[tokio::test]
async fn an_instance_without_a_role_is_told_so() {
    let error = refused(Behaviour::default()).await;
    assert!(error.message().contains("no role"), "{error}");
    let empty = Behaviour { listed: Some("\n".into()), ..Behaviour::default() };
    assert!(refused(empty).await.message().contains("no role"));
    let gone = Behaviour { listed: Some("gone".into()), ..Behaviour::default() };
    assert!(refused(gone).await.message().contains("no role"));
}

#[tokio::test]
async fn a_slow_and_a_hostile_service_end_in_an_error_soon() {
    let begun = std::time::Instant::now();
    let slow = Behaviour { delay: Duration::from_secs(5), ..good("one", "2026-12-01T18:00:00Z") };
    assert!(refused(slow).await.message().contains("does not answer"));
    refused(Behaviour { endless: true, ..Behaviour::default() }).await;
    for listed in ["../../user-data", "a/b", "..", "a b", &"a".repeat(65), "a\u{1b}[2J"] {
        refused(Behaviour { listed: Some(listed.into()), ..Behaviour::default() }).await;
    }
    let role = Some("r".to_owned());
    for credentials in [
        "",
        "{}",
        "[]",
        r#"{"Code":"Success"}"#,
        r#"{"Code":"Success","AccessKeyId":"a","SecretAccessKey":"canary","Token":"","Expiration":"2030-01-01T00:00:00Z"}"#,
        r#"{"Code":"Success","AccessKeyId":"a\r\nx: y","SecretAccessKey":"canary","Token":"t","Expiration":"2030-01-01T00:00:00Z"}"#,
        r#"{"Code":"Success","AccessKeyId":"a","SecretAccessKey":"canary","Token":"t","Expiration":"soon"}"#,
        r#"{"Code":"Success","AccessKeyId":"a","SecretAccessKey":"canary","Token":"t","Expiration":"1900-01-01T00:00:00Z"}"#,
        r#"{"Code":"AssumeRoleUnauthorizedAccess\u001b","AccessKeyId":"","SecretAccessKey":"canary"}"#,
    ] {
        let error = refused(Behaviour {
            role: role.clone(),
            credentials: credentials.into(),
            ..Behaviour::default()
        })
        .await;
        assert!(!error.message().contains('\u{1b}'), "{error}");
    }
    let expired = refused(good("one", "2026-12-01T11:59:59Z")).await;
    assert!(expired.message().contains("expired"), "{expired}");
    let huge = Behaviour { role, credentials: "a".repeat(1 << 20), ..Behaviour::default() };
    refused(huge).await;
    assert!(begun.elapsed() < Duration::from_secs(20));
}
