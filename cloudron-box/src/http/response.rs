//! Error responses.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::Error;
use crate::api_error::api_error;

/// An error on its way to the client. `internal` details are for those only who may know them.
pub(crate) struct ApiFailure {
    error: Error,
    retry_after: Option<u64>,
    hidden: bool,
}

/// The result of a route.
pub(crate) type ApiResult<T> = Result<T, ApiFailure>;

impl From<Error> for ApiFailure {
    fn from(error: Error) -> Self {
        Self { error, retry_after: None, hidden: false }
    }
}

impl ApiFailure {
    /// Adds the number of seconds after which to retry.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Hides internal details from an unauthenticated client.
    pub(crate) fn for_stranger(self) -> Self {
        Self { hidden: true, ..self }
    }
}

impl IntoResponse for ApiFailure {
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
