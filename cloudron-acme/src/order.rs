//! One order, from the account to a certificate that was checked.

use std::time::Duration;

use cloudron_core::Error;
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, Identifier, NewOrder, Order, OrderStatus,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use crate::certificates::Inner;
use crate::chain::Certificate;
use crate::failure::Failure;
use crate::http::Refusal;
use crate::state::Pending;
use crate::{Subject, Wanted, codes};

/// How long one step of an order is waited for.
const PATIENCE: Duration = Duration::from_secs(180);
/// The longest pause between two looks at an order.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// An order for one certificate.
pub(crate) struct Work<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) account: &'a Account,
    pub(crate) wanted: &'a Wanted,
}

impl Work<'_> {
    /// Orders a certificate, or goes on with the order that was begun. Returns the certificate with its key, PEM.
    pub(crate) async fn obtain(
        &self,
        begun: Option<&Pending>,
        replaces: Option<&str>,
    ) -> Result<(String, Certificate), Failure> {
        let mut order = match begun {
            Some(pending) => match self.account.order(pending.url.clone()).await {
                Ok(order) => order,
                Err(error) => return Err(self.lost(error)),
            },
            None => self.begin(replaces).await?,
        };
        let status = order.state().status;
        if status == OrderStatus::Pending {
            self.prove(&mut order).await?;
        }
        if matches!(status, OrderStatus::Pending | OrderStatus::Ready) {
            self.until(&mut order, &[OrderStatus::Ready, OrderStatus::Processing, OrderStatus::Valid])
                .await?;
        }
        let key = self.key()?;
        if order.state().status == OrderStatus::Ready {
            let csr = self.request(&key)?;
            order.finalize_csr(csr.der()).await?;
        }
        self.until(&mut order, &[OrderStatus::Valid]).await?;
        let chain = order.certificate().await?;
        let chain = chain.ok_or_else(|| Error::new(&codes::ANSWER, "the order has no certificate"))?;
        self.checked(&key, &chain).map_err(|error| Failure::from(error).ending())
    }

    /// An order that the authority does not know any more is begun anew; everything else is tried again.
    fn lost(&self, error: instant_acme::Error) -> Failure {
        let failure = Failure::from(error);
        let gone = matches!(&*failure.kind, "malformed" | "notFound" | "unauthorized" | "orderNotFound");
        if gone { Failure { blame: crate::backoff::Blame::Passing, ..failure.ending() } } else { failure }
    }

    /// Makes an order. Its key and its address are kept before anything else happens.
    async fn begin(&self, replaces: Option<&str>) -> Result<Order, Failure> {
        let id = self.wanted.id();
        let key = KeyPair::generate().map_err(|e| Error::new(&codes::CERTIFICATE, e.to_string()))?;
        self.inner.store.put_next_key(id, &key.serialize_pem())?;
        self.inner.note_order()?;
        let identifiers: Vec<Identifier> = self.wanted.names().iter().map(identifier).collect();
        let mut profile = self.profile();
        let mut replaces = replaces.and_then(certificate_id);
        let order = loop {
            let mut new = NewOrder::new(&identifiers);
            if let Some(profile) = &profile {
                new = new.profile(profile);
            }
            if let Some(replaces) = &replaces {
                new = new.replaces(replaces.clone());
            }
            let failure = match self.account.new_order(&new).await {
                Ok(order) => break order,
                Err(instant_acme::Error::Unsupported(_)) if replaces.is_some() => {
                    replaces = None;
                    continue;
                }
                Err(error) => Failure::from(error),
            };
            match &*failure.kind {
                "invalidProfile" if profile.is_some() => profile = None,
                // An authority that fails on the certificate that is replaced would do so each time.
                "alreadyReplaced" | "conflict" | "unauthorized" | "malformed" | "notFound"
                | "serverInternal"
                    if replaces.is_some() =>
                {
                    replaces = None;
                }
                // The account may not order at all: no name is to blame.
                "unauthorized" => {
                    let error = Error::new(&codes::ACCOUNT, failure.error.message());
                    return Err(Failure { of_all: true, ..Failure::from(error) }.ending());
                }
                _ => return Err(failure),
            }
        };
        let pending = Pending {
            url: order.url().to_owned(),
            directory: self.inner.authority().directory.clone(),
            begun: self.inner.now(),
            names: self.wanted.names().to_vec(),
            replaces: replaces.is_some(),
        };
        self.inner.update(id, |record| record.order = Some(pending))?;
        Ok(order)
    }

    /// Returns the best profile that the authority offers.
    fn profile(&self) -> Option<String> {
        let authority = self.inner.authority();
        let of_address = self.wanted.names().iter().any(|name| matches!(name, Subject::Address(_)));
        let wanted = if of_address { &authority.address_profiles } else { &authority.profiles };
        let offered: Vec<&str> = self.account.profiles().map(|profile| profile.name).collect();
        wanted.iter().find(|name| offered.contains(&name.as_str())).cloned()
    }

    /// Looks at the order until it is in one of these states.
    pub(crate) async fn until(&self, order: &mut Order, states: &[OrderStatus]) -> Result<(), Failure> {
        let clock = self.inner.clock();
        let (start, mut pause) = (clock.monotonic(), Duration::from_millis(250));
        loop {
            let status = order.state().status;
            if states.contains(&status) {
                return Ok(());
            }
            if status == OrderStatus::Invalid {
                return Err(why_invalid(order).await.ending());
            }
            if clock.monotonic().saturating_sub(start) > PATIENCE {
                let message = format!("the order was not done after {} seconds", PATIENCE.as_secs());
                return Err(Error::new(&cloudron_core::codes::TIMED_OUT, message).retryable(true).into());
            }
            let asked = self.inner.seen().take_retry_after().unwrap_or(0).max(0);
            let asked = Duration::from_secs(asked.unsigned_abs()).min(LONGEST_PAUSE);
            clock.sleep(pause.max(asked)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            order.refresh().await?;
        }
    }

    /// Returns the key of the order.
    fn key(&self) -> Result<KeyPair, Failure> {
        let Some(pem) = self.inner.store.next_key(self.wanted.id())? else {
            return Err(Failure::from(Error::new(&codes::STATE, "the key of the order is lost")).ending());
        };
        let key = KeyPair::from_pem(&pem);
        key.map_err(|e| {
            Failure::from(Error::new(&codes::STATE, format!("the key of the order: {e}"))).ending()
        })
    }

    fn request(&self, key: &KeyPair) -> Result<rcgen::CertificateSigningRequest, Error> {
        let names: Vec<String> = self.wanted.names().iter().map(ToString::to_string).collect();
        let wrong = |e: rcgen::Error| Error::new(&codes::CERTIFICATE, format!("the request: {e}"));
        let mut params = CertificateParams::new(names).map_err(wrong)?;
        params.distinguished_name = DistinguishedName::new();
        params.serialize_request(key).map_err(wrong)
    }

    /// Puts key and chain together and checks them.
    fn checked(&self, key: &KeyPair, chain: &str) -> Result<(String, Certificate), Error> {
        let chain: String = chain.chars().filter(|c| c.is_ascii() && *c != '\r').collect();
        let pem = format!("{}{chain}", key.serialize_pem());
        let certificate = Certificate::parse(&pem)?;
        certificate.check(self.wanted.names(), self.inner.now())?;
        Ok((pem, certificate))
    }
}

/// Asks why an order is invalid: a name of which the control could not be verified, or what the order says.
async fn why_invalid(order: &mut Order) -> Failure {
    let said = order.state().error.as_ref().map(|problem| Failure::from(Refusal::from(problem)));
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() || authorization.status != AuthorizationStatus::Invalid {
            continue;
        }
        let name = bounded(&authorization.identifier().to_string());
        if let Some(problem) = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref())
        {
            return Failure::from(Refusal::from(problem)).about(&name);
        }
    }
    said.unwrap_or_else(|| {
        Error::new(&codes::REFUSED, "the certificate authority ended the order without a reason").into()
    })
}

fn identifier(subject: &Subject) -> Identifier {
    match subject {
        Subject::Address(address) => Identifier::Ip(*address),
        name => Identifier::Dns(name.to_string()),
    }
}

/// Reads the name of a certificate in renewal information.
pub(crate) fn certificate_id(text: &str) -> Option<CertificateIdentifier<'static>> {
    let (authority, serial) = text.split_once('.')?;
    Some(CertificateIdentifier {
        authority_key_identifier: authority.to_owned().into(),
        serial: serial.to_owned().into(),
    })
}

pub(crate) fn bounded(name: &str) -> String {
    let name: String = name.chars().take(255).collect();
    cloudron_core::escape::line(&name).into_owned()
}
