//! A machine with a front on port 80 and a folder, beside an authority.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cloudron_acme::{
    Authority, Certificates, Challenge, Event, HttpChallenges, Options, Resolver, Served, Wanted,
};
use cloudron_core::{Clock, SystemClock};
use cloudron_http::{HttpOptions, ReqwestTransport};
use cloudron_testkit::pebble::Pebble;

pub(crate) const NAME: &str = "my.example.com";

/// The system's clock, as many seconds ahead as the test wants.
#[derive(Default)]
pub(crate) struct Shifted(pub(crate) Mutex<i64>);

#[async_trait]
impl Clock for Shifted {
    fn now(&self) -> SystemTime {
        let by = *self.0.lock().unwrap();
        let length = Duration::from_secs(by.unsigned_abs());
        if by < 0 { SystemTime::now() - length } else { SystemTime::now() + length }
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }

    async fn sleep(&self, time: Duration) {
        SystemClock.sleep(time.min(Duration::from_millis(500))).await;
    }
}

pub(crate) struct World {
    pub(crate) pebble: Pebble,
    pub(crate) clock: Arc<Shifted>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) challenges: HttpChallenges,
    /// What the owner was told.
    pub(crate) told: Arc<Mutex<Vec<String>>>,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Option<Self> {
        Some(Self::beside(Pebble::start()?))
    }

    pub(crate) fn beside(pebble: Pebble) -> Self {
        let challenges = HttpChallenges::new();
        let front = TcpListener::bind(("127.0.0.1", pebble.http_port())).unwrap();
        let shared = challenges.clone();
        std::thread::spawn(move || {
            for stream in front.incoming().map_while(Result::ok) {
                let mut line = String::new();
                let mut reader = BufReader::new(stream);
                let _ = reader.read_line(&mut line);
                let found = shared.answer(line.split(' ').nth(1).unwrap_or_default());
                let (status, body) = found.map_or((404, String::new()), |body| (200, body));
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status} -\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = reader.into_inner().write_all(text.as_bytes());
            }
        });
        let (clock, resolver) = (Arc::default(), Resolver::new(None));
        let folder = tempfile::tempdir().unwrap();
        Self { pebble, clock, resolver, challenges, told: Arc::default(), folder }
    }

    pub(crate) fn options(&self) -> Options {
        let mut trust = HttpOptions::default().within(Duration::from_secs(10));
        trust.ca_pem = Some(self.pebble.trust());
        let transport = Arc::new(ReqwestTransport::new(trust).unwrap());
        let told = self.told.clone();
        let authority = Authority::at(self.pebble.directory());
        Options::new(self.state(), authority, transport, self.clock.clone())
            .solving(self.challenges.clone())
            .serving(self.resolver.clone())
            .telling(move |event: &Event<'_>| told.lock().unwrap().push(text_of(event)))
    }

    /// Opens the folder and wants one certificate.
    pub(crate) fn open(&self) -> Certificates {
        let certificates = Certificates::open(self.options()).unwrap();
        certificates.want([Wanted::new([NAME], Challenge::Http01).unwrap()]).unwrap();
        certificates
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("acme")
    }

    /// Returns the certificate that is served, DER; empty if there is none.
    pub(crate) fn served(&self) -> Vec<u8> {
        self.resolver.find(Some(NAME)).map(|key| key.cert[0].to_vec()).unwrap_or_default()
    }

    /// Returns the certificate in the folder, PEM without its key.
    pub(crate) fn leaf(&self) -> String {
        let pem = std::fs::read_to_string(self.state().join(format!("certificates/{NAME}.pem"))).unwrap();
        let begin = pem.find("-----BEGIN CERTIFICATE").unwrap();
        let end = pem[begin..].find("-----END CERTIFICATE-----\n").unwrap();
        pem[begin..begin + end + "-----END CERTIFICATE-----\n".len()].to_owned()
    }

    pub(crate) fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    pub(crate) fn later(&self, seconds: i64) {
        *self.clock.0.lock().unwrap() += seconds;
    }

    pub(crate) fn orders(&self) -> usize {
        self.pebble.gate().orders().len()
    }
}

fn text_of(event: &Event<'_>) -> String {
    match event {
        Event::Obtained { recovered, .. } => format!("obtained{}", if *recovered { " again" } else { "" }),
        Event::Failing { error, served, .. } => {
            let served = match served {
                Served::Valid(_) => "valid",
                Served::Expired(_) => "expired",
                Served::Fallback => "fallback",
            };
            format!("{} ({served})", error.code().name)
        }
        Event::Revoked { .. } => "revoked".to_owned(),
        other => format!("{other:?}"),
    }
}
