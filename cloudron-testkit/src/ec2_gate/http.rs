//! One request a connection.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

use base64::Engine as _;

/// A request, and the parameters of its form.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) head: Vec<String>,
    pub(super) parameters: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) body: String,
}

impl Request {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// A parameter that is a text in base 64.
    pub(super) fn decoded(&self, name: &str) -> Option<String> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(self.parameter(name)?);
        Some(String::from_utf8(bytes.expect("it is base 64")).expect("it is text"))
    }

    /// The service, by the scope of the signature.
    pub(super) fn service(&self) -> Option<&str> {
        let signed = self.head.iter().find(|line| line.to_ascii_lowercase().starts_with("authorization:"))?;
        signed.split("Credential=").nth(1)?.split('/').nth(3)
    }

    /// Returns the request with other parameters.
    pub(super) fn with(&self, parameters: Vec<(String, String)>) -> Self {
        let body =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish().into_bytes();
        Self { head: self.head.clone(), parameters, body }
    }
}

/// Reads a request, and writes what it is answered with.
pub(super) fn serve(stream: TcpStream, answer: impl FnOnce(Request) -> Option<Response>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (head, body) = message(&mut reader)?;
    let parameters = form_urlencoded::parse(&body).into_owned().collect();
    let Some(Response { status, kind, body }) = answer(Request { head, parameters, body }) else {
        return Ok(());
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    reader.into_inner().write_all((head + &body).as_bytes())
}

/// Sends a request to the server behind.
pub(super) fn forward(behind: &str, request: &Request) -> Response {
    let mut stream = TcpStream::connect(behind).expect("moto_server listens");
    let kept = ["authorization:", "content-type:", "x-amz-date:", "x-amz-target:"];
    let keep = |line: &&String| kept.iter().any(|name| line.to_ascii_lowercase().starts_with(name));
    let headers: String = request.head.iter().filter(keep).map(|line| format!("{line}\r\n")).collect();
    let length = request.body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {behind}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&request.body));
    sent.expect("moto_server reads");
    let (head, body) = message(&mut BufReader::new(stream)).expect("moto_server answers");
    let status = head[0].split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let kind = header(&head, "content-type").unwrap_or("text/xml").to_owned();
    Response { status, kind, body: String::from_utf8(body).expect("moto_server answers text") }
}

/// The lines of the head, and the body.
fn message(reader: &mut impl BufRead) -> io::Result<(Vec<String>, Vec<u8>)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

fn header<'h>(head: &'h [String], name: &str) -> Option<&'h str> {
    let lines = head.iter().filter_map(|line| line.split_once(':'));
    lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}
