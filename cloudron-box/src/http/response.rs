//! Errors as answers.

use axum::Json;
use axum::response::{IntoResponse, Response};
use cloudron_core::ErrorKind;
use http::{HeaderValue, StatusCode, header};

use crate::api::ApiError;
use crate::{Error, codes};

/// An error on its way to the client. `internal` details are for those only who may know them.
pub(crate) struct Failure {
    error: Error,
    retry_after: Option<u64>,
    hidden: bool,
}

/// What a route gives.
pub(crate) type Answer<T> = Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, retry_after: None, hidden: false }
    }
}

impl Failure {
    /// The same with how many seconds to wait.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The same for a stranger: what went wrong inside stays inside.
    pub(crate) fn for_stranger(self) -> Self {
        Self { hidden: true, ..self }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut body = api_error(&self.error);
        if body.status >= 500 {
            tracing::error!(code = self.error.code().name, error = %self.error, "A request failed");
            if self.hidden {
                body.message = "the server cannot answer this now; its log says why".to_owned();
                body.hint = None;
            }
        }
        let status = StatusCode::from_u16(body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An error as the interface says it.
pub(crate) fn api_error(error: &Error) -> ApiError {
    ApiError {
        status: status(error),
        message: error.to_string(),
        code: error.code().name.to_owned(),
        hint: error.hint().map(str::to_owned),
    }
}

fn status(error: &Error) -> u16 {
    let exact = [
        (&codes::TOKEN_INVALID, 401),
        (&codes::LOGIN_FAILED, 401),
        (&codes::TOO_MANY_TRIES, 429),
        (&codes::LOGIN_BUSY, 503),
        (&codes::NO_UPDATE, 412),
        (&codes::METHOD_NOT_ALLOWED, 405),
        (&codes::BODY_TOO_LARGE, 413),
        (&codes::REQUEST_TIMEOUT, 408),
        (&cloudron_core::codes::NO_SPACE, 507),
        // What is missing or forbidden on the server's own disk is no fault of the request.
        (&cloudron_core::codes::FILE_MISSING, 500),
        (&cloudron_core::codes::PERMISSION, 500),
        (&cloudron_backup::codes::REPOSITORY_MISSING, 503),
    ];
    if let Some((_, status)) = exact.iter().find(|(code, _)| error.is(code)) {
        return *status;
    }
    match error.kind() {
        ErrorKind::Usage => 400,
        ErrorKind::NotFound => 404,
        ErrorKind::Denied => 403,
        ErrorKind::Conflict => 409,
        ErrorKind::Unavailable => 503,
        ErrorKind::TimedOut => 504,
        _ => 500,
    }
}
