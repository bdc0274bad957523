//! The pages that the proxy answers with itself. They say what the client can do, and nothing of the inside.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};

use crate::body::Body;
use crate::fields::Problem;
use crate::framing::Refusal;

/// Returns a page for this status.
pub(crate) fn page(status: StatusCode) -> Response<Body> {
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let text = text(status);
    let html = format!("<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n");
    let mut response = with_text(status, html);
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        fields.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}

/// Returns the page of a refused request. The connection is closed after it, since the rest of what was received means
/// nothing.
pub(crate) fn refused(refusal: Refusal) -> Response<Body> {
    closing(page(match refusal {
        Refusal::Malformed => StatusCode::BAD_REQUEST,
        Refusal::TargetTooLong => StatusCode::URI_TOO_LONG,
        Refusal::FieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Refusal::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
    }))
}

/// Returns the page for a problem of a request.
pub(crate) fn problem(problem: Problem) -> Response<Body> {
    page(match problem {
        // As after a refusal.
        Problem::Malformed => return closing(page(StatusCode::BAD_REQUEST)),
        Problem::Expectation => StatusCode::EXPECTATION_FAILED,
        Problem::Loop => StatusCode::LOOP_DETECTED,
        Problem::Method => StatusCode::NOT_IMPLEMENTED,
    })
}

/// Ends the connection with this response, where it has HTTP/1.1.
pub(crate) fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Returns a response with a text.
pub(crate) fn with_text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::page(Bytes::from(text)));
    *response.status_mut() = status;
    response
}

fn text(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "There is nothing here.",
        StatusCode::MISDIRECTED_REQUEST => "This connection is for another host.",
        StatusCode::BAD_GATEWAY => "The application does not answer. Try again later.",
        StatusCode::GATEWAY_TIMEOUT => "The application took too long to answer. Try again later.",
        StatusCode::SERVICE_UNAVAILABLE => "The application is busy. Try again in a moment.",
        StatusCode::REQUEST_TIMEOUT => "The request took too long to arrive.",
        StatusCode::LOOP_DETECTED => "The request came back to where it began.",
        StatusCode::NOT_IMPLEMENTED => "This method is not supported.",
        _ => "The request cannot be answered.",
    }
}
