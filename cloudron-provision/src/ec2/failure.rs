//! Requests that did not succeed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloudron_core::{Error, escape};
use cloudron_http::Response;
use http::header;
use serde::Deserialize;

use super::{Credentials, Meaning, Service, permissions, xml};
use crate::cloud::codes;

/// The difference of clocks from which it explains a refusal. Signatures are accepted for five minutes.
const SKEW: Duration = Duration::from_secs(4 * 60);
/// Maximum number of characters of AWS's message that are shown.
const LONGEST_MESSAGE: usize = 300;
/// Maximum length in bytes of an error in JSON.
const LONGEST_JSON: usize = 64 << 10;

/// A request that did not succeed.
#[derive(Debug)]
pub struct Failure {
    /// The error as the user is told.
    pub error: Error,
    /// AWS's name of it, such as `InvalidGroup.Duplicate`; empty if there was no answer.
    pub name: String,
    /// The meaning of the error.
    pub meaning: Meaning,
    /// True if the request may have been carried out nonetheless.
    pub unknown: bool,
}

impl Failure {
    /// Returns whether the failure means this.
    pub fn is(&self, meaning: Meaning) -> bool {
        self.meaning == meaning
    }

    /// A failure before anything was sent.
    pub(super) fn unsent(error: Error) -> Self {
        Self { error, name: String::new(), meaning: Meaning::Refused, unknown: false }
    }

    /// A failure of the transport: the request may have arrived.
    pub(super) fn lost(action: &str, error: Error) -> Self {
        use cloudron_core::ErrorKind::{TimedOut, Unavailable};
        let meaning = match error.kind() {
            TimedOut | Unavailable => Meaning::Down,
            _ => Meaning::Refused,
        };
        let error = match error.kind() {
            Unavailable => Error::new(&codes::DOWN, error.to_string()).with_source(error),
            _ => error,
        };
        let error = error.while_doing(action).retryable(meaning == Meaning::Down);
        Self { error, name: String::new(), meaning, unknown: meaning == Meaning::Down }
    }

    /// A success with an answer that makes no sense: the request was carried out.
    pub(super) fn garbled(action: &str, why: &str) -> Self {
        let error = Error::new(&codes::DOWN, format!("{action}: the answer cannot be read: {why}"));
        Self { error: error.retryable(false), name: String::new(), meaning: Meaning::Down, unknown: true }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// The error in an answer. `EC2` puts it into a list, the other services do not.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    #[serde(rename = "Errors")]
    errors: Errors,
    #[serde(rename = "Error")]
    error: Complaint,
    #[serde(rename = "RequestID", alias = "RequestId")]
    request_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Errors {
    #[serde(rename = "Error")]
    error: Vec<Complaint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Complaint {
    #[serde(rename = "Code")]
    code: String,
    #[serde(rename = "Message")]
    message: String,
}

impl Complaint {
    /// Reads it from the JSON of newer services, which write `message`, `Message` or both.
    fn of_json(body: &[u8]) -> Option<Self> {
        if body.len() > LONGEST_JSON {
            return None;
        }
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
        let text = |name: &str| fields.get(name)?.as_str().map(str::to_owned);
        let message = text("message").or_else(|| text("Message"));
        Some(Self { code: text("__type").unwrap_or_default(), message: message.unwrap_or_default() })
    }
}

impl Answer {
    /// The error's name and message, and the ID of the request.
    fn of(answer: &Response) -> (Complaint, String) {
        let by_header = || {
            let ids = ["x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"];
            let id = ids.iter().find_map(|name| answer.headers().get(*name)?.to_str().ok());
            id.unwrap_or_default().to_owned()
        };
        if let Some(complaint) = Complaint::of_json(answer.body()) {
            return (complaint, by_header());
        }
        let Self { mut errors, error, request_id } = xml::parse(answer.body(), None).unwrap_or_default();
        let id = if request_id.is_empty() { by_header() } else { request_id };
        (if errors.error.is_empty() { error } else { errors.error.swap_remove(0) }, id)
    }
}

/// Returns the failure that an unsuccessful answer describes.
pub(super) fn of(
    service: Service,
    action: &str,
    credentials: &Credentials,
    now: SystemTime,
    answer: &Response,
) -> Failure {
    let status = answer.status();
    let (Complaint { code: name, message }, request_id) = Answer::of(answer);
    let mut meaning = Meaning::of(&name, &message, status);
    let theirs = date(answer);
    let apart = |theirs: SystemTime| {
        now.duration_since(theirs).or_else(|_| theirs.duration_since(now)).is_ok_and(|apart| apart > SKEW)
    };
    // A signature of another time is also refused as if the key were wrong.
    if meaning == Meaning::Credentials && theirs.is_some_and(apart) {
        meaning = Meaning::Clock;
    }
    let name: String = name.chars().filter(|c| c.is_ascii_graphic()).take(100).collect();
    let said = match (&*name, printable(credentials, &message)) {
        ("", message) => format!("{status}{message}"),
        (name, message) => format!("{name}{message}"),
    };
    let clocks = if meaning == Meaning::Clock { clocks(now, theirs) } else { String::new() };
    let mut error = Error::new(meaning.code(), format!("{action}: {said}{clocks}"))
        .retryable(meaning.passes() || matches!(meaning, Meaning::InUse | Meaning::WrongState));
    if let Some(hint) = hint(service, action, meaning) {
        error = error.with_hint(hint);
    }
    let request_id: String = request_id.chars().filter(|c| c.is_ascii_graphic()).take(100).collect();
    if !request_id.is_empty() {
        error = error.with_request_id(request_id);
    }
    Failure { error, name, meaning, unknown: meaning == Meaning::Down }
}

/// AWS's message, short, on one line, without a secret, and without the part that only AWS can read.
fn printable(credentials: &Credentials, message: &str) -> String {
    let (message, _) = message.split_once("Encoded authorization failure message").unwrap_or((message, ""));
    let message = credentials.redact(message.trim());
    let short: String = message.chars().take(LONGEST_MESSAGE).collect();
    if short.is_empty() { short } else { format!(": {}", escape::line(&short)) }
}

/// Both clocks.
fn clocks(ours: SystemTime, theirs: Option<SystemTime>) -> String {
    let shown = |time: SystemTime| {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let time = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or_default());
        time.unwrap_or(jiff::Timestamp::MAX).to_string()
    };
    let theirs = theirs.map(|time| format!(", AWS's {}", shown(time))).unwrap_or_default();
    format!(" (this computer's clock says {}{theirs})", shown(ours))
}

/// The time of the answer, by its head.
fn date(answer: &Response) -> Option<SystemTime> {
    let text = answer.headers().get(header::DATE)?.to_str().ok()?;
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(time.as_second()).ok()?))
}

/// Returns advice for the user.
fn hint(service: Service, action: &str, meaning: Meaning) -> Option<String> {
    Some(match meaning {
        Meaning::Throttled => "wait a minute and run the command again".into(),
        Meaning::NoCapacity => "choose another zone or another instance type".into(),
        Meaning::Quota => {
            "remove what is not needed any more in this region, or ask for a higher limit under \
                           Service Quotas in the AWS console"
                .into()
        }
        Meaning::Account => {
            "sign in to the AWS console: the account has to be verified, to leave the free plan for \
                             this, or to accept the offer that the message names"
                .into()
        }
        Meaning::Credentials => {
            "check the access key in the AWS console under IAM; temporary credentials have expired \
                                 when they are some hours old"
                .into()
        }
        Meaning::Permission => {
            let needed = permissions::of(service, action).join(", ");
            format!("allow {needed} for these credentials in the AWS console under IAM")
        }
        Meaning::Clock => "set this computer's clock: `timedatectl set-ntp true` does".into(),
        _ => return None,
    })
}
