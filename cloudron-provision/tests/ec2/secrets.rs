//! Where secrets must not be.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use cloudron_core::Secret;
use cloudron_provision::ec2::*;
use cloudron_testkit::canary::{self, Canary};

use super::bench::{SECRET, SESSION, answer, broken, client, refusal};
use super::samples;

const HOST_KEY: &str = "CANARYhostkey-b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn canaries() -> Canary {
    Canary::new().secret("secret key", SECRET).secret("session token", SESSION).secret("host key", HOST_KEY)
}

#[tokio::test]
async fn no_secret_is_in_an_error_a_log_or_debug_output() {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || written.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::trace!("the finest level is written");
    // As services answer: with what was signed, which has the session token.
    let echo = format!(
        "The Canonical String for this request should have been 'POST / x-amz-security-token:{SESSION} {SECRET}'"
    );
    let launch = RunInstances { user_data: Some(Secret::new(HOST_KEY)), ..samples::launch() };
    let mut shown = format!("{launch:?}");
    for failing in [
        refusal(403, "SignatureDoesNotMatch", &echo),
        refusal(503, "RequestLimitExceeded", &echo),
        answer(200, format!("<R>{SESSION}")),
        answer(500, format!("<html>{SECRET}</html>")),
        broken(),
    ] {
        let (client, script) = client([failing]);
        let failure = client.call(&launch).await.unwrap_err();
        shown += &format!("{failure} {failure:?} {client:?} {:?}", failure.error);
        shown += &format!("{:?}", script.sent.lock().unwrap()[0].headers());
        assert!(!failure.to_string().is_empty());
    }
    let attribute = "<DescribeInstanceAttributeResponse><userData><value>CANARYhostkey-b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE\
                     </value></userData></DescribeInstanceAttributeResponse>";
    let (client, script) = client([answer(200, attribute)]);
    let request = DescribeInstanceAttribute { instance_id: "i-1".into(), attribute: "userData".into() };
    shown += &format!("{:?}", client.call(&request).await.unwrap());
    // It was sent, so that there was something to find.
    assert_eq!(script.sent.lock().unwrap()[0].headers()["x-amz-security-token"], SESSION);
    canary::assert_none(&canaries().in_bytes("errors and Debug", shown.as_bytes()));
    let log = log.0.lock().unwrap();
    assert!(String::from_utf8_lossy(&log).contains("the finest level"));
    assert!(String::from_utf8_lossy(&log).contains("RunInstances"));
    canary::assert_none(&canaries().in_bytes("the log", &log));
}

#[tokio::test]
async fn credentials_that_are_no_header_are_refused_before_anything_is_sent() {
    let (client, script) = client([broken()]);
    let bad = Credentials {
        session_token: Some(Secret::new("CANARY\nX-Injected: 1")),
        ..Credentials::new("AKID", Secret::new(SECRET))
    };
    let other = Client::new(client.region().clone(), bad, client.transport.clone(), client.clock.clone());
    let failure = other.call(&DescribeAddresses::default()).await.unwrap_err();
    assert!(!failure.unknown && !failure.to_string().contains("CANARY"), "{failure}");
    assert_eq!(script.count(), 0);
}
