//! A client whose answers are the test's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cloudron_core::{Clock, Error, Result, Secret};
use cloudron_http::{HttpTransport, Request, Response};
use cloudron_provision::ec2::{Client, Credentials, Region};

/// The time that the clock begins with: 2026-11-30T12:00:00Z.
pub(crate) const NOON: u64 = 1_796_040_000;

/// A secret access key that nothing may show.
pub(crate) const SECRET: &str = "CANARYsecretKEY/wJalrXUtnFEMI+K7MDENGbPx";
/// A session token that nothing may show.
pub(crate) const SESSION: &str = "CANARYsession/IQoJb3JpZ2luX2VjEHoaCXVzLWVhc3Qt+/==";

/// A clock whose waits are over at once.
#[derive(Default)]
pub(crate) struct Still(Mutex<Duration>);

#[async_trait]
impl Clock for Still {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOON) + self.monotonic()
    }
    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }
    async fn sleep(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

/// Answers one after the other. The last one is repeated.
pub(crate) struct Script {
    answers: Mutex<VecDeque<Result<Response, Error>>>,
    pub(crate) sent: Mutex<Vec<Request>>,
}

impl Script {
    pub(crate) fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// The bodies that were sent.
    pub(crate) fn bodies(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|request| String::from_utf8(request.body().to_vec()).unwrap()).collect()
    }
}

#[async_trait]
impl HttpTransport for Script {
    async fn send(&self, request: Request) -> Result<Response> {
        self.sent.lock().unwrap().push(request);
        let mut answers = self.answers.lock().unwrap();
        match answers.len() {
            1 => match &answers[0] {
                Ok(answer) => Ok(answer.clone()),
                Err(error) => Err(Error::new(error.code(), error.message()).retryable(error.is_retryable())),
            },
            _ => answers.pop_front().expect("an answer"),
        }
    }
}

/// A client with these answers.
pub(crate) fn client(answers: impl IntoIterator<Item = Result<Response, Error>>) -> (Client, Arc<Script>) {
    let answers = Mutex::new(answers.into_iter().collect());
    let script = Arc::new(Script { answers, sent: Mutex::default() });
    (on(script.clone()), script)
}

/// A client over a transport.
pub(crate) fn on(transport: Arc<dyn HttpTransport>) -> Client {
    let credentials = Credentials {
        session_token: Some(Secret::new(SESSION)),
        ..Credentials::new("AKIDEXAMPLE", Secret::new(SECRET))
    };
    Client::new(Region::parse("us-east-1").unwrap(), credentials, transport, Arc::new(Still::default()))
}

pub(crate) fn answer(status: u16, body: impl Into<Vec<u8>>) -> Result<Response, Error> {
    let date = "Mon, 30 Nov 2026 12:00:01 GMT";
    let answer = http::Response::builder().status(status).header("date", date);
    Ok(answer.body(body.into().into()).unwrap())
}

/// An error as EC2 writes it.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Result<Response, Error> {
    let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let id = "ea966190-f9aa-478e-9ede-example";
    answer(
        status,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors>{error}</Errors><RequestID>{id}</RequestID></Response>"
        ),
    )
}

/// A connection that broke.
pub(crate) fn broken() -> Result<Response, Error> {
    Err(Error::new(&cloudron_http::codes::UNREACHABLE, "ec2.us-east-1.amazonaws.com: connection reset"))
}
