//! The backup worker: all that needs the backup store, its keys, or the right to read every file.
//!
//! On a machine of its own it is a unit with a user of its own, which systemd starts by its socket and which ends when
//! nobody asks. Below one folder it is a part of the server's process. Both answer by the same [protocol], so
//! that they are the same code.

mod backup;
mod client;
mod progress;
mod protocol;
mod serve;
mod store;

pub(crate) use client::Client;
pub(crate) use protocol::{Made, Said, Working};

use std::sync::Arc;

use cloudron_core::{Cancel, Clock, SystemClock};

use crate::db::{Db, blocking, includes};
use crate::helper::{self, HOOK_LIMIT};
use crate::layout::USER;
use crate::parts;
use crate::settings::WorkerSettings;
use crate::system::peer;
use crate::{Include, Layout, Result};

/// The worker of one server.
pub(crate) struct Worker {
    pub(crate) layout: Layout,
    pub(crate) settings: WorkerSettings,
    pub(crate) folders: Folders,
    pub(crate) clock: Arc<dyn Clock>,
    /// Runs the commands of the included folders.
    pub(crate) helper: helper::Client,
    /// Held while a backup is made. An interface that was killed leaves one that still runs its commands, while the next
    /// interface asks for another.
    pub(crate) making: tokio::sync::Mutex<()>,
}

/// Where the included folders are listed.
pub(crate) enum Folders {
    /// In the server's database, which is in the hands of the same user.
    Database(Db),
    /// In the file of root, which the interface cannot change.
    RootsList,
}

/// Runs the worker until it is told to stop, or nobody asks.
///
/// # Errors
/// `usage` if systemd passed no socket; `machine-missing`, `config-corrupt`.
pub(crate) async fn run(layout: &Layout, stop: &Cancel) -> Result<()> {
    let listener = parts::activated()?;
    let (worker, interface) = (Arc::new(Worker::of_system(layout)?), peer::uid_of(USER)?);
    let know = move |uid| (uid == 0 || Some(uid) == interface).then_some(());
    let answer = |stream, ()| serve::serve(worker.clone(), stream, stop.clone());
    parts::listen(listener, stop, parts::IDLE, know, answer).await;
    Ok(())
}

impl Worker {
    /// Returns the worker of a machine of its own.
    ///
    /// # Errors
    /// `machine-missing`, `config-corrupt`.
    pub(crate) fn of_system(layout: &Layout) -> Result<Self> {
        Ok(Self {
            layout: layout.clone(),
            settings: WorkerSettings::require(layout)?,
            folders: Folders::RootsList,
            clock: Arc::new(SystemClock),
            helper: layout.helper_socket().map_or(helper::Client::Here(HOOK_LIMIT), helper::Client::Socket),
            making: tokio::sync::Mutex::default(),
        })
    }

    async fn included(&self) -> Result<Vec<Include>> {
        match &self.folders {
            Folders::Database(db) => db.read_async(includes::list).await,
            Folders::RootsList => {
                let layout = self.layout.clone();
                blocking(move || crate::include::roots_list(&layout)).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use cloudron_core::Domain;
    use tokio::net::UnixListener;

    use super::*;
    use crate::codes;

    fn worker(home: &Path) -> Arc<Worker> {
        worker_with(home, Folders::RootsList)
    }

    fn worker_with(home: &Path, folders: Folders) -> Arc<Worker> {
        let fqdn = Domain::parse_any("demo.localhost").unwrap();
        let store = home.join("store").display().to_string();
        Arc::new(Worker {
            layout: Layout::rooted(home),
            settings: WorkerSettings { fqdn, store },
            folders,
            clock: Arc::new(SystemClock),
            helper: helper::Client::Here(Duration::from_secs(5)),
            making: tokio::sync::Mutex::default(),
        })
    }

    #[tokio::test]
    async fn the_worker_ends_when_nobody_asks_and_answers_only_those_who_may() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("socket");
        for (known, code) in
            [(true, &cloudron_backup::codes::REPOSITORY_MISSING), (false, &codes::PART_UNAVAILABLE)]
        {
            let _ = std::fs::remove_file(&path);
            let (listener, worker) = (UnixListener::bind(&path).unwrap(), worker(home.path()));
            let (stop, idle) = (Cancel::new(), Duration::from_millis(200));
            let answer = |stream, ()| serve::serve(worker.clone(), stream, stop.clone());
            let listening = parts::listen(listener, &stop, idle, |_| known.then_some(()), answer);
            let asking = async { Client::Socket(path.clone()).list(1, 10).await.unwrap_err() };
            let ((), error) = tokio::join!(listening, asking);
            assert!(error.is(code), "{error:?}");
        }
        let gone = Client::Socket(home.path().join("nothing")).list(1, 10).await.unwrap_err();
        assert!(gone.is(&codes::PART_UNAVAILABLE), "{gone:?}");
    }

    #[tokio::test]
    async fn the_commands_of_two_backups_never_run_at_once_and_one_that_waits_can_be_taken_back() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        let command = |word: &str| Some(format!("echo {word} >> log; sleep 0.2"));
        let include = Include { path: folder.clone(), before: command("before"), after: command("after") };
        let db = Db::open(&home.path().join("cloudron.db")).unwrap();
        db.transaction(|c| includes::put(c, &include)).unwrap();
        let client = Client::Here(worker_with(home.path(), Folders::Database(db)));
        let (go, stop) = (Cancel::new(), Cancel::new());
        let back_up = |cancel| client.back_up(cancel, |_| {}, |_| {});
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stop.cancel();
        };
        let (first, second, third, ()) = tokio::join!(back_up(&go), back_up(&go), back_up(&stop), stopping);
        for failed in [first, second] {
            assert!(failed.unwrap_err().is(&codes::CONFIG_CORRUPT), "there are no keys");
        }
        assert!(third.unwrap_err().is(&cloudron_core::codes::INTERRUPTED));
        let log = std::fs::read_to_string(folder.join("log")).unwrap();
        assert_eq!(log, "before\nafter\nbefore\nafter\n");
    }
}
