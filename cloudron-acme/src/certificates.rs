//! The certificates that are wanted, and what the owner does with them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudron_core::{Cancel, Clock, Error, Result, random};

use crate::chain::Certificate;
use crate::challenge::Solver;
use crate::events::{Event, Served};
use crate::http::Seen;
use crate::schedule::Seconds;
use crate::state::{Ledger, Record, Revocation};
use crate::status::{Reason, Status};
use crate::store::Store;
use crate::{Authority, Challenge, Options, Wanted, codes};

/// Certificates in a folder, kept valid.
#[derive(Clone)]
pub struct Certificates(pub(crate) Arc<Inner>);

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("directory", &self.0.options.authority.directory)
            .finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) store: Store,
    seen: Arc<Seen>,
    entries: Mutex<BTreeMap<String, Entry>>,
    ledger: Mutex<Ledger>,
    /// Held while something is asked for: one thing at a time.
    pub(crate) working: tokio::sync::Mutex<()>,
}

/// One certificate that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) wanted: Wanted,
    pub(crate) record: Record,
    pub(crate) certificate: Option<Certificate>,
}

impl Certificates {
    /// Opens the folder. Nothing is wanted yet, and nothing is asked for.
    ///
    /// # Errors
    /// `acme-busy` if another process works with it, `acme-state` if it cannot be understood, and errors of files.
    pub fn open(options: Options) -> Result<Self> {
        let store = Store::open(&options.folder)?;
        let ledger = Mutex::new(store.ledger()?);
        let (seen, entries, working) = Default::default();
        Ok(Self(Arc::new(Inner { options, store, seen, entries, ledger, working })))
    }

    /// Sets which certificates are wanted, in place of those before. What the folder has of them is served at once, even if
    /// it is over. Files of certificates that are not wanted any more stay.
    ///
    /// # Errors
    /// `acme-state` and errors of files. Those before are then still wanted.
    pub fn want(&self, wanted: impl IntoIterator<Item = Wanted>) -> Result<()> {
        let inner = &self.0;
        let mut entries = BTreeMap::new();
        for wanted in wanted {
            let known = inner.entry(wanted.id());
            let (mut record, certificate) = match known {
                Some(entry) => (entry.record, entry.certificate),
                None => (inner.store.record(wanted.id())?.unwrap_or_else(fresh), inner.load(wanted.id())?),
            };
            if record.names != wanted.names {
                record.names.clone_from(&wanted.names);
                // What is known of other names is no reason to wait with these.
                record.failure = None;
                record.issued = Default::default();
                inner.store.put_record(wanted.id(), &record)?;
            }
            entries.insert(wanted.id().to_owned(), Entry { wanted, record, certificate });
        }
        *inner.entries() = entries;
        inner.serve();
        Ok(())
    }

    /// Calls [`pass`](Self::pass) whenever something is due, until it is cancelled.
    pub async fn run(&self, cancel: &Cancel) {
        // Short, so that a clock that jumps and a certificate that is newly wanted are noticed.
        const LOOK: std::time::Duration = std::time::Duration::from_secs(60);
        while !cancel.is_cancelled() {
            let next = self.pass().await;
            self.0.clock().sleep(next.min(LOOK)).await;
        }
    }

    /// Asks for a new certificate at the next pass, with a new key.
    ///
    /// # Errors
    /// `acme-unknown`, and errors of files.
    pub fn replace(&self, id: &str) -> Result<()> {
        self.0.update(id, |record| record.replace = true)
    }

    /// Revokes a certificate and gets another one, at the next pass. With a compromised key it is revoked first; otherwise
    /// it is replaced first, so that no client meets a revoked one.
    ///
    /// # Errors
    /// `acme-unknown` if there is none, and errors of files.
    pub fn revoke(&self, id: &str, reason: Reason) -> Result<()> {
        let entry = self.0.entry(id).ok_or_else(|| unknown(id))?;
        let certificate = entry.certificate.ok_or_else(|| unknown(id))?;
        let revocation = Revocation {
            certificate: STANDARD.encode(certificate.leaf()),
            reason: reason.code(),
            directory: self.0.authority().directory.clone(),
        };
        self.0.update(id, |record| {
            record.replace = true;
            if !record.revoke.iter().any(|known| known.certificate == revocation.certificate) {
                record.revoke.push(revocation);
            }
        })
    }

    /// Returns the certificate that is in use.
    pub fn certificate(&self, id: &str) -> Option<Certificate> {
        self.0.entry(id)?.certificate
    }

    /// Returns how it stands with every certificate that is wanted.
    pub fn status(&self) -> Vec<Status> {
        let now = self.0.now();
        let entries = self.0.entries();
        entries.iter().map(|(id, entry)| self.0.status_of(id, entry, now)).collect()
    }

    /// Returns the address of the account at the authority, once there is one. It belongs into CAA records and into
    /// [`persistent_record`](crate::persistent_record).
    ///
    /// # Errors
    /// `acme-state` and errors of files.
    pub fn account(&self) -> Result<Option<String>> {
        Ok(self.0.account_file()?.and_then(|file| file.id))
    }
}

impl Inner {
    pub(crate) fn authority(&self) -> &Authority {
        &self.options.authority
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.options.clock
    }

    pub(crate) fn seen(&self) -> &Arc<Seen> {
        &self.seen
    }

    /// Returns the time, in seconds since 1970.
    pub(crate) fn now(&self) -> Seconds {
        let now = self.options.clock.now();
        let seconds = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        now.duration_since(UNIX_EPOCH).map_or_else(|before| -seconds(before.duration()), seconds)
    }

    pub(crate) fn solver(&self, challenge: Challenge) -> Option<Arc<dyn Solver>> {
        self.options.solvers.iter().find(|solver| solver.challenge() == challenge).cloned()
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.options.listener.happened(event);
    }

    pub(crate) fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn entry(&self, id: &str) -> Option<Entry> {
        self.entries().get(id).cloned()
    }

    /// Changes what is kept of a certificate, on disk first.
    pub(crate) fn update(&self, id: &str, change: impl FnOnce(&mut Record)) -> Result<()> {
        let mut entries = self.entries();
        let entry = entries.get_mut(id).ok_or_else(|| unknown(id))?;
        let mut record = entry.record.clone();
        change(&mut record);
        if record != entry.record {
            self.store.put_record(id, &record)?;
            entry.record = record;
        }
        Ok(())
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is kept of all certificates, on disk first.
    pub(crate) fn update_ledger(&self, change: impl FnOnce(&mut Ledger)) -> Result<()> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = ledger.clone();
        change(&mut changed);
        if changed != *ledger {
            self.store.put_ledger(&changed)?;
            *ledger = changed;
        }
        Ok(())
    }

    /// Notes an order, before it is made.
    pub(crate) fn note_order(&self) -> Result<()> {
        let now = self.now();
        self.update_ledger(|ledger| ledger.orders.note(now))
    }

    /// Puts a certificate in use: on disk, then for new connections.
    pub(crate) fn put_in_use(&self, id: &str, pem: &str, certificate: Certificate) -> Result<()> {
        self.store.put_certificate(id, pem)?;
        if let Some(entry) = self.entries().get_mut(id) {
            entry.certificate = Some(certificate);
        }
        self.serve();
        Ok(())
    }

    fn serve(&self) {
        if let Some(resolver) = &self.options.resolver {
            resolver.replace(self.entries().values().filter_map(|entry| entry.certificate.as_ref()));
        }
    }

    /// Reads a certificate of the folder. One that cannot be used is set aside, and counts as missing.
    fn load(&self, id: &str) -> Result<Option<Certificate>> {
        let Some(pem) = self.store.certificate(id)? else { return Ok(None) };
        match Certificate::parse(&pem) {
            Ok(certificate) => Ok(Some(certificate)),
            Err(error) => {
                tracing::warn!(id, %error, "the certificate in the folder cannot be used and is set aside");
                self.store.set_aside(id).map(|()| None)
            }
        }
    }
}

impl Entry {
    pub(crate) fn served(&self, now: Seconds) -> Served {
        match self.certificate.as_ref().map(|certificate| certificate.life.until) {
            None => Served::Fallback,
            Some(until) if until <= now => Served::Expired(until),
            Some(until) => Served::Valid(until),
        }
    }
}

fn fresh() -> Record {
    Record { spread: random::unit(), ..Record::default() }
}

fn unknown(id: &str) -> Error {
    let id: String = id.chars().take(255).collect();
    Error::new(&codes::UNKNOWN, format!("there is no certificate `{}`", cloudron_core::escape::line(&id)))
}
