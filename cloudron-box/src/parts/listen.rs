//! Answering at a socket that systemd holds, until nobody has asked for a while.

use std::time::Duration;

use cloudron_core::Cancel;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::system::activation;
use crate::{Error, Result};

/// Time limit for what is running when a part is told to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Maximum number of requests at the same time.
const AT_ONCE: usize = 64;

/// Returns the socket that systemd passed.
///
/// # Errors
/// `usage` if it passed none.
pub(crate) fn activated() -> Result<UnixListener> {
    let socket = activation::sockets().into_iter().next().ok_or_else(|| {
        let text = "this part of the server is started by systemd, which passes it a socket";
        Error::new(&cloudron_core::codes::USAGE, text)
    })?;
    let listener = std::os::unix::net::UnixListener::from(socket);
    let listener = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
    listener.map_err(|e| Error::io("the socket that systemd passed", e))
}

/// Answers those whom `know` knows by their user number, until `stop` or until nobody has asked for `idle`.
pub(crate) async fn listen<W, F>(
    listener: UnixListener,
    stop: &Cancel,
    idle: Duration,
    know: impl Fn(u32) -> Option<W>,
    answer: impl Fn(UnixStream, W) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    loop {
        let quiet = running.is_empty();
        tokio::select! {
            accepted = listener.accept(), if running.len() < AT_ONCE => match accepted {
                Ok((stream, _)) => {
                    let uid = stream.peer_cred().map(|peer| peer.uid());
                    match uid.as_ref().ok().and_then(|uid| know(*uid)) {
                        Some(who) => drop(running.spawn(answer(stream, who))),
                        None => tracing::warn!(?uid, "Somebody asked who may not"),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "A connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = running.join_next() => {}
            () = stop.cancelled() => break,
            () = tokio::time::sleep(idle), if quiet => return,
        }
    }
    let rest = async { while running.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, rest).await;
}
