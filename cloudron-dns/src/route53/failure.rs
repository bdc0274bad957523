//! Interpretation of error responses.

use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_route53::operation::RequestId;
use cloudron_core::{Code, Error};
use cloudron_http::aws_sdk::{Refused, Unsent};

use crate::{Applied, ApplyFailure, codes};

/// A failed request, with the properties that decide how to continue.
#[derive(Debug, Clone, Default)]
pub(super) struct Failure {
    /// The service's error code, such as `InvalidChangeBatch`; empty without one.
    pub(super) code: String,
    /// The service's error message.
    pub(super) message: String,
    request_id: Option<String>,
    /// A cause that only the transport knows: a certificate that is not trusted.
    refused: Option<Box<Refused>>,
    /// True if a repetition may succeed.
    pub(super) is_passing: bool,
    /// True if it is unknown whether the request was executed.
    pub(super) may_be_done: bool,
}

/// Error codes of throttling. All have status 400, so only the code distinguishes them.
const THROTTLED: [&str; 4] =
    ["Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"];

/// An earlier change of the same zone is still being processed (ChangeResourceRecordSets, errors).
const BUSY: &str = "PriorRequestNotComplete";

/// Error codes for invalid credentials and missing permissions.
const DENIED: [&str; 10] = [
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

impl Failure {
    pub(super) fn new<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        let mut failure = Self::default();
        match error {
            SdkError::ServiceError(e) => {
                let meta = e.err().meta();
                failure.code = meta.code().unwrap_or_default().to_owned();
                failure.message = meta.message().unwrap_or_default().to_owned();
                failure.request_id = meta.request_id().map(str::to_owned);
                let server = e.raw().status().as_u16() >= 500;
                failure.is_passing = server || failure.is_throttled() || failure.code == BUSY;
                failure.may_be_done = server;
                let body = e.raw().body().bytes().unwrap_or_default();
                let is_known = !failure.code.is_empty() || failure.read_batch(&String::from_utf8_lossy(body));
                match e.raw().status().as_u16() {
                    _ if is_known => {}
                    200..400 => failure.lost("the answer is not that of Route 53"),
                    status => failure.message = format!("the answer has status {status}"),
                }
            }
            SdkError::ConstructionFailure(_) => failure.message = "the request could not be made".to_owned(),
            SdkError::DispatchFailure(e) => {
                failure.is_passing = !e.is_user();
                failure.may_be_done = true;
                if let Some(unsent) = e.as_connector_error().map(Unsent::new) {
                    (failure.message, failure.refused) = (unsent.message, unsent.refused);
                }
            }
            SdkError::TimeoutError(_) => failure.lost("no answer came in time"),
            _ => failure.lost("the answer was cut or makes no sense"),
        }
        failure
    }

    /// Parses the one response that the SDK does not parse: a refused batch has its own element (InvalidChangeBatch in
    /// the API reference) instead of `ErrorResponse`. Returns whether it is one.
    fn read_batch(&mut self, body: &str) -> bool {
        if !body.contains("<InvalidChangeBatch") {
            return false;
        }
        let messages = body.split("<Message>").skip(1).filter_map(|rest| rest.split("</Message>").next());
        let text = messages.collect::<Vec<_>>().join(" ");
        let text = text.replace("&quot;", "\"").replace("&apos;", "'").replace("&#39;", "'");
        self.message = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        self.code = "InvalidChangeBatch".to_owned();
        true
    }

    fn lost(&mut self, message: &str) {
        self.message = message.to_owned();
        (self.is_passing, self.may_be_done) = (true, true);
    }

    fn is_throttled(&self) -> bool {
        THROTTLED.contains(&self.code.as_str())
    }

    /// Returns whether permission was denied.
    pub(super) fn is_denied(&self) -> bool {
        DENIED.contains(&self.code.as_str())
    }

    fn our_code(&self) -> &'static Code {
        // For a batch, only the message distinguishes a changed zone from an invalid record.
        let says = |text: &str| self.message.contains(text);
        if let Some(refused) = &self.refused {
            return refused.code;
        }
        match self.code.as_str() {
            "NoSuchHostedZone" => &codes::ZONE_NOT_FOUND,
            "InvalidChangeBatch" | "InvalidInput" => {
                if says("conflicting RRSet") {
                    &codes::CONFLICT
                } else if says("already exists") || says("not found") || says("do not match") {
                    &codes::STALE
                } else {
                    &codes::REFUSED
                }
            }
            BUSY => &codes::PROVIDER_DOWN,
            _ if self.is_throttled() => &codes::RATE_LIMITED,
            _ if self.is_denied() => &codes::CREDENTIALS,
            _ if self.is_passing => &codes::PROVIDER_DOWN,
            _ => &codes::REFUSED,
        }
    }

    /// Returns the error for the caller. `action` is the permission that the request needs.
    pub(super) fn error(&self, action: &str) -> Error {
        let text = match (self.code.as_str(), self.message.as_str()) {
            ("", message) => format!("{action}: {message}"),
            (code, "") => format!("{action}: {code}"),
            (code, message) => format!("{action}: {code}: {message}"),
        };
        let mut error = Error::new(self.our_code(), text);
        if self.is_denied() {
            error = error.with_hint(format!("check the credentials, and that they allow route53:{action}"));
        }
        if let Some(refused) = &self.refused {
            error = refused.explain(error);
        }
        match &self.request_id {
            Some(id) => error.with_request_id(id),
            None => error,
        }
    }

    /// Returns the failure of a batch, which is applied completely or not at all.
    pub(super) fn of_batch(&self, action: &str) -> ApplyFailure {
        let applied = if self.may_be_done { Applied::Unknown } else { Applied::Nothing };
        ApplyFailure { error: self.error(action), applied }
    }
}
