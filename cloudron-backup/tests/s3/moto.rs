//! A `moto_server` of the test's own: a process on a free port, which ends with the test.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloudron_backup::{BackupStore, StoreOptions, open_store_with};
use cloudron_core::Secret;

pub(crate) struct Moto {
    process: Child,
    pub(crate) endpoint: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Moto {
    /// A server with a bucket called `bucket`, or nothing where moto is not installed.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        let program = cloudron_testkit::require::tool("moto_server")?;
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &free.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { process, endpoint: format!("http://127.0.0.1:{free}") };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", free)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "moto_server does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        moto.request("PUT", "/bucket", "");
        Some(moto)
    }

    pub(crate) fn options(&self) -> StoreOptions {
        options(&self.endpoint)
    }

    pub(crate) fn store(&self, url: &str) -> Arc<dyn BackupStore> {
        open_store_with(url, &self.options()).unwrap()
    }

    /// A bucket with versions, whose new objects are locked for 30 days.
    pub(crate) fn create_locked_bucket(&self, name: &str) {
        self.send("PUT", &format!("/{name}"), "x-amz-bucket-object-lock-enabled: true\r\n", "");
        let lock = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
            <Mode>GOVERNANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
        self.request("PUT", &format!("/{name}?object-lock"), lock);
    }

    /// Sends a request as somebody else would, unsigned. Gives the answer with its head.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> String {
        self.send(method, path, "", body)
    }

    fn send(&self, method: &str, path: &str, more: &str, body: &str) -> String {
        use std::io::{Read, Write};
        let mut stream = TcpStream::connect(self.endpoint.strip_prefix("http://").unwrap()).unwrap();
        let head = "Authorization: AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request\r\n";
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{head}{more}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
        answer
    }
}

/// Options for a server at this address that fails fast.
pub(crate) fn options(endpoint: &str) -> StoreOptions {
    let mut options = StoreOptions::default();
    options.endpoint = Some(endpoint.to_owned());
    options.access_key_id = Some("id".to_owned());
    options.secret_access_key = Some(Secret::new("canary-secret-key"));
    options.retry = options.retry.waits(Duration::from_millis(1), Duration::from_millis(20));
    options
}
