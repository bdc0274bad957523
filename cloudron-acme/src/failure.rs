//! What went wrong with an order, and who waits because of it.

use cloudron_core::escape;

use crate::backoff::Blame;
use crate::http::Refusal;
use crate::schedule::{HOUR, Seconds};
use crate::{Error, codes};

/// A failure of an order.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) blame: Blame,
    /// The names to blame; without any, all names of the certificate are.
    pub(crate) names: Vec<String>,
    /// How long the authority wants to be left alone.
    pub(crate) asked: Option<Seconds>,
    /// True if every certificate waits, not just this one.
    pub(crate) of_all: bool,
    /// True if the order cannot be gone on with.
    pub(crate) ends_order: bool,
    /// The kind of the authority's problem, such as `rateLimited`.
    pub(crate) kind: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            blame: Blame::Passing,
            names: Vec::new(),
            asked: None,
            of_all: false,
            ends_order: false,
            kind: String::new(),
        }
    }
}

impl From<instant_acme::Error> for Failure {
    fn from(error: instant_acme::Error) -> Self {
        match error {
            instant_acme::Error::Api(problem) => Refusal::from(&problem).into(),
            instant_acme::Error::Other(other) => match other.downcast::<Refusal>() {
                Ok(refusal) => (*refusal).into(),
                Err(other) => match other.downcast::<Error>() {
                    Ok(error) => {
                        // The authority cannot be reached: nobody needs to try.
                        let of_all = error.is_retryable();
                        Self { of_all, ..Self::from(*error) }
                    }
                    Err(other) => unusable(&other.to_string()).into(),
                },
            },
            other => unusable(&other.to_string()).into(),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, kind, retry_after, ref names, .. } = refusal.clone();
        let message = format!("the certificate authority answered: {refusal}");
        let with_kind = |error: Error| error.with_detail("type", kind.clone());
        let base = |error| Self { kind: kind.clone(), asked: retry_after, ..Self::from(error) };
        match &*kind {
            "rateLimited" => {
                let seconds = retry_after.unwrap_or(HOUR);
                let error = Error::new(&codes::RATE_LIMITED, message).retryable(false);
                let error = with_kind(error).with_detail("seconds", seconds.to_string());
                Self { asked: Some(seconds), ends_order: false, ..base(error) }
            }
            "accountDoesNotExist" | "externalAccountRequired" | "userActionRequired" => Self {
                of_all: true,
                ends_order: true,
                ..base(with_kind(Error::new(&codes::ACCOUNT, message)))
            },
            "dns" | "connection" | "tls" | "incorrectResponse" | "unauthorized" => {
                let error = with_kind(Error::new(&codes::CHALLENGE, message));
                Self { blame: Blame::Name, names: names.clone(), ends_order: true, ..base(error) }
            }
            _ if status >= 500 || status == 429 => {
                let error = with_kind(Error::new(&codes::UNAVAILABLE, message));
                Self { of_all: true, ..base(error) }
            }
            _ => {
                let error = with_kind(Error::new(&codes::REFUSED, message));
                Self { blame: Blame::Name, names: names.clone(), ends_order: true, ..base(error) }
            }
        }
    }
}

impl Failure {
    /// Returns the failure with the name that it is about.
    pub(crate) fn about(self, name: &str) -> Self {
        let message = format!("{name}: {}", self.error.message());
        let mut error = Error::new(self.error.code(), message).with_detail("name", name);
        error = error.with_details(self.error.details().clone()).retryable(self.error.is_retryable());
        Self { error, names: vec![name.to_owned()], ..self }
    }

    /// Returns the failure of an order that cannot be gone on with.
    pub(crate) fn ending(self) -> Self {
        Self { ends_order: true, ..self }
    }
}

/// Returns the error for an answer that cannot be used.
fn unusable(why: &str) -> Error {
    let why: String = why.chars().take(300).collect();
    let message = format!("the answer of the certificate authority cannot be used: {}", escape::line(&why));
    Error::new(&codes::ANSWER, message)
}
