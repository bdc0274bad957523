//! The worker as a unit of its own: it answers the interface at the socket that systemd holds, and ends when nobody has
//! asked for a while.

use std::sync::Arc;
use std::time::Duration;

use cloudron_core::Cancel;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::Worker;
use super::serve::serve;
use crate::layout::USER;
use crate::system::{activation, peer};
use crate::{Error, Layout, Result, codes};

/// Time without a request after which the process ends. systemd starts it again for the next one.
const IDLE: Duration = Duration::from_secs(60);

/// Time limit for what is running when the worker is told to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Maximum number of requests at the same time. The interface limits its clients before.
const AT_ONCE: usize = 64;

/// Runs the worker until it is told to stop, or nobody asks.
///
/// # Errors
/// `usage` if systemd passed no socket; `machine-missing`, `config-corrupt`.
pub(crate) async fn run(layout: &Layout, stop: &Cancel) -> Result<()> {
    let socket = activation::sockets().into_iter().next().ok_or_else(|| {
        Error::new(
            &cloudron_core::codes::USAGE,
            "the backup worker is started by systemd, which passes it a socket",
        )
    })?;
    let listener = std::os::unix::net::UnixListener::from(socket);
    let listener = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
    let listener = listener.map_err(|e| Error::io("the worker's socket", e))?;
    let (worker, asker) = (Arc::new(Worker::of_system(layout)?), peer::uid_of(USER)?);
    listen(listener, worker, asker, stop, IDLE).await;
    Ok(())
}

/// Answers root and the user `asker`.
async fn listen(
    listener: UnixListener,
    worker: Arc<Worker>,
    asker: Option<u32>,
    stop: &Cancel,
    idle: Duration,
) {
    let mut running = JoinSet::new();
    loop {
        let quiet = running.is_empty();
        tokio::select! {
            accepted = listener.accept(), if running.len() < AT_ONCE => match accepted {
                Ok((stream, _)) if may_ask(&stream, asker) => {
                    running.spawn(serve(worker.clone(), stream, stop.clone()));
                }
                Ok(_) => {}
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

fn may_ask(stream: &UnixStream, asker: Option<u32>) -> bool {
    let uid = stream.peer_cred().map(|peer| peer.uid());
    let may = uid.as_ref().is_ok_and(|uid| *uid == 0 || Some(*uid) == asker);
    if !may {
        tracing::warn!(
            code = codes::PART_UNAVAILABLE.name,
            ?uid,
            "Somebody else than the interface asked the worker"
        );
    }
    may
}

#[cfg(test)]
mod tests {
    use cloudron_core::{Domain, SystemClock};

    use super::*;
    use crate::settings::WorkerSettings;
    use crate::worker::{Client, Folders};

    fn worker(home: &std::path::Path) -> Arc<Worker> {
        let fqdn = Domain::parse_any("demo.localhost").unwrap();
        let store = home.join("store").display().to_string();
        Arc::new(Worker {
            layout: Layout::rooted(home),
            settings: WorkerSettings { fqdn, store },
            folders: Folders::RootsList,
            clock: Arc::new(SystemClock),
            hook_limit: Duration::from_secs(5),
        })
    }

    #[tokio::test]
    async fn the_worker_ends_when_nobody_asks_and_answers_only_those_who_may() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("socket");
        let own = rustix::process::geteuid().as_raw();
        for (asker, code) in
            [(Some(own), &cloudron_backup::codes::REPOSITORY_MISSING), (None, &codes::PART_UNAVAILABLE)]
        {
            if asker.is_none() && own == 0 {
                continue;
            }
            let _ = std::fs::remove_file(&path);
            let listener = UnixListener::bind(&path).unwrap();
            let stop = Cancel::new();
            let idle = Duration::from_millis(200);
            let listening = listen(listener, worker(home.path()), asker, &stop, idle);
            let asking = async { Client::Socket(path.clone()).list(1, 10).await.unwrap_err() };
            let ((), error) = tokio::join!(listening, asking);
            assert!(error.is(code), "{error:?}");
        }
        let gone = Client::Socket(home.path().join("nothing")).list(1, 10).await.unwrap_err();
        assert!(gone.is(&codes::PART_UNAVAILABLE), "{gone:?}");
    }
}
