//! Errors in the format of the HTTP API.

use cloudron_core::ErrorKind;

use crate::api::ApiError;
use crate::{Error, codes};

/// Converts an error to the format of the HTTP API.
pub(crate) fn api_error(error: &Error) -> ApiError {
    ApiError {
        status: status(error),
        message: error.to_string(),
        code: error.code().name.to_owned(),
        hint: error.hint().map(str::to_owned),
        details: error.details().clone(),
    }
}

fn status(error: &Error) -> u16 {
    let exact = [
        (&codes::TOKEN_INVALID, 401),
        (&codes::LOGIN_FAILED, 401),
        (&codes::TOO_MANY_TRIES, 429),
        (&codes::LOGIN_BUSY, 429),
        (&codes::NO_UPDATE, 412),
        (&codes::METHOD_NOT_ALLOWED, 405),
        (&codes::BODY_TOO_LARGE, 413),
        (&codes::REQUEST_TIMEOUT, 408),
        (&cloudron_core::codes::NO_SPACE, 507),
        // A missing or forbidden file on the server's own disk is not an error of the request.
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
