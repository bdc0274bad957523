//! The life of a connection that serves requests.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use super::activity::Activity;
use super::proxy::{Inner, Phase};
use super::seats::Seat;

/// Time in which a connection that was told to end does.
const LINGER: Duration = Duration::from_secs(5);

/// Runs a connection until it ends, is idle for too long, loses its place, or the proxy is shut down.
pub(super) async fn run<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    wind_down: impl Fn(Pin<&mut C>),
    inner: &Inner,
    activity: &Arc<Activity>,
    seat: &Seat,
) {
    let mut connection = pin!(connection);
    let mut result = tokio::select! {
        result = &mut connection => Some(result),
        () = unused(activity, inner.settings.timeouts.idle) => None,
        () = seat.lost() => return tracing::debug!("A connection made room for another"),
        () = inner.phase(Phase::Draining) => None,
    };
    if result.is_none() {
        // The last frame is still to be sent.
        activity.note();
        wind_down(connection.as_mut());
        result = tokio::select! {
            result = &mut connection => Some(result),
            () = unused(activity, LINGER) => None,
            () = seat.lost() => None,
            () = inner.phase(Phase::Stopped) => None,
        };
    }
    if let Some(Err(error)) = result {
        tracing::debug!(%error, "A connection ended badly");
    }
}

/// Waits until a connection had no request for that long.
async fn unused(activity: &Activity, limit: Duration) {
    loop {
        let rest = limit.saturating_sub(activity.unused());
        if rest.is_zero() {
            return;
        }
        tokio::time::sleep(rest).await;
    }
}
