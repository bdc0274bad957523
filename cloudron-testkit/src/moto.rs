//! A `moto_server`: Amazon's interfaces, in memory, in a separate process for a test.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::require;

/// A server on a free port of the loopback address. It ends with the test, and its data with it.
pub struct Moto {
    process: Child,
    address: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Moto {
    /// Starts one, or returns `None` if moto is not installed.
    ///
    /// # Panics
    /// If it does not answer within a minute.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let program = require::tool("moto_server")?;
        // Another test may get the same port in the meantime: then it is another server that listens there.
        let started = (0..5).find_map(|_| Self::start_once(&program));
        Some(started.expect("moto_server starts"))
    }

    /// Starts one, or returns `None` if it ended.
    fn start_once(program: &Path) -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback address has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        drop(listener);
        let process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto_server starts");
        let mut moto = Self { process, address: address.to_string() };
        let start = Instant::now();
        let hello = "GET /moto-api/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        while !moto.exchange(hello).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            if moto.process.try_wait().expect("it is our child").is_some() {
                return None;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "moto_server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(moto)
    }

    /// Sends a request, and returns the response.
    fn exchange(&self, request: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Returns the Python that runs moto, which has botocore: Amazon's own description of its interfaces. `None` if moto is
    /// not installed.
    #[track_caller]
    pub fn python() -> Option<PathBuf> {
        let python = require::tool("moto_server")?.with_file_name("python3");
        require::that(python.exists(), "moto_server has no Python beside it").then_some(python)
    }

    /// Returns its address: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a request to a service, such as `s3`, without credentials. Returns the response with its head.
    ///
    /// # Panics
    /// If the response is not a success.
    #[track_caller]
    pub fn request(&self, service: &str, method: &str, path: &str, more: &[&str], body: &str) -> String {
        let headers: String = more.iter().map(|line| format!("{line}\r\n")).collect();
        // Moto selects the service by this header and does not verify it.
        let scope = format!("Credential=id/20260101/us-east-1/{service}/aws4_request");
        let head = format!("Host: localhost\r\nAuthorization: AWS4-HMAC-SHA256 {scope}\r\n{headers}");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let answer = self.exchange(&request).expect("moto_server answers");
        assert!(answer.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
        answer
    }
}
