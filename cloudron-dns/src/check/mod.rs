//! Checks that diagnose the records of a server, its mail setup, and its addresses.
//!
//! [`diagnose`] queries through [`Resolve`]: a recursive resolver given by address, the authoritative servers
//! ([`Resolver`](crate::propagation::Resolver)), or a list. A query without an answer gives [`Status::Unknown`], never
//! [`Status::Pass`].

mod addresses;
mod blocklist;
mod caa;
mod cached;
mod dkim;
mod dmarc;
mod finding;
mod meaning;
mod reverse;
mod spf;
mod transport;

use std::net::IpAddr;
use std::time::Duration;

use cloudron_core::Domain;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::{Instant, timeout_at};

pub use finding::{Finding, Status, failed};
pub use meaning::{by_meaning, check_records};

use cached::Cached;
use finding::Findings;

use crate::machine::{Addresses, Dkim, MailSettings, MtaSts};
use crate::resolve::Resolve;
use crate::{Name, Result};

/// The default authority that issues the server's certificates.
const CA: &str = "letsencrypt.org";

/// The expected records of a server, and what to check.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Expected {
    /// The domain.
    pub domain: Name,
    /// The server's own name, which it uses in greetings to other mail servers.
    pub my: Name,
    /// Addresses of the server.
    pub addresses: Vec<IpAddr>,
    /// True if every name below the domain should resolve to the server.
    pub wildcard: bool,
    /// True if mail is checked.
    pub mail: bool,
    /// The key that signs its mail.
    pub dkim: Option<Dkim>,
    /// The policy that mail must be encrypted.
    pub mta_sts: Option<MtaSts>,
    /// True if senders should report encryption failures.
    pub tls_reports: bool,
    /// The authority that issues its certificates; by default `letsencrypt.org`.
    pub ca: String,
    /// The blocklists to query, by their zones, such as `zen.spamhaus.org`; none by default. Some refuse queries
    /// through a public resolver or too many queries; read the terms of each.
    pub blocklists: Vec<Name>,
    /// Time limit for all checks; 60 seconds by default.
    pub limit: Duration,
}

impl Expected {
    /// Creates the expectation for a server of a domain, with mail records according to the settings.
    ///
    /// # Errors
    /// `dns-name` if the domain is too long.
    pub fn new(domain: &Domain, addresses: &Addresses, mail: &MailSettings) -> Result<Self> {
        let domain = Name::from(domain);
        Ok(Self {
            my: domain.below("my")?,
            domain,
            addresses: addresses.iter().collect(),
            wildcard: true,
            mail: mail.enabled,
            dkim: mail.dkim.clone(),
            mta_sts: mail.mta_sts.clone(),
            tls_reports: mail.tls_reports_to.is_some(),
            ca: CA.into(),
            blocklists: Vec::new(),
            limit: Duration::from_secs(60),
        })
    }

    /// Expects separate names for each app instead of a wildcard.
    pub fn without_wildcard(self) -> Self {
        Self { wildcard: false, ..self }
    }

    /// Sets the blocklists to query.
    pub fn with_blocklists(self, blocklists: impl IntoIterator<Item = Name>) -> Self {
        Self { blocklists: blocklists.into_iter().collect(), ..self }
    }

    /// Sets another certificate authority.
    pub fn with_ca(self, ca: impl Into<String>) -> Self {
        Self { ca: ca.into(), ..self }
    }

    /// Sets another time limit for all checks.
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }
}

/// Checks everything that a server should have. Each finding contains the status, the reason, and what to do. The
/// findings are in a fixed order. A check that does not finish in time is unknown.
///
/// ```
/// use cloudron_dns::check::{Expected, Status, diagnose};
/// use cloudron_dns::{MailSettings, resolve::Table};
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let domain = cloudron_core::Domain::parse("example.com")?;
/// let addresses = std::net::IpAddr::from([192, 0, 2, 1]).into();
/// let expected = Expected::new(&domain, &addresses, &MailSettings::off())?;
/// let findings = diagnose(&Table::new([]), &expected).await;
/// assert_eq!((findings[0].id.as_str(), findings[0].status), ("address", Status::Fail));
/// # Ok::<(), cloudron_dns::Error>(())
/// # }).unwrap();
/// ```
pub async fn diagnose(resolver: &dyn Resolve, expected: &Expected) -> Vec<Finding> {
    let deadline = Instant::now() + expected.limit;
    let resolver = &Cached::new(resolver);
    let mut tasks = vec![within(deadline, "address", addresses::my(resolver, expected))];
    if expected.wildcard {
        tasks.push(within(deadline, "wildcard", addresses::wildcard(resolver, expected)));
    }
    tasks.push(within(deadline, "caa", caa::check(resolver, expected)));
    if expected.mail {
        tasks.push(within(deadline, "mx", addresses::mx(resolver, expected)));
        tasks.push(within(deadline, "spf", spf::check(resolver, expected)));
        tasks.push(within(deadline, "dkim", dkim::check(resolver, expected)));
        tasks.push(within(deadline, "dmarc", dmarc::check(resolver, expected)));
        tasks.push(within(deadline, "mta-sts", transport::mta_sts(resolver, expected)));
        tasks.push(within(deadline, "tls-rpt", transport::tls_reports(resolver, expected)));
        for address in &expected.addresses {
            tasks.push(within(deadline, "ptr", reverse::check(resolver, expected, *address)));
        }
    }
    for list in &expected.blocklists {
        tasks.push(within(deadline, "blocklist", blocklist::check(resolver, list, &expected.addresses)));
    }
    join_all(tasks).await.into_iter().flatten().collect()
}

/// A check that is given up when the time is over.
fn within<'a>(
    deadline: Instant,
    id: &'static str,
    check: impl Future<Output = Findings> + Send + 'a,
) -> BoxFuture<'a, Findings> {
    Box::pin(async move {
        let late = |_| vec![Finding::unknown(id, "", "the time was over before there was an answer")];
        timeout_at(deadline, check).await.unwrap_or_else(late)
    })
}
