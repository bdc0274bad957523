//! When a certificate is asked for: functions of values, without a clock and without I/O.
//!
//! Times are seconds since 1970.

use crate::state::Ari;

/// Seconds since 1970, or a number of seconds.
pub type Seconds = i64;

pub(crate) const MINUTE: Seconds = 60;
pub(crate) const HOUR: Seconds = 60 * MINUTE;
pub(crate) const DAY: Seconds = 24 * HOUR;

/// The time until the next look when nothing is due before: a clock that jumps is noticed by then.
const LOOK: Seconds = 12 * HOUR;
/// The life below which a certificate is renewed at half of it rather than at two thirds.
const SHORT: Seconds = 10 * DAY;
/// How far times that were noted may lie ahead of the clock before they are not believed.
pub(crate) const TOLERANCE: Seconds = 5 * MINUTE;
/// How long an order that was begun is worth going on with: authorities keep it for a week.
const ORDER_LIFE: Seconds = 6 * DAY;

/// The life of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// The first second.
    pub from: Seconds,
    /// The last second.
    pub until: Seconds,
}

/// Everything that decides what is done about one certificate.
#[derive(Debug, Clone, Default)]
pub struct Situation {
    /// The life of the certificate in use, if there is one that covers what is wanted.
    pub life: Option<Life>,
    /// True if there is a certificate in use, but it does not cover all names.
    pub covers_too_little: bool,
    /// What the authority suggested for this certificate.
    pub ari: Option<Ari>,
    /// True if the authority gives such information at all.
    pub asks_ari: bool,
    /// A number from 0 to 1 that spreads renewals without a suggestion; the same for the life of a certificate.
    pub spread: f64,
    /// When the order that is under way was begun.
    pub order: Option<Seconds>,
    /// True if the owner wants it replaced now.
    pub replace: bool,
    /// Until when nothing may be asked for: failures, and what the authority wanted.
    pub blocked: Option<Seconds>,
    /// Until when our own account of the authority's limits forbids an order that replaces nothing.
    pub spent: Option<Seconds>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing before that time.
    Wait(Seconds),
    /// Ask the authority when it wants the certificate to be renewed.
    AskRenewal,
    /// Order a certificate.
    Order(Why),
    /// Go on with the order that was begun.
    Resume(Why),
}

/// Why a certificate is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// There is none.
    Missing,
    /// It does not cover all names.
    Names,
    /// It is over.
    Expired,
    /// Its time to be renewed has come.
    Due,
    /// The owner wants another one.
    Replace,
}

impl Why {
    /// Returns whether the order may say which certificate it replaces. Such an order is exempt from limits.
    pub fn replaces(self) -> bool {
        matches!(self, Self::Expired | Self::Due | Self::Replace)
    }
}

/// Decides what is done now.
pub fn decide(now: Seconds, of: &Situation) -> Action {
    let Some(why) = need(now, of) else { return rest(now, of) };
    if let Some(until) = of.blocked.filter(|until| *until > now) {
        return Action::Wait(until.min(now + LOOK));
    }
    if of.order.is_some_and(|begun| begun <= now + TOLERANCE && now - begun < ORDER_LIFE) {
        return Action::Resume(why);
    }
    match of.spent.filter(|until| *until > now && !why.replaces()) {
        Some(until) => Action::Wait(until.min(now + LOOK)),
        None => Action::Order(why),
    }
}

fn need(now: Seconds, of: &Situation) -> Option<Why> {
    let Some(life) = of.life else {
        return Some(if of.covers_too_little { Why::Names } else { Why::Missing });
    };
    if now < life.from - DAY {
        // The clock is behind the certificate: what it says is no reason for anything.
        return None;
    }
    if of.replace {
        return Some(Why::Replace);
    }
    if now > life.until {
        return Some(Why::Expired);
    }
    (now >= renewal(life, of.ari.as_ref(), of.spread)).then_some(Why::Due)
}

/// Asks for renewal information if it is time, and waits otherwise.
fn rest(now: Seconds, of: &Situation) -> Action {
    let Some(life) = of.life else { return Action::Wait(now + HOUR) };
    if now < life.from - DAY {
        return Action::Wait(now + HOUR);
    }
    let ask = of.asks_ari.then(|| of.ari.as_ref().map_or(now, |ari| ari.next(now)));
    if ask.is_some_and(|at| at <= now) {
        return Action::AskRenewal;
    }
    let renewal = renewal(life, of.ari.as_ref(), of.spread);
    let next = renewal.min(ask.unwrap_or(renewal)).min(now + LOOK);
    Action::Wait(next.max(now + 1))
}

/// Returns when a certificate is renewed: at the instant that was chosen in the authority's window, and otherwise with a
/// third of its life left, or with half of it for lives below ten days. A suggestion that leaves less than a tenth of the
/// life is not followed that far.
pub fn renewal(life: Life, ari: Option<&Ari>, spread: f64) -> Seconds {
    let length = (life.until - life.from).max(0);
    if let Some(window) = ari.and_then(|ari| ari.window) {
        return window.at.min(life.until - length / 10);
    }
    let left = if length < SHORT { length / 2 } else { length / 3 };
    let early = (length as f64 / 30.0 * spread.clamp(0.0, 1.0)) as Seconds;
    life.until - left - early
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
