//! The authority that is asked, and everything else that is handed in.

use std::path::PathBuf;
use std::sync::Arc;

use cloudron_core::{Clock, Secret};
use cloudron_http::HttpTransport;

use crate::events::Listener;
use crate::limits::Limits;
use crate::{Event, Resolver, Solver};

/// A certificate authority that speaks ACME.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Authority {
    /// The address of its directory.
    pub directory: String,
    /// The profiles for domain names, best first; the first that the authority offers is used.
    pub profiles: Vec<String>,
    /// The profiles for addresses, likewise.
    pub address_profiles: Vec<String>,
    /// What it allows.
    pub limits: Limits,
    /// The account there that the new account is bound to: its ID, and its key in base64url.
    pub external_account: Option<(String, Secret)>,
}

impl Authority {
    /// The authority with a directory. An account is made there when the first certificate is ordered; whoever makes one
    /// agrees to the terms of the authority.
    pub fn at(directory: impl Into<String>) -> Self {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            directory: directory.into(),
            profiles: names(&["tlsserver", "classic"]),
            address_profiles: names(&["shortlived"]),
            limits: Limits::default(),
            external_account: None,
        }
    }

    /// Let's Encrypt.
    pub fn lets_encrypt() -> Self {
        Self::at(instant_acme::LetsEncrypt::Production.url())
    }

    /// Let's Encrypt's authority for tests, which no browser trusts.
    pub fn lets_encrypt_staging() -> Self {
        Self::at(instant_acme::LetsEncrypt::Staging.url())
    }

    /// Sets the profiles for domain names, best first.
    pub fn with_profiles<'p>(self, profiles: impl IntoIterator<Item = &'p str>) -> Self {
        Self { profiles: profiles.into_iter().map(str::to_owned).collect(), ..self }
    }

    /// Sets what it allows.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Binds a new account to one that exists there.
    pub fn bound_to(self, id: impl Into<String>, key: Secret) -> Self {
        Self { external_account: Some((id.into(), key)), ..self }
    }
}

/// Everything that [`Certificates`](crate::Certificates) work with.
#[derive(Clone)]
pub struct Options {
    pub(crate) folder: PathBuf,
    pub(crate) authority: Authority,
    pub(crate) transport: Arc<dyn HttpTransport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) solvers: Vec<Arc<dyn Solver>>,
    pub(crate) resolver: Option<Arc<Resolver>>,
    pub(crate) listener: Arc<dyn Listener>,
}

impl Options {
    /// Keeps everything in a folder, and asks an authority.
    pub fn new(
        folder: impl Into<PathBuf>,
        authority: Authority,
        transport: Arc<dyn HttpTransport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let listener = Arc::new(|_: &Event<'_>| ());
        let (solvers, resolver, folder) = (Vec::new(), None, folder.into());
        Self { folder, authority, transport, clock, solvers, resolver, listener }
    }

    /// Adds a way of proving the control of names.
    pub fn solving(mut self, solver: impl Solver + 'static) -> Self {
        self.solvers.push(Arc::new(solver));
        self
    }

    /// Sets where certificates are put in use.
    pub fn serving(self, resolver: Arc<Resolver>) -> Self {
        Self { resolver: Some(resolver), ..self }
    }

    /// Sets who is told what happens.
    pub fn telling(self, listener: impl Listener + 'static) -> Self {
        Self { listener: Arc::new(listener), ..self }
    }
}
