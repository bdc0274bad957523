//! Times as they are stored (milliseconds since 1970) and shown (RFC 3339).

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// Milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> i64 {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH).as_millisecond()
}

/// The time that a stored number means.
pub(crate) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A stored number some time later.
pub(crate) fn later(millis: i64, by: Duration) -> i64 {
    millis.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4))
}
