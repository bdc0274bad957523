//! A fake S3 server with the requests that the store uses, and with faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cloudron_backup::{BackupStore, open_store_with};
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// A fault in place of a request, or after it.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Returns this response: the status, headers, and the error code.
    Answer(u16, &'static str, &'static str),
    /// Returns this body with a status of success.
    Text(&'static str),
    /// Closes the connection before anything is done.
    Cut,
    /// Executes the request, and closes the connection without a response.
    DoneAndCut,
    /// Executes the request, and returns this response.
    DoneAnd(u16, &'static str),
    /// Sends half of the response's body.
    Half,
    /// Sends no response.
    Silence,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    pub(crate) content: Vec<u8>,
    pub(crate) headers: BTreeMap<String, String>,
    /// In an archive: the number of requests until a requested restore is done. `None` if it was not requested.
    pub(crate) thaw: Option<u32>,
}

impl Object {
    fn class(&self) -> &str {
        self.headers.get("x-amz-storage-class").map_or("STANDARD", String::as_str)
    }

    fn is_archived(&self) -> bool {
        matches!(self.class(), "GLACIER" | "DEEP_ARCHIVE")
            || self.headers.contains_key("x-amz-archive-status")
    }

    fn is_readable(&self) -> bool {
        !self.is_archived() || self.thaw == Some(0)
    }
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, (Object, BTreeMap<u32, Vec<u8>>)>,
    /// Consumed by requests that start with the text, as in `PUT /bucket/x`.
    pub(crate) faults: VecDeque<(&'static str, Fault)>,
    /// The requests: method and path with the query.
    pub(crate) log: Vec<String>,
    pub(crate) page: usize,
    /// The response to a request for lifecycle rules.
    pub(crate) lifecycle: Option<(u16, String)>,
    /// Ignores `If-None-Match`.
    pub(crate) writes_over: bool,
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) endpoint: String,
    pub(crate) state: Arc<Mutex<State>>,
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Answer(u16, String, Vec<u8>);

impl Answer {
    fn error(status: u16, code: &str) -> Self {
        let text = format!("<Error><Code>{code}</Code><Message>as told</Message></Error>");
        Self(status, String::new(), text.into_bytes())
    }
}

impl Fake {
    /// Starts a server that runs as long as the process.
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { page: 1000, ..State::default() }));
        let fake = Self { endpoint, state: state.clone() };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(listen(listener, state));
        });
        fake
    }

    pub(crate) fn store(&self) -> Arc<dyn BackupStore> {
        open_store_with("s3://bucket/p", &crate::moto::options(&self.endpoint)).unwrap()
    }

    pub(crate) fn fault(&self, request: &'static str, fault: Fault) {
        self.state.lock().unwrap().faults.push_back((request, fault));
    }

    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }

    /// Archives all objects whose key contains this text.
    pub(crate) fn archive(&self, part: &str) -> usize {
        self.add_header(part, "x-amz-storage-class", "DEEP_ARCHIVE")
    }

    pub(crate) fn add_header(&self, part: &str, name: &str, value: &str) -> usize {
        let mut state = self.state.lock().unwrap();
        let found = state.objects.iter_mut().filter(|(key, _)| key.contains(part));
        found.map(|(_, o)| o.headers.insert(name.to_owned(), value.to_owned())).count()
    }
}

async fn listen(listener: std::net::TcpListener, state: Arc<Mutex<State>>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        let service = service_fn(move |request| serve(state.clone(), request));
        let server = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
        // A connection that is cut ends with an error.
        tokio::spawn(server);
    }
}

async fn read(request: hyper::Request<Incoming>) -> io::Result<Request> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    let pairs = head.uri.query().unwrap_or_default().split('&').filter(|p| !p.is_empty());
    let plain = |text: &str| text.replace("%2F", "/");
    let query =
        pairs.map(|p| p.split_once('=').unwrap_or((p, ""))).map(|(k, v)| (plain(k), plain(v))).collect();
    let headers = head.headers.iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned())).collect();
    Ok(Request { method: head.method.to_string(), path: head.uri.path().to_owned(), query, headers, body })
}

/// Handles one request; an error closes the connection.
async fn serve(
    state: Arc<Mutex<State>>,
    request: hyper::Request<Incoming>,
) -> io::Result<hyper::Response<impl Body<Data = Bytes, Error = io::Error>>> {
    let request = read(request).await?;
    let fault = state.lock().unwrap().note(&request);
    let cut = || io::Error::other("cut");
    let mut half = false;
    let answer = match fault {
        None => state.lock().unwrap().answer(&request),
        Some(Fault::Answer(status, headers, code)) => {
            Answer(status, headers.to_owned(), Answer::error(status, code).2)
        }
        Some(Fault::Text(text)) => Answer(200, String::new(), text.into()),
        Some(Fault::Cut) => return Err(cut()),
        Some(Fault::DoneAndCut) => {
            state.lock().unwrap().answer(&request);
            return Err(cut());
        }
        Some(Fault::DoneAnd(status, code)) => {
            state.lock().unwrap().answer(&request);
            Answer::error(status, code)
        }
        Some(Fault::Half) => {
            half = true;
            state.lock().unwrap().answer(&request)
        }
        Some(Fault::Silence) => return std::future::pending().await,
    };
    let Answer(status, headers, body) = answer;
    let mut response = hyper::Response::builder().status(status).header("x-amz-request-id", "R1");
    for (name, value) in headers.lines().filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    if !headers.contains("Content-Length") {
        response = response.header("content-length", body.len());
    }
    let sent = if half { body.len() / 2 } else { body.len() };
    let mut frames = vec![Ok(Frame::data(Bytes::from(body).slice(..sent)))];
    if half {
        frames.push(Err(cut()));
    }
    Ok(response.body(StreamBody::new(stream::iter(frames))).unwrap())
}

/// Returns the part of a query that identifies the request.
fn shown(query: &BTreeMap<String, String>) -> String {
    let told = query.iter().filter(|(k, _)| k.as_str() != "x-id");
    let text: Vec<String> =
        told.map(|(k, v)| if v.is_empty() { k.clone() } else { format!("{k}={v}") }).collect();
    if text.is_empty() { text.concat() } else { format!("?{}", text.join("&")) }
}

impl State {
    /// Logs a request, and returns its fault.
    fn note(&mut self, request: &Request) -> Option<Fault> {
        let path = request.path.trim_end_matches('/');
        let line = format!("{} {path}{}", request.method, shown(&request.query));
        self.log.push(line.clone());
        let is_meant = self.faults.front().is_some_and(|(start, _)| line.starts_with(start));
        if is_meant { self.faults.pop_front().map(|(_, fault)| fault) } else { None }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let has = |name: &str| request.query.contains_key(name);
        let signed = request.headers.get("authorization").is_some_and(|a| a.starts_with("AWS4-HMAC-SHA256"));
        if !signed {
            return Answer::error(403, "AccessDenied");
        }
        let Some(rest) = request.path.strip_prefix("/bucket") else {
            return Answer::error(404, "NoSuchBucket");
        };
        let key = rest.trim_start_matches('/');
        match (request.method.as_str(), key) {
            ("GET", "") if has("lifecycle") => match &self.lifecycle {
                None => Answer::error(404, "NoSuchLifecycleConfiguration"),
                Some((200, text)) => Answer(200, String::new(), text.clone().into_bytes()),
                Some((status, code)) => Answer::error(*status, code),
            },
            ("PUT", "") if has("lifecycle") => {
                let text = String::from_utf8(request.body.clone()).unwrap();
                self.lifecycle = Some((200, text));
                Answer(200, String::new(), Vec::new())
            }
            ("GET", "") => self.list(&request.query),
            ("GET" | "HEAD", key) => self.get(request, key),
            ("PUT", key) if has("partNumber") => self.put_part(request, key),
            ("PUT", key) => self.put(request, key, Object::default()),
            ("POST", key) if has("uploads") => {
                let id = format!("up{}", self.uploads.len());
                let object = Object { headers: kept(&request.headers), ..Object::default() };
                self.uploads.insert(id.clone(), (object, BTreeMap::new()));
                let text = format!(
                    "<InitiateMultipartUploadResult><Bucket>bucket</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>\
                     </InitiateMultipartUploadResult>"
                );
                Answer(200, String::new(), text.into_bytes())
            }
            ("POST", key) if has("uploadId") => self.complete(request, key),
            ("POST", key) if has("restore") => self.restore(key),
            ("DELETE", _) if has("uploadId") => {
                self.uploads.remove(&request.query["uploadId"]);
                Answer(204, String::new(), Vec::new())
            }
            ("DELETE", key) => {
                self.objects.remove(key);
                Answer(204, String::new(), Vec::new())
            }
            _ => Answer::error(501, "NotImplemented"),
        }
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Answer {
        let prefix = query.get("prefix").cloned().unwrap_or_default();
        let after = query.get("continuation-token").cloned().unwrap_or_default();
        let mut found = self.objects.iter().filter(|(k, _)| k.starts_with(&prefix) && **k > after);
        let page: Vec<_> = found.by_ref().take(self.page).collect();
        let next = match (found.next(), page.last()) {
            (Some(_), Some((last, _))) => format!("<NextContinuationToken>{last}</NextContinuationToken>"),
            _ => String::new(),
        };
        let entries: String = page
            .iter()
            .map(|(key, o)| {
                let (size, class) = (o.content.len(), o.class());
                format!(
                    "<Contents><Key>{key}</Key><Size>{size}</Size><StorageClass>{class}</StorageClass>\
                     <LastModified>2099-01-01T00:00:00.000Z</LastModified></Contents>"
                )
            })
            .collect();
        let text = format!(
            "<ListBucketResult><IsTruncated>{}</IsTruncated>{next}{entries}</ListBucketResult>",
            !next.is_empty()
        );
        Answer(200, String::new(), text.into_bytes())
    }

    fn get(&mut self, request: &Request, key: &str) -> Answer {
        let Some(object) = self.objects.get_mut(key) else { return Answer::error(404, "NoSuchKey") };
        let mut headers = String::from("Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n");
        for (name, value) in &object.headers {
            headers.push_str(&format!("{name}: {value}\r\n"));
        }
        if request.method == "HEAD" {
            object.thaw = object.thaw.map(|left| left.saturating_sub(1));
            if object.thaw == Some(0) {
                object.headers.remove("x-amz-archive-status");
            }
            if let Some(left) = object.thaw {
                headers.push_str(&format!("x-amz-restore: ongoing-request=\"{}\"\r\n", left > 0));
            }
            headers.push_str(&format!("Content-Length: {}\r\n", object.content.len()));
            return Answer(200, headers, Vec::new());
        }
        if !object.is_readable() {
            return Answer::error(403, "InvalidObjectState");
        }
        let Some(range) = request.headers.get("range") else {
            return Answer(200, headers, object.content.clone());
        };
        let (start, last) = range.strip_prefix("bytes=").and_then(|r| r.split_once('-')).unwrap();
        let (start, last): (usize, usize) = (start.parse().unwrap(), last.parse().unwrap());
        if start >= object.content.len() {
            return Answer::error(416, "InvalidRange");
        }
        Answer(206, headers, object.content[start..object.content.len().min(last + 1)].to_vec())
    }

    fn put(&mut self, request: &Request, key: &str, base: Object) -> Answer {
        let taken =
            request.headers.get("if-none-match").is_some_and(|v| v == "*") && self.objects.contains_key(key);
        if taken && !self.writes_over {
            return Answer::error(412, "PreconditionFailed");
        }
        assert!(request.headers.contains_key("content-md5"), "other services get a checksum that they know");
        let object = Object { content: request.body.clone(), headers: kept(&request.headers), ..base };
        self.objects.insert(key.to_owned(), object);
        Answer(200, "ETag: \"x\"\r\n".to_owned(), Vec::new())
    }

    fn put_part(&mut self, request: &Request, _: &str) -> Answer {
        let number = request.query["partNumber"].parse().unwrap();
        let Some((_, parts)) = self.uploads.get_mut(&request.query["uploadId"]) else {
            return Answer::error(404, "NoSuchUpload");
        };
        parts.insert(number, request.body.clone());
        Answer(200, format!("ETag: \"{number}\"\r\n"), Vec::new())
    }

    fn complete(&mut self, request: &Request, key: &str) -> Answer {
        if !self.uploads.contains_key(&request.query["uploadId"]) {
            return Answer::error(404, "NoSuchUpload");
        }
        if request.headers.contains_key("if-none-match") && self.objects.contains_key(key) {
            return Answer::error(412, "PreconditionFailed");
        }
        let (object, parts) = self.uploads.remove(&request.query["uploadId"]).unwrap();
        let content = parts.into_values().flatten().collect();
        self.objects.insert(key.to_owned(), Object { content, ..object });
        let text = "<CompleteMultipartUploadResult><Key>x</Key></CompleteMultipartUploadResult>";
        Answer(200, String::new(), text.into())
    }

    fn restore(&mut self, key: &str) -> Answer {
        let Some(object) = self.objects.get_mut(key) else { return Answer::error(404, "NoSuchKey") };
        match (object.is_archived(), object.thaw) {
            (false, _) => Answer::error(403, "InvalidObjectState"),
            (_, Some(left)) if left > 0 => Answer::error(409, "RestoreAlreadyInProgress"),
            _ => {
                object.thaw = Some(3);
                Answer(202, String::new(), Vec::new())
            }
        }
    }

    pub(crate) fn unfinished_uploads(&self) -> usize {
        self.uploads.len()
    }
}

/// Returns the headers stored with an object.
fn kept(headers: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let stays = |name: &str| {
        name.starts_with("x-amz-meta-")
            || name == "x-amz-storage-class"
            || name.starts_with("x-amz-server-side")
    };
    headers.iter().filter(|(k, _)| stays(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
}
