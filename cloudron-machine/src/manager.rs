//! The computer from which machines are managed.

use std::path::PathBuf;
use std::sync::Arc;

use cloudron_core::{Cancel, Code, Error, Progress, Result};
use cloudron_provision::steps::{Context, Runner};
use cloudron_provision::{CloudProvider, Remote};

use crate::ask::{Ask, Nobody};
use crate::kept::KeptBackups;
use crate::program::{Place, Program};
use crate::registry::Machines;
use crate::state_dir::StateDir;

/// What all work on machines takes: where this computer keeps what it knows of them, who answers questions, where
/// progress goes, and what stops the work. Clones share everything.
#[derive(Clone)]
pub struct Manager {
    state: StateDir,
    ask: Arc<dyn Ask>,
    progress: Progress,
    cancel: Cancel,
    codes: Arc<[&'static Code]>,
    program: Option<PathBuf>,
}

impl Manager {
    /// With nobody to answer, no progress, and this program as the one that is installed.
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
        }
    }

    /// The same, with somebody who answers questions.
    #[must_use]
    pub fn asking(mut self, ask: impl Ask + 'static) -> Self {
        self.ask = Arc::new(ask);
        self
    }

    /// The same, with progress, notes and warnings reported there.
    #[must_use]
    pub fn reporting(mut self, progress: &Progress) -> Self {
        self.progress = progress.clone();
        self
    }

    /// The same, stopped by that flag.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// The same, which knows these further error codes of the program on a machine: without them, an error of the
    /// server's own is told with a code of this crate and the message.
    #[must_use]
    pub fn with_error_codes(mut self, codes: impl IntoIterator<Item = &'static Code>) -> Self {
        self.codes = codes.into_iter().collect();
        self
    }

    /// The same, which installs that program rather than the one that runs: the `cloudron` command.
    #[must_use]
    pub fn installing(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Where this computer keeps what it knows.
    pub fn state(&self) -> &StateDir {
        &self.state
    }

    /// The records of machines.
    pub fn machines(&self) -> Machines {
        Machines::at(self.state.machines())
    }

    /// Where the backups of destroyed machines are.
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

    /// The path of the program that is installed on machines.
    pub(crate) fn own_program(&self) -> Result<PathBuf> {
        match &self.program {
            Some(path) => Ok(path.clone()),
            None => std::env::current_exe().map_err(|e| Error::io("this program", e)),
        }
    }

    /// The program on a machine that is reached like that.
    pub fn program(&self, remote: Arc<dyn Remote>, place: Place) -> Program {
        Program::new(remote, place, self.codes.clone(), self.cancel.clone())
    }

    /// What the steps of a run share.
    pub(crate) fn context(&self, fqdn: &str, provider: Arc<dyn CloudProvider>) -> Context {
        Context::new(fqdn, provider)
            .progress(&self.progress)
            .cancelled_by(&self.cancel)
            .knowing(self.codes.iter().copied())
    }
}
