//! A model of a DNS host behind a socket, and the program that calls it.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, to_bytes};
use axum::response::IntoResponse;
use cloudron_http::HttpTransport;
use cloudron_testkit::canary::{Canary, assert_none};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::common::{Home, Run};
use crate::model::{Fault, Model, State, TOKEN};

/// The model of DigitalOcean with the zone `example.com`, and a home to run the program in.
pub struct Host {
    pub home: Home,
    pub model: Arc<Model>,
    pub endpoint: String,
    /// The number of writes after which the host stops answering; 0 means never.
    pub silent_after: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Host {
    pub fn new() -> Self {
        let model = Model::new();
        model.zone("example.com");
        let silent_after = Arc::new(AtomicUsize::new(0));
        let runtime = Runtime::new().unwrap();
        let endpoint = runtime.block_on(serve(model.clone(), silent_after.clone()));
        Self { home: Home::new(), model, endpoint, silent_after, _runtime: runtime }
    }

    /// Adds a record to the zone as another client would.
    pub fn foreign(&self, rtype: &str, name: &str, data: &str) {
        self.model.lock().put("example.com", json!({"type": rtype, "name": name, "data": data, "ttl": 1800}));
    }

    /// Returns the data of the records of a name and type.
    pub fn data(&self, rtype: &str, name: &str) -> Vec<String> {
        let records = self.model.records("example.com");
        let here = records.iter().filter(|r| r.text("type") == rtype && r.text("name") == name);
        let mut data: Vec<String> = here.map(|r| r.text("data").to_owned()).collect();
        data.sort();
        data
    }

    pub fn file(&self, name: &str, text: &str) {
        std::fs::write(self.home.path(name), text).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command();
        let endpoint = format!("digitalocean={}", self.endpoint);
        command.args(["dns"]).args(arguments).args(["--provider", "digitalocean", "--endpoint", &endpoint]);
        command.env("DIGITALOCEAN_TOKEN", TOKEN).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command. Nothing that it prints or stores may contain the token.
    pub fn run(&self, arguments: &[&str]) -> Run {
        let output = self.command(arguments).output().unwrap();
        let canary = Canary::new().secret("token", TOKEN);
        assert_none(&canary.in_bytes("stdout", &output.stdout));
        assert_none(&canary.in_bytes("stderr", &output.stderr));
        assert_none(&canary.in_tree(self.home.dir()).unwrap());
        assert_eq!(self.model.lock().violations, Vec::<String>::new());
        Run::of(output)
    }

    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}\n{}\n{}", run.stdout, run.stderr);
        run.stdout
    }

    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["--output", "json"]].concat());
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(value["schema"], 1);
        value
    }

    /// Returns the number of requests since the last write.
    pub fn writes(&self) -> usize {
        self.model.requests().iter().filter(|r| !r.starts_with("GET")).count()
    }
}

impl State {
    /// Returns the next fault. The model calls this; only faults queued by a test are returned.
    pub fn next_fault(&mut self, _writes: bool) -> Fault {
        self.faults.pop_front().unwrap_or(Fault::None)
    }
}

/// Serves an API behind a socket. Returns its address.
pub async fn serve(model: Arc<dyn HttpTransport>, silent_after: Arc<AtomicUsize>) -> String {
    let handler = move |request: axum::extract::Request| {
        let (model, silent_after) = (model.clone(), silent_after.clone());
        async move {
            let (head, body) = request.into_parts();
            let writes = head.method != "GET";
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let answer = model.send(http::Request::from_parts(head, body)).await.expect("an answer");
            if writes {
                let left =
                    silent_after.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
                if left == Ok(1) {
                    // The request is carried out, but not answered.
                    std::future::pending::<()>().await;
                }
            }
            answer.map(Body::from).into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().fallback(handler);
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}
