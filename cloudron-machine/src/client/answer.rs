//! Reading a server's responses. The machine may be under someone else's control, so bodies and lines have a
//! size limit and every read has a time limit.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cloudron_api::ApiError;
use cloudron_core::{Code, Error, Result};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::{LIMIT, broken, lost, within};
use crate::codes;
use crate::program::Program;

/// Maximum size of an ordinary response, in bytes.
const ANSWER: usize = 16 << 20;
/// Maximum size of an error response, in bytes.
const REFUSAL: usize = 64 << 10;
/// Maximum size of a store object read as a whole, and of the list of objects, in bytes.
const OBJECT: usize = 512 << 20;
/// Maximum length of a line, in bytes. The rest of a longer line is passed on as further lines.
const LINE: usize = 1 << 20;

/// A response with a success status.
pub(super) struct Answer {
    host: String,
    program: Program,
    response: Response<Incoming>,
}

impl Answer {
    /// Returns the response, or the error it describes.
    pub(super) async fn of(host: &str, program: &Program, response: Response<Incoming>) -> Result<Self> {
        let status = response.status();
        let answer = Self { host: host.to_owned(), program: program.clone(), response };
        if status.is_success() { Ok(answer) } else { Err(answer.refusal(status).await) }
    }

    /// Reads a JSON value.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T> {
        decode(&self.bytes(ANSWER, LIMIT).await?)
    }

    /// Reads a store object of at most `most` bytes.
    pub(super) async fn object(self, most: Option<u64>) -> Result<Bytes> {
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(OBJECT);
        self.bytes(most.min(OBJECT), LIMIT * 5).await
    }

    /// Passes on each line until the response ends. Unless it follows a log, each read has a time limit.
    pub(super) async fn lines(self, follow: bool, mut each: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let mut body = self.response.into_body();
        let mut lines = Lines::default();
        loop {
            let frame = match follow {
                true => body.frame().await,
                false => within(&self.program.cancel, LIMIT, &self.host, body.frame()).await?,
            };
            let Some(frame) = frame else { return lines.end(&mut each) };
            let frame = frame.map_err(|e| lost(&self.host, &e))?;
            lines.push(frame.data_ref().map(Bytes::as_ref).unwrap_or_default(), &mut each)?;
            // Yield, so that a server that sends without end cannot block Ctrl-C.
            tokio::task::yield_now().await;
        }
    }

    async fn bytes(self, most: usize, limit: Duration) -> Result<Bytes> {
        let Self { host, program, response } = self;
        let mut body = response.into_body();
        let reading = async {
            let mut bytes = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|e| lost(&host, &e))?;
                let part = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
                if bytes.len() + part.len() > most {
                    return Err(broken(&format!("{host} answered with more than {most} bytes")));
                }
                bytes.extend_from_slice(part);
                tokio::task::yield_now().await;
            }
            Ok(bytes.freeze())
        };
        within(&program.cancel, limit, &host, reading).await?
    }

    /// Builds the error that the response describes.
    async fn refusal(self, status: StatusCode) -> Error {
        let program = self.program.clone();
        let body = self.bytes(REFUSAL, LIMIT).await.unwrap_or_default();
        match serde_json::from_slice::<ApiError>(&body) {
            Ok(told) => {
                let known = program.code(&told.code);
                told.with_code(known.unwrap_or_else(|| code_of(status)))
            }
            // Of the front, where the interface does not answer it.
            Err(_) if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) => Error::new(
                &codes::SERVER_DEAD,
                format!("the server does not answer behind its front: {status}"),
            ),
            Err(_) => Error::new(code_of(status), format!("the server answered {status}")),
        }
    }
}

/// Assembles lines from chunks.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8], each: &mut impl FnMut(&str) -> Result<()>) -> Result<()> {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            self.0.extend_from_slice(part);
            if part.ends_with(b"\n") || self.0.len() > LINE {
                self.end(each)?;
            }
        }
        Ok(())
    }

    /// Passes on the last line if it is incomplete.
    fn end(&mut self, each: &mut impl FnMut(&str) -> Result<()>) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let line = String::from_utf8_lossy(self.0.strip_suffix(b"\n").unwrap_or(&self.0)).into_owned();
        self.0.clear();
        each(&line)
    }
}

pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|e| broken(&format!("the server's answer is not what was expected: {e}")))
}

fn code_of(status: StatusCode) -> &'static Code {
    match status {
        StatusCode::CONFLICT => &codes::SERVER_BUSY,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => &codes::SERVER_DENIED,
        _ => &codes::SERVER_REFUSED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        let mut each = |line: &str| {
            seen.push(line.to_owned());
            Ok(())
        };
        for part in parts {
            lines.push(part, &mut each).unwrap();
        }
        lines.end(&mut each).unwrap();
        seen
    }

    #[test]
    fn lines_are_whole_however_they_arrive_and_a_last_one_needs_no_end() {
        assert_eq!(lines(&[b"a\nb", b"", b"c\n\nd"]), ["a", "bc", "", "d"]);
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_its_limit() {
        let part = vec![b'x'; 64 << 10];
        let seen = lines(&vec![&part[..]; 64]);
        assert!(seen.len() >= 3 && seen.iter().all(|l| l.len() <= LINE + part.len()));
        assert_eq!(seen.iter().map(String::len).sum::<usize>(), part.len() * 64);
    }
}
