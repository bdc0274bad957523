//! Checks that explain what is wrong with the records of a server, its mail, and its addresses.
//!
//! [`diagnose`] asks through [`Resolve`]: a recursive resolver that is given by address, the authoritative servers
//! ([`Resolver`](crate::propagation::Resolver)), or a list. What nobody answered is [`Status::Unknown`], never
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

pub use finding::{Finding, Status};
pub use meaning::by_meaning;

use cached::Cached;
use finding::Findings;

use crate::machine::{Addresses, Dkim, MailSettings, MtaSts};
use crate::resolve::Resolve;
use crate::{Name, Result};

/// The authority that issues the server's certificates, unless another one is named.
const CA: &str = "letsencrypt.org";

/// What a server should have, and what is looked at.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Expected {
    /// The domain.
    pub domain: Name,
    /// The server's own name, which it greets other mail servers with.
    pub my: Name,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether every name below the domain should lead to it.
    pub wildcard: bool,
    /// Whether it has to do with mail.
    pub mail: bool,
    /// The key that it signs mail with.
    pub dkim: Option<Dkim>,
    /// The policy that mail must come encrypted.
    pub mta_sts: Option<MtaSts>,
    /// Whether senders should report failures of encryption.
    pub tls_reports: bool,
    /// The authority that issues its certificates: `letsencrypt.org`.
    pub ca: String,
    /// The blocklists that are asked, by their zones, such as `zen.spamhaus.org`: none. Some refuse those who ask
    /// through a public resolver, or ask too often; read the terms of each.
    pub blocklists: Vec<Name>,
    /// The time for everything: 60 seconds.
    pub limit: Duration,
}

impl Expected {
    /// What a server of a domain should have, with the mail that its settings say.
    ///
    /// # Errors
    /// `dns-name` when the domain is too long.
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

    /// The same with names of its own for each app, rather than a wildcard.
    pub fn without_wildcard(self) -> Self {
        Self { wildcard: false, ..self }
    }

    /// The same with blocklists to ask.
    pub fn with_blocklists(self, blocklists: impl IntoIterator<Item = Name>) -> Self {
        Self { blocklists: blocklists.into_iter().collect(), ..self }
    }

    /// The same with another authority for certificates.
    pub fn with_ca(self, ca: impl Into<String>) -> Self {
        Self { ca: ca.into(), ..self }
    }

    /// The same with another time for everything.
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }
}

/// Looks at everything that a server should have, and says of each thing whether it is right, why, and what to do.
/// The findings are in a fixed order. A check that the time ends is unknown.
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
