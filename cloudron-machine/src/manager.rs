//! The context in which machines are managed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloudron_backup::StoreOptions;
use cloudron_core::{Cancel, Code, Error, Progress, Result};
use cloudron_provision::steps::{Context, Runner};
use cloudron_provision::{CloudProvider, Remote};

use crate::ask::{Ask, Nobody};
use crate::clouds::Account;
use crate::dns::PROPAGATION;
use crate::kept::KeptBackups;
use crate::program::{Place, Program};
use crate::registry::Machines;
use crate::state_dir::StateDir;

/// Shared context of all work on machines: folders of this computer, handler of questions, receiver of
/// progress, and cancellation. Clones share everything.
#[derive(Clone)]
pub struct Manager {
    state: StateDir,
    ask: Arc<dyn Ask>,
    progress: Progress,
    cancel: Cancel,
    codes: Arc<[&'static Code]>,
    program: Option<PathBuf>,
    pub(crate) account: Option<Arc<Account>>,
    propagation: Duration,
    pub(crate) buckets: Option<Arc<StoreOptions>>,
}

impl Manager {
    /// Returns a manager that cannot ask questions, reports no progress and installs the running program.
    pub fn new(state: StateDir) -> Self {
        let lists = [
            cloudron_core::codes::ALL,
            cloudron_api::codes::ALL,
            cloudron_backup::codes::ALL,
            cloudron_dns::codes::ALL,
            cloudron_provision::codes::ALL,
            crate::codes::ALL,
        ];
        Self {
            state,
            ask: Arc::new(Nobody),
            progress: Progress::none(),
            cancel: Cancel::new(),
            codes: lists.into_iter().flatten().copied().collect(),
            program: None,
            account: None,
            propagation: PROPAGATION,
            buckets: None,
        }
    }

    /// Sets the handler of questions.
    #[must_use]
    pub fn asking(mut self, ask: impl Ask + 'static) -> Self {
        self.ask = Arc::new(ask);
        self
    }

    /// Sets the receiver of progress, notes and warnings.
    #[must_use]
    pub fn reporting(mut self, progress: &Progress) -> Self {
        self.progress = progress.clone();
        self
    }

    /// Sets the cancellation flag.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Adds error codes that the program on a machine may return. An error of the server with an unknown code
    /// is reported with a code of this crate and the server's message.
    #[must_use]
    pub fn with_error_codes(mut self, codes: impl IntoIterator<Item = &'static Code>) -> Self {
        self.codes = codes.into_iter().collect();
        self
    }

    /// Sets the program to install, the `cloudron` command, in place of the running one.
    #[must_use]
    pub fn installing(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Sets how long a creation waits for the name servers to have the records that it wrote: two minutes by default.
    /// When the time is over, it succeeds nevertheless.
    #[must_use]
    pub fn waiting_for_dns(mut self, limit: Duration) -> Self {
        self.propagation = limit;
        self
    }

    pub(crate) fn propagation(&self) -> Duration {
        self.propagation
    }

    /// Returns the folders in which this computer stores records.
    pub fn state(&self) -> &StateDir {
        &self.state
    }

    /// Returns the records of machines.
    pub fn machines(&self) -> Machines {
        Machines::at(self.state.machines())
    }

    /// Returns the records of the backups of destroyed machines.
    pub fn kept(&self) -> KeptBackups {
        KeptBackups::at(self.state.kept())
    }

    pub(crate) fn runner(&self) -> Runner {
        Runner::new(self.state.runs())
    }

    pub(crate) fn ask(&self) -> &Arc<dyn Ask> {
        &self.ask
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Returns the path of the program that is installed on machines.
    pub(crate) fn own_program(&self) -> Result<PathBuf> {
        match &self.program {
            Some(path) => Ok(path.clone()),
            None => std::env::current_exe().map_err(|e| Error::io("this program", e)),
        }
    }

    /// Returns the program on a machine with this connection.
    pub fn program(&self, remote: Arc<dyn Remote>, place: Place) -> Program {
        Program::new(remote, place, self.codes.clone(), self.cancel.clone())
    }

    /// Returns the shared context of a run's steps.
    pub(crate) fn context(&self, fqdn: &str, provider: Arc<dyn CloudProvider>) -> Context {
        let context = Context::new(fqdn, provider)
            .progress(&self.progress)
            .cancelled_by(&self.cancel)
            .knowing(self.codes.iter().copied());
        match &self.account {
            Some(account) => context.clock(account.clock().clone()),
            None => context,
        }
    }
}
