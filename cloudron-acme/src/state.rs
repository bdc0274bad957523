//! What is kept between runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::backoff::Failures;
use crate::limits::Uses;
use crate::names::Subject;
use crate::schedule::{DAY, HOUR, MINUTE, Seconds, TOLERANCE};

/// The time after which renewal information is asked for again, if the authority does not say.
pub(crate) const ASK_AGAIN: Seconds = 6 * HOUR;

/// What is kept of one certificate, beside the certificate itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// The names that it was last wanted for.
    pub names: Vec<Subject>,
    /// What the authority suggested for the certificate in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ari: Option<Ari>,
    /// Spreads renewals without a suggestion.
    pub spread: f64,
    /// The order that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Pending>,
    /// When certificates for these names were issued.
    pub issued: Uses,
    /// The failures since the last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failing>,
    /// True if the owner wants it replaced.
    pub replace: bool,
    /// Certificates that are to be revoked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revoke: Vec<Revocation>,
}

impl Record {
    /// Returns what the authority suggested, if it is about that certificate.
    pub(crate) fn ari_of(&self, certificate: Option<&str>) -> Option<&Ari> {
        self.ari.as_ref().filter(|ari| Some(&*ari.certificate) == certificate)
    }
}

/// An order that is under way. Its key is in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// Its address at the authority.
    pub url: String,
    /// The directory of the authority.
    pub directory: String,
    /// When it was begun.
    pub begun: Seconds,
    /// What it is for.
    pub names: Vec<Subject>,
    /// True if the authority accepted that it replaces a certificate, which exempts it from limits.
    #[serde(default)]
    pub replaces: bool,
}

/// The failures of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// How many, and until when nothing is tried.
    #[serde(flatten)]
    pub failures: Failures,
    /// Since when.
    pub since: Seconds,
    /// The code of the last one.
    pub code: String,
    /// What the last one said.
    pub message: String,
    /// True once the owner was told.
    pub told: bool,
}

/// A certificate that is to be revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// The certificate without its key, DER in base64.
    pub certificate: String,
    /// The reason of RFC 5280, section 5.3.1.
    pub reason: u8,
    /// The directory of its authority.
    pub directory: String,
}

/// What the authority said about the renewal of one certificate (RFC 9773).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ari {
    /// The certificate that it is about.
    pub certificate: String,
    /// The window, if there was a usable one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// When it was asked for.
    pub asked: Seconds,
    /// After how long it is asked for again.
    pub again: Seconds,
}

/// A suggested window, and the instant that was chosen in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Its start.
    pub start: Seconds,
    /// Its end.
    pub end: Seconds,
    /// The instant in it.
    pub at: Seconds,
}

impl Ari {
    /// Returns what is kept after an answer. The instant stays as it was while the window does, so that asking often does
    /// not move it; `random` from 0 to 1 chooses a new one. A window that ends before it begins is none.
    pub fn answered(
        before: Option<&Self>,
        certificate: &str,
        window: Option<(Seconds, Seconds)>,
        now: Seconds,
        again: Option<Seconds>,
        random: f64,
    ) -> Self {
        let kept = before.filter(|ari| ari.certificate == certificate).and_then(|ari| ari.window);
        let window = window.filter(|(start, end)| start < end).map(|(start, end)| {
            kept.filter(|w| (w.start, w.end) == (start, end)).unwrap_or_else(|| Window {
                start,
                end,
                at: start
                    .saturating_add(((end.saturating_sub(start)) as f64 * random.clamp(0.0, 1.0)) as i64),
            })
        });
        let again = again.unwrap_or(ASK_AGAIN).clamp(MINUTE, DAY);
        Self { certificate: certificate.to_owned(), window, asked: now, again }
    }

    /// Returns when it is asked for next. An answer of the future came by a wrong clock, and is asked for again.
    pub fn next(&self, now: Seconds) -> Seconds {
        if self.asked > now.saturating_add(TOLERANCE) {
            return now;
        }
        self.asked.saturating_add(self.again.clamp(MINUTE, DAY))
    }
}

/// What is kept of all certificates together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ledger {
    /// The failures of names, by name.
    pub names: BTreeMap<String, Failures>,
    /// Authorities that want to be left alone, by directory.
    pub paused: BTreeMap<String, Failures>,
    /// Orders of the account.
    pub orders: Uses,
    /// Certificates by registered domain.
    pub registered: BTreeMap<String, Uses>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instant_stays_while_the_window_does() {
        let first = Ari::answered(None, "a", Some((100, 200)), 10, None, 0.5);
        assert_eq!(first.window.unwrap().at, 150);
        let again = Ari::answered(Some(&first), "a", Some((100, 200)), 20, None, 0.9);
        assert_eq!(again.window.unwrap().at, 150);
        let moved = Ari::answered(Some(&first), "a", Some((0, 10)), 20, None, 0.9);
        assert_eq!(moved.window.unwrap().at, 9);
        let other = Ari::answered(Some(&first), "b", Some((100, 200)), 20, None, 0.9);
        assert_eq!(other.window.unwrap().at, 190);
        assert_eq!(Ari::answered(None, "a", Some((9, 9)), 20, None, 0.9).window, None);
    }

    #[test]
    fn an_authority_cannot_make_us_ask_all_the_time_or_never() {
        let next = |again| Ari::answered(None, "a", None, 1000, again, 0.0).next(1000) - 1000;
        assert_eq!(
            (next(Some(0)), next(Some(i64::MAX)), next(None), next(Some(7200))),
            (60, DAY, ASK_AGAIN, 7200)
        );
    }

    #[test]
    fn an_answer_of_the_future_is_asked_for_again() {
        let ari = Ari::answered(None, "a", None, 366 * DAY, None, 0.0);
        assert_eq!(ari.next(1000), 1000);
    }
}
