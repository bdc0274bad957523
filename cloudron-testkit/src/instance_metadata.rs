//! A double of the metadata service of an instance at EC2, version 2: no answer without a token.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PLACE: &str = "/latest/meta-data/iam/security-credentials/";
const TOKEN: &str = "token-of-the-double==";

/// How the double answers.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// The role of the instance. `None`: the instance has none.
    pub role: Option<String>,
    /// The credentials as they are answered.
    pub credentials: String,
    /// The answer to the request for the role, in place of its name.
    pub listed: Option<String>,
    /// So many requests are answered with 500 first.
    pub failures: u32,
    /// How long each answer takes.
    pub delay: Duration,
    /// Whether it answers with an endless body.
    pub endless: bool,
}

impl Behaviour {
    /// An instance with that role and credentials that end at a moment such as `2030-01-01T00:00:00Z`.
    #[must_use]
    pub fn with(role: &str, id: &str, secret: &str, expiration: &str) -> Self {
        let credentials = serde_json::json!({
            "Code": "Success", "LastUpdated": "2026-12-01T00:00:00Z", "Type": "AWS-HMAC",
            "AccessKeyId": id, "SecretAccessKey": secret, "Token": format!("session-{id}"), "Expiration": expiration,
        });
        Self { role: Some(role.to_owned()), credentials: credentials.to_string(), ..Self::default() }
    }
}

/// The double, on a port of its own. It lasts as long as the process.
pub struct InstanceMetadataDouble {
    address: String,
    state: Arc<Mutex<(Behaviour, Vec<String>)>>,
}

impl InstanceMetadataDouble {
    /// Starts it.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback address has a free port");
        let address = format!("http://{}", listener.local_addr().expect("a listener has an address"));
        let state = Arc::new(Mutex::new((behaviour, Vec::new())));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = shared.clone();
                // Whoever gives up in the middle of a request is not answered.
                std::thread::spawn(move || _ = serve(stream, &shared));
            }
        });
        Self { address, state }
    }

    /// Returns its address.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.address
    }

    /// Changes how it answers.
    ///
    /// # Panics
    /// If a test panicked while it held the double.
    pub fn set(&self, behaviour: Behaviour) {
        self.state.lock().expect("no test panics in here").0 = behaviour;
    }

    /// Returns the requests since the last time, as `GET /path`.
    ///
    /// # Panics
    /// If a test panicked while it held the double.
    #[must_use]
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("no test panics in here").1)
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<(Behaviour, Vec<String>)>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut lines = BufReader::new(stream.try_clone()?.take(64 << 10)).lines();
    for line in &mut lines {
        match line? {
            line if line.is_empty() => break,
            line => head.push(line),
        }
    }
    let mut words = head.first().map(String::as_str).unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let header = |name: &str| {
        let of = |line: &String| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        head.iter().find_map(of)
    };
    let behaviour = {
        let mut state = state.lock().expect("no test panics in here");
        state.1.push(format!("{method} {path}"));
        let now = state.0.clone();
        state.0.failures = now.failures.saturating_sub(1);
        now
    };
    std::thread::sleep(behaviour.delay);
    if behaviour.endless {
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
        loop {
            stream.write_all(&[b'a'; 4096])?;
        }
    }
    let role = behaviour.role.as_deref();
    let (status, body) = if behaviour.failures > 0 {
        (500, String::new())
    } else if method == "PUT" && path == "/latest/api/token" {
        match header("x-aws-ec2-metadata-token-ttl-seconds") {
            Some(seconds) if seconds.parse().is_ok_and(|n: u32| (1..=21600).contains(&n)) => {
                (200, TOKEN.into())
            }
            _ => (400, String::new()),
        }
    } else if header("x-aws-ec2-metadata-token").as_deref() != Some(TOKEN) {
        (401, String::new())
    } else if method == "GET" && path == PLACE {
        match (behaviour.listed, role) {
            (Some(listed), _) => (200, listed),
            (None, Some(role)) => (200, role.to_owned()),
            (None, None) => (404, String::new()),
        }
    } else if method == "GET" && role.is_some_and(|role| path == format!("{PLACE}{role}")) {
        (200, behaviour.credentials)
    } else {
        (404, String::new())
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}
