//! One pass over all certificates: what is due is done, one thing after the other.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudron_core::random;
use instant_acme::{Account, RevocationReason, RevocationRequest};
use rustls_pki_types::CertificateDer;

use crate::backoff::{Blame, Failures};
use crate::certificates::{Entry, Inner};
use crate::events::Event;
use crate::failure::Failure;
use crate::order::{Work, certificate_id};
use crate::schedule::{Action, DAY, MINUTE, Seconds, Situation, Why, decide};
use crate::state::{Ari, Failing, Ledger, Revocation};
use crate::{Certificates, Result, Wanted};

/// How many steps one certificate may take in a pass: renewal information, an order, renewal information of the new one.
const STEPS: usize = 4;
/// How many passing failures in a row the owner is not told about.
const QUIET: u32 = 2;
const KEY_COMPROMISE: u8 = 1;

impl Certificates {
    /// Does everything that is due, and returns how long nothing will be. Failures are kept for the next pass and told to
    /// the listener; this call reports none.
    pub async fn pass(&self) -> Duration {
        let inner = &*self.0;
        let _working = inner.working.lock().await;
        let ids: Vec<String> = inner.entries().keys().cloned().collect();
        let mut account = None;
        let mut next = inner.now() + DAY;
        for id in ids {
            next = next.min(inner.attend(&id, &mut account).await);
        }
        let wait = next.saturating_sub(inner.now()).clamp(1, DAY);
        Duration::from_secs(wait.unsigned_abs())
    }
}

impl Inner {
    /// Does what is due for one certificate. Returns when something is due next.
    async fn attend(&self, id: &str, account: &mut Option<Account>) -> Seconds {
        for _ in 0..STEPS {
            let Some(entry) = self.entry(id) else { break };
            let now = self.now();
            let urgent =
                |revocation: &&Revocation| revocation.reason == KEY_COMPROMISE || !entry.record.replace;
            let situation = self.situation(&entry, now);
            let blocked = situation.blocked.is_some_and(|until| until > now);
            let action = decide(now, &situation);
            let done = match entry.record.revoke.iter().find(urgent) {
                Some(revocation) if !blocked => self.revoke(id, revocation, account).await,
                _ => match action {
                    Action::Wait(until) => return until,
                    Action::AskRenewal => self.ask_renewal(&entry, account).await,
                    Action::Order(why) => self.order(&entry, why, false, account).await,
                    Action::Resume(why) => self.order(&entry, why, true, account).await,
                },
            };
            if let Err(failure) = done {
                // The next connection starts anew.
                *account = None;
                self.failed(&entry, failure);
            }
        }
        self.now() + MINUTE
    }

    /// Gathers what decides.
    fn situation(&self, entry: &Entry, now: Seconds) -> Situation {
        let (record, ledger) = (&entry.record, self.ledger());
        let names = &entry.wanted.names;
        let covering = entry.certificate.as_ref().filter(|certificate| certificate.covers(names));
        let ari = covering.and_then(|certificate| certificate.ari.as_deref());
        let directory = &self.authority().directory;
        let order = record.order.as_ref();
        let order = order.filter(|order| order.directory == *directory && order.names == *names);
        Situation {
            life: covering.map(|certificate| certificate.life),
            covers_too_little: entry.certificate.is_some() && covering.is_none(),
            ari: record.ari_of(ari).cloned(),
            asks_ari: ari.is_some(),
            spread: record.spread,
            order: order.map(|order| order.begun),
            replace: record.replace,
            blocked: self.blocked(entry, &ledger, now),
            spent: self.spent(entry, &ledger, now),
        }
    }

    /// Returns until when nothing may be asked for.
    fn blocked(&self, entry: &Entry, ledger: &Ledger, now: Seconds) -> Option<Seconds> {
        let own = entry.record.failure.as_ref().map(|failing| &failing.failures);
        let names = entry.wanted.names.iter().filter_map(|name| ledger.names.get(&name.to_string()));
        let paused = ledger.paused.get(&self.authority().directory);
        own.into_iter().chain(names).chain(paused).filter_map(|failures| failures.until(now)).max()
    }

    /// Returns until when our own account of the limits forbids an order.
    fn spent(&self, entry: &Entry, ledger: &Ledger, now: Seconds) -> Option<Seconds> {
        let limits = self.authority().limits;
        let registered = registered(&entry.wanted);
        let registered = registered.iter().filter_map(|domain| ledger.registered.get(domain));
        let registered = registered.filter_map(|uses| uses.until(now, limits.registered));
        let same = entry.record.issued.until(now, limits.same_names);
        let orders = ledger.orders.until(now, limits.orders);
        registered.chain(same).chain(orders).max()
    }

    async fn connected<'a>(&self, account: &'a mut Option<Account>) -> Result<&'a Account, Failure> {
        let connected = match account.take() {
            Some(known) => known,
            None => self.connect().await?,
        };
        Ok(account.insert(connected))
    }

    async fn ask_renewal(&self, entry: &Entry, account: &mut Option<Account>) -> Result<(), Failure> {
        let Some(name) = entry.certificate.as_ref().and_then(|certificate| certificate.ari.clone()) else {
            return Ok(());
        };
        let account = self.connected(account).await?;
        let Some(id) = certificate_id(&name) else { return Ok(()) };
        let (window, again) = match account.renewal_info(&id).await {
            Ok((info, again)) => {
                let window = info.suggested_window;
                let window = (window.start.unix_timestamp(), window.end.unix_timestamp());
                (Some(window), i64::try_from(again.as_secs()).ok())
            }
            Err(instant_acme::Error::Unsupported(_)) => (None, Some(DAY)),
            Err(error) => {
                let failure = Failure::from(error);
                if failure.of_all {
                    return Err(failure);
                }
                // Without a suggestion, our own rule holds. It is no failure of the certificate.
                tracing::info!(id = entry.wanted.id(), error = %failure.error, "no renewal information");
                let before = entry.record.ari_of(Some(&name)).and_then(|ari| ari.window);
                (before.map(|window| (window.start, window.end)), failure.asked)
            }
        };
        let ari = Ari::answered(entry.record.ari.as_ref(), &name, window, self.now(), again, random::unit());
        Ok(self.update(entry.wanted.id(), |record| record.ari = Some(ari))?)
    }

    async fn order(
        &self,
        entry: &Entry,
        why: Why,
        resume: bool,
        account: &mut Option<Account>,
    ) -> Result<(), Failure> {
        let id = entry.wanted.id();
        let replaces = entry.certificate.as_ref().and_then(|certificate| certificate.ari.as_deref());
        let replaces = replaces.filter(|_| why.replaces());
        let account = self.connected(account).await?;
        tracing::info!(id, ?why, resume, "ordering a certificate");
        let work = Work { inner: self, account, wanted: &entry.wanted };
        let begun = entry.record.order.as_ref().filter(|_| resume);
        let (pem, certificate) = work.obtain(begun, replaces).await?;
        let until = certificate.life.until;
        self.put_in_use(id, &pem, certificate)?;
        self.succeeded(entry)?;
        let recovered = entry.record.failure.as_ref().is_some_and(|failing| failing.told);
        self.tell(&Event::Obtained { id, until, recovered });
        Ok(())
    }

    /// Keeps that a certificate was obtained. It is in use already, so that a crash before this costs nothing.
    fn succeeded(&self, entry: &Entry) -> Result<()> {
        let (id, now) = (entry.wanted.id(), self.now());
        let mut exempt = false;
        self.update(id, |record| {
            exempt = record.order.take().is_some_and(|order| order.replaces);
            (record.ari, record.failure) = (None, None);
            (record.replace, record.spread) = (false, random::unit());
            if !exempt {
                record.issued.note(now);
            }
        })?;
        self.store.remove_next_key(id)?;
        self.update_ledger(|ledger| {
            ledger.paused.remove(&self.authority().directory);
            for name in entry.wanted.names() {
                ledger.names.remove(&name.to_string());
            }
            for domain in registered(&entry.wanted).into_iter().filter(|_| !exempt) {
                ledger.registered.entry(domain).or_default().note(now);
            }
        })
    }

    async fn revoke(
        &self,
        id: &str,
        revocation: &Revocation,
        account: &mut Option<Account>,
    ) -> Result<(), Failure> {
        if revocation.directory == self.authority().directory {
            let account = self.connected(account).await?;
            let certificate =
                CertificateDer::from(STANDARD.decode(&revocation.certificate).unwrap_or_default());
            let reason = match revocation.reason {
                KEY_COMPROMISE => RevocationReason::KeyCompromise,
                4 => RevocationReason::Superseded,
                5 => RevocationReason::CessationOfOperation,
                _ => RevocationReason::Unspecified,
            };
            let request = RevocationRequest { certificate: &certificate, reason: Some(reason) };
            if let Err(error) = account.revoke(&request).await {
                let failure = Failure::from(error);
                if failure.kind != "alreadyRevoked" {
                    return Err(failure);
                }
            }
        }
        self.update(id, |record| record.revoke.retain(|known| known.certificate != revocation.certificate))?;
        self.tell(&Event::Revoked { id });
        Ok(())
    }

    /// Keeps a failure, and tells the owner unless it was told.
    fn failed(&self, entry: &Entry, failure: Failure) {
        let (id, now) = (entry.wanted.id(), self.now());
        let Failure { error, blame, names, asked, of_all, ends_order, kind } = failure;
        tracing::warn!(id, %error, "no certificate");
        if kind == "accountDoesNotExist" {
            self.log(self.forget_account());
        }
        let random = random::unit();
        self.log(self.update_ledger(|ledger| {
            if of_all {
                let directory = self.authority().directory.clone();
                let more = Failures::more(ledger.paused.get(&directory), now, Blame::Passing, asked, random);
                ledger.paused.insert(directory, more);
            }
            let own = entry.wanted.names.iter().map(ToString::to_string);
            for name in own.filter(|name| blame == Blame::Name && (names.is_empty() || names.contains(name)))
            {
                let more = Failures::more(ledger.names.get(&name), now, blame, None, random);
                ledger.names.insert(name, more);
            }
        }));
        let served = entry.served(now);
        let (mut told, mut since) = (false, now);
        self.log(self.update(id, |record| {
            let before = record.failure.take();
            let failures = Failures::more(before.as_ref().map(|f| &f.failures), now, blame, asked, random);
            since = before.as_ref().map_or(now, |failing| failing.since.min(now));
            told = before.is_some_and(|failing| failing.told);
            let worth = told || !error.is_retryable() || failures.count > QUIET;
            let (code, message) = (error.code().name.to_owned(), error.to_string());
            record.failure = Some(Failing { failures, since, code, message, told: worth });
            // What the owner is told now was not told before.
            told = told || !worth;
            if ends_order {
                record.order = None;
            }
        }));
        if !told {
            self.tell(&Event::Failing { id, error: &error, since, served });
        }
    }

    /// A folder that cannot be written does not keep certificates from being served.
    fn log(&self, result: Result<()>) {
        if let Err(error) = result {
            tracing::error!(%error, "what is known of certificates cannot be kept");
        }
    }
}

fn registered(wanted: &Wanted) -> Vec<String> {
    let mut domains: Vec<String> = wanted.names().iter().map(|name| name.registered()).collect();
    domains.sort();
    domains.dedup();
    domains
}
