//! Reading objects of the store with a one-time token. They are encrypted, and decrypted on the computer of
//! the backup key's owner.

use std::ops::Range;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;

use crate::api::StoreObject;
use crate::db::tokens;
use crate::http::App;
use crate::http::query::{ValidPath, ValidQuery};
use crate::http::response::{ApiFailure, ApiResult};
use crate::worker;
use crate::{Error, Result, codes};

/// Maximum part of an object in memory per client, in bytes.
const PIECE: u64 = 1024 * 1024;

#[derive(Debug, Deserialize)]
pub(crate) struct Listing {
    #[serde(default)]
    list: String,
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    ValidPath(token): ValidPath<String>,
    ValidQuery(listing): ValidQuery<Listing>,
) -> ApiResult<Json<Vec<StoreObject>>> {
    allowed(&app, &token).await?;
    Ok(Json(app.worker.objects(&listing.list).await?))
}

pub(crate) async fn object(
    State(app): State<Arc<App>>,
    ValidPath((token, key)): ValidPath<(String, String)>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    allowed(&app, &token).await?;
    let size = app.worker.size(&key).await?;
    let Some(range) = headers.get(header::RANGE) else {
        return Ok(answer(StatusCode::OK, parts(app.worker.clone(), key, 0..size), Some(size), None));
    };
    match range.to_str().ok().and_then(|text| requested(text, size)) {
        Some(range) => {
            let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            let length = range.end - range.start;
            let body = parts(app.worker.clone(), key, range);
            Ok(answer(StatusCode::PARTIAL_CONTENT, body, Some(length), Some(shown)))
        }
        None => {
            let shown = format!("bytes */{size}");
            Ok(answer(StatusCode::RANGE_NOT_SATISFIABLE, Body::empty(), None, Some(shown)))
        }
    }
}

/// Streams a range of an object, read from the store as the client receives it, so that slow clients use
/// little memory. If the store fails, the response is shorter than its stated length.
fn parts(worker: worker::Client, key: String, range: Range<u64>) -> Body {
    Body::from_stream(stream::try_unfold((worker, key, range), |(worker, key, range)| async move {
        if range.is_empty() {
            return Ok::<_, Error>(None);
        }
        let end = range.end.min(range.start.saturating_add(PIECE));
        let part = worker.read(&key, range.start..end).await?;
        Ok(Some((part, (worker, key, end..range.end))))
    }))
}

/// Refuses a token that allows no download, or whose session has ended.
async fn allowed(app: &App, token: &str) -> Result<(), ApiFailure> {
    let refused = || Error::new(&codes::TOKEN_INVALID, "this download is unknown or its time is over");
    let session = app.downloads.session(token, app.tuning.clock.monotonic()).ok_or_else(refused)?;
    if let Some(session) = session {
        let now = app.token_time();
        if !app.db.read_async(move |c| tokens::is_alive(c, &session, now)).await? {
            return Err(refused().into());
        }
    }
    Ok(())
}

fn answer(status: StatusCode, body: Body, length: Option<u64>, range: Option<String>) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(range) = range.and_then(|r| HeaderValue::from_str(&r).ok()) {
        headers.insert(header::CONTENT_RANGE, range);
    }
    response
}

/// Parses a header with a single range (RFC 9110, section 14.1.2) within an object of this size.
fn requested(text: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first.trim(), last.trim()) {
        ("", count) => size.saturating_sub(count.parse().ok()?)..size,
        (first, "") => first.parse().ok()?..size,
        (first, last) => first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?.min(size),
    };
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_the_rfc_says() {
        for (text, range) in [
            ("bytes=0-0", Some(0..1)),
            ("bytes=2-", Some(2..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-30", Some(0..10)),
            ("bytes=5-99", Some(5..10)),
            ("bytes=10-", None),
            ("bytes=5-4", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-0", None),
            ("bytes=0-18446744073709551615", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(requested(text, 10), range, "{text}");
        }
    }
}
