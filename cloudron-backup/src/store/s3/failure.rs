//! Interprets error responses.

use std::fmt;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use cloudron_core::error::with_causes;
use cloudron_core::{Code, Error, codes as core};
use cloudron_http::aws_sdk::{Refused, Unsent};

use crate::codes;

/// A failed request, with the facts that decide how to react.
#[derive(Debug, Clone, Default)]
pub(super) struct Failure {
    /// The status of the response, if there was one.
    pub(super) status: Option<u16>,
    /// The service's error code, such as `NoSuchKey`. Empty if there is none.
    pub(super) code: String,
    message: String,
    request_id: Option<String>,
    /// The region of the bucket according to the service.
    region: Option<String>,
    /// The transport's refusal for a reason on this side: an untrusted certificate.
    refused: Option<Box<Refused>>,
    /// True if a retry may succeed.
    pub(super) is_passing: bool,
    /// True if an earlier attempt failed without showing whether it was executed.
    pub(super) may_be_done: bool,
}

/// The service's error codes for transient failures, whatever the status.
const PASSING: [&str; 15] = [
    "SlowDown",
    "SlowDownRead",
    "SlowDownWrite",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "RequestTimeoutException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    // Another write of the same object is in progress.
    "ConditionalRequestConflict",
    "OperationAborted",
    // The content was damaged in transit.
    "BadDigest",
    "IncompleteBody",
    "XAmzContentSHA256Mismatch",
];

/// The error codes for missing permissions or invalid credentials.
const DENIED: [&str; 9] = [
    "AccessDenied",
    "AllAccessDisabled",
    "AccountProblem",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "InvalidSecurity",
    "SignatureDoesNotMatch",
    "NotSignedUp",
];

/// The error codes for a bucket in another region or at another endpoint.
const ELSEWHERE: [&str; 5] = [
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
];

const FULL: [&str; 5] = [
    "QuotaExceeded",
    "InsufficientStorage",
    "StorageFull",
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
];

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status} {} {}", self.code, self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Failure {
    pub(super) fn new<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        let mut failure = Self::default();
        if let Some(answer) = error.raw_response() {
            let header = |name| answer.headers().get(name).map(str::to_owned);
            failure.status = Some(answer.status().as_u16());
            failure.request_id = header("x-amz-request-id");
            failure.region = header("x-amz-bucket-region");
        }
        match error {
            SdkError::ServiceError(e) => {
                let meta = e.err().meta();
                failure.code = meta.code().unwrap_or_default().to_owned();
                failure.message = meta.message().unwrap_or_default().to_owned();
                let by_status = matches!(failure.status, Some(408 | 429 | 500 | 502 | 503 | 504));
                failure.is_passing = by_status || PASSING.contains(&failure.code.as_str());
            }
            SdkError::TimeoutError(_) => {
                failure.is_passing = true;
                failure.message = "no answer came in time".to_owned();
            }
            SdkError::DispatchFailure(e) => {
                if let Some(unsent) = e.as_connector_error().map(Unsent::new) {
                    (failure.message, failure.refused) = (unsent.message, unsent.refused);
                }
                failure.is_passing = !e.is_user() && failure.refused.is_none();
            }
            // The response was truncated or violates the protocol.
            SdkError::ResponseError(_) => {
                failure.is_passing = true;
                failure.message = "the answer was cut or makes no sense".to_owned();
            }
            _ => failure.message = "the request could not be made".to_owned(),
        }
        failure
    }

    /// Creates the failure of a truncated response.
    pub(super) fn cut(error: &(dyn std::error::Error + 'static)) -> Self {
        let message = format!("the answer was cut: {}", with_causes(error));
        Self { is_passing: true, message, ..Self::default() }
    }

    /// Creates the failure of a request without a response in time.
    pub(super) fn late() -> Self {
        let message = "no answer came in time".to_owned();
        Self { is_passing: true, message, ..Self::default() }
    }

    /// Checks whether a write was refused because the object exists.
    pub(super) fn is_taken(&self) -> bool {
        self.status == Some(412) || self.code == "PreconditionFailed"
    }

    /// Checks whether the service does not support the request.
    pub(super) fn is_unknown_request(&self) -> bool {
        matches!(self.status, Some(405 | 501)) || self.code == "NotImplemented"
    }

    /// Checks whether the object does not exist. Without a response body, as for HEAD, a missing bucket looks
    /// the same.
    pub(super) fn is_missing(&self) -> bool {
        self.status == Some(404) && !self.is_bucket_missing()
    }

    fn is_bucket_missing(&self) -> bool {
        self.code == "NoSuchBucket"
    }

    /// Checks whether the request succeeded and only the response body violates the protocol.
    pub(super) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status < 300) && self.code.is_empty()
    }

    /// Checks whether the object is in an archive class.
    pub(super) fn is_archived(&self) -> bool {
        self.code == "InvalidObjectState"
    }

    /// Checks whether access was denied.
    pub(super) fn is_denied(&self) -> bool {
        DENIED.contains(&self.code.as_str())
            || (matches!(self.status, Some(401 | 403)) && !self.is_archived())
    }

    /// Checks whether a query about the bucket was denied, or not supported.
    pub(super) fn is_refused_question(&self) -> bool {
        self.status.is_some() && !self.is_passing && !self.is_bucket_missing() && !self.is_lost()
    }

    /// Checks whether nothing can work with these credentials or this address, so that the error is reported
    /// instead of an unknown rule.
    fn is_lost(&self) -> bool {
        let code = self.our_code();
        let mistaken = ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"];
        mistaken.contains(&self.code.as_str()) || [&codes::STORE_REGION, &codes::STORE_CLOCK].contains(&code)
    }

    fn our_code(&self) -> &'static Code {
        let is = |codes: &[&str]| codes.contains(&self.code.as_str());
        if let Some(refused) = &self.refused {
            refused.code
        } else if self.is_bucket_missing() {
            &codes::STORE_MISSING
        } else if self.is_archived() {
            &codes::OBJECT_ARCHIVED
        } else if is(&ELSEWHERE) || matches!(self.status, Some(301 | 307)) {
            &codes::STORE_REGION
        } else if is(&["RequestTimeTooSkewed", "RequestExpired"]) {
            &codes::STORE_CLOCK
        } else if is(&FULL) || self.status == Some(507) {
            &core::NO_SPACE
        } else if self.is_denied() {
            &codes::STORE_DENIED
        } else if self.is_passing {
            &codes::STORE_UNAVAILABLE
        } else {
            &codes::STORE_FAILED
        }
    }

    /// Returns the error for the caller, with the operation and the object.
    pub(super) fn error(&self, doing: &str, place: &str) -> Error {
        let mut text = format!("{doing} {place}: ");
        match (self.code.as_str(), self.status) {
            ("", Some(_)) if self.is_success() => text.push_str("the store's answer is not understood"),
            ("", Some(status)) => text.push_str(&format!("the store answered {status}")),
            ("", None) => {}
            (code, _) => text.push_str(code),
        }
        if !self.message.is_empty() {
            let between = if text.ends_with(": ") { "" } else { ": " };
            text.push_str(between);
            text.push_str(&self.message);
        }
        let code = self.our_code();
        let mut error = Error::new(code, text);
        if *code == codes::STORE_REGION {
            error = error.with_hint(match &self.region {
                Some(region) => format!("the bucket is in the region {region}"),
                None => "check the region and the endpoint of the bucket".to_owned(),
            });
        }
        if *code == codes::STORE_MISSING {
            error = error.with_hint("check its name, the region and the endpoint, or make the bucket");
        }
        if let Some(refused) = &self.refused {
            error = refused.explain(error);
        }
        match &self.request_id {
            Some(id) => error.with_request_id(id),
            None => error,
        }
    }
}
