//! Times as stored (milliseconds since 1970) and as shown (RFC 3339).

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// Returns the milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> i64 {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH).as_millisecond()
}

/// Returns the time of a stored number.
pub(crate) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Adds a duration to a stored number.
pub(crate) fn later(millis: i64, by: Duration) -> i64 {
    millis.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4))
}
