//! Sending requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use cloudron_core::{Clock, Error, Result, RetryPolicy, codes};
use cloudron_http::{HttpTransport, Response, is_endpoint};

use super::{
    Action, Credentials, Failure, Meaning, Paged, Region, RunInstances, Service, encode, failure, sign, xml,
};

/// Maximum number of pages of a list, and of its entries.
const MOST: (usize, usize) = (200, 100_000);

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");

/// Sends requests to the services of one region. `Debug` shows no secret.
#[derive(Clone)]
pub struct Client {
    /// How requests are sent.
    pub transport: Arc<dyn HttpTransport>,
    /// The clock of signatures and waits.
    pub clock: Arc<dyn Clock>,
    /// How often and how long a request is retried.
    pub policy: RetryPolicy,
    region: Region,
    credentials: Credentials,
    endpoints: BTreeMap<Service, String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("region", &self.region)
            .field("credentials", &self.credentials)
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Creates a client of AWS's own services.
    pub fn new(
        region: Region,
        credentials: Credentials,
        transport: Arc<dyn HttpTransport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            transport,
            clock,
            policy: RetryPolicy::default(),
            region,
            credentials,
            endpoints: BTreeMap::new(),
        }
    }

    /// Sends the requests of a service to another address. The signature keeps the secret key, but the session token and
    /// user data are readable on the way: `http` is for this computer.
    ///
    /// # Errors
    /// `usage` for what is no address, and for `http` to another computer.
    pub fn set_endpoint(&mut self, service: Service, endpoint: &str) -> Result<()> {
        let wrong = |why: &str| {
            Err(Error::new(&codes::USAGE, format!("the endpoint of the service {}: {why}", service.name())))
        };
        if !is_endpoint(endpoint) {
            return wrong("it is https:// and a host, with neither a user name nor a query");
        }
        let endpoint = endpoint.trim_end_matches('/');
        let Ok(uri) = endpoint.parse::<http::Uri>() else { return wrong("it is not an address") };
        if uri.path() != "/" && !uri.path().is_empty() {
            return wrong("it has no path");
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if uri.scheme_str() != Some("https") && !local {
            return wrong("it begins with https://");
        }
        self.endpoints.insert(service, endpoint.to_owned());
        Ok(())
    }

    /// Returns a client of another region, with the same credentials. Endpoints that were set stay.
    pub fn in_region(&self, region: Region) -> Self {
        Self { region, ..self.clone() }
    }

    /// Returns the region.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Sends a request, again after a passing failure if it is [repeatable](Action::REPEATABLE).
    ///
    /// # Errors
    /// The last failure. Its [`unknown`](Failure::unknown) covers all tries.
    pub async fn call<A: Action>(&self, action: &A) -> Result<A::Answer, Failure> {
        action.check().map_err(|error| Failure::unsent(error.while_doing(A::NAME)))?;
        let (service, version) = (A::SERVICE, A::SERVICE.version());
        let parameters = encode::parameters(action);
        let head = [("Action", A::NAME), ("Version", version)];
        let pairs = parameters.iter().map(|(name, value)| (&**name, &**value));
        let body = Bytes::from(encode::form(head.into_iter().chain(pairs)));
        let answer = self.send(service, A::NAME, A::REPEATABLE, (&[FORM], body)).await?;
        let root = format!("{}Response", A::NAME);
        xml::parse(answer.body(), Some(&root)).map_err(|why| Failure::garbled(A::NAME, &why))
    }

    /// Reads all pages of a list.
    ///
    /// # Errors
    /// The failure of a page, and that of a service which is down for a list without an end.
    pub async fn all<A: Paged>(&self, action: &A) -> Result<Vec<A::Entry>, Failure> {
        let (mut action, mut entries) = (action.clone(), Vec::new());
        let mut seen = BTreeSet::new();
        loop {
            // A page may be empty and not be the last one.
            let (page, next) = A::page(self.call(&action).await?);
            entries.extend(page);
            let Some(next) = next else { return Ok(entries) };
            if seen.len() >= MOST.0 || entries.len() > MOST.1 || !seen.insert(next.clone()) {
                return Err(Failure::garbled(A::NAME, "the list has no end"));
            }
            action.set_token(next);
        }
    }

    /// Asks whether instances could be started, without starting any. Quotas and capacity are not looked at.
    ///
    /// # Errors
    /// Why not.
    pub async fn could_run(&self, request: &RunInstances) -> Result<(), Failure> {
        let trial = RunInstances { dry_run: true, ..request.clone() };
        match self.call(&trial).await {
            Err(failure) if failure.is(Meaning::WouldSucceed) => Ok(()),
            Err(failure) => Err(failure),
            Ok(_) => Err(Failure::garbled(RunInstances::NAME, "the trial was carried out")),
        }
    }

    /// Sends a body until it succeeds, fails for good, or the policy is used up.
    pub(super) async fn send(
        &self,
        service: Service,
        action: &'static str,
        repeatable: bool,
        (headers, body): (&[(&'static str, &str)], Bytes),
    ) -> Result<Response, Failure> {
        let (mut retries, mut unknown) = (self.policy.begin(&*self.clock), false);
        loop {
            let failure = match self.once(service, action, (headers, body.clone())).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            unknown |= failure.unknown;
            if !repeatable || !failure.meaning.passes() || !retries.again(&failure, None).await {
                return Err(Failure { unknown, ..failure });
            }
        }
    }

    async fn once(
        &self,
        service: Service,
        action: &'static str,
        (headers, body): (&[(&'static str, &str)], Bytes),
    ) -> Result<Response, Failure> {
        let now = self.clock.now();
        let endpoint = self.endpoints.get(&service).cloned().unwrap_or_else(|| self.region.endpoint(service));
        let request = sign::post(service, &self.region, &self.credentials, (&endpoint, headers, body), now);
        let request = request.map_err(Failure::unsent)?;
        let answer = self.transport.send(request).await.map_err(|error| Failure::lost(action, error))?;
        tracing::debug!(service = service.name(), action, status = answer.status().as_u16(), "AWS");
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(failure::of(service, action, &self.credentials, self.clock.now(), &answer))
    }
}
