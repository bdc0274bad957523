//! Amazon Route 53, according to the [API reference](https://docs.aws.amazon.com/Route53/latest/APIReference/) of
//! 2013-04-01.
//!
//! Permissions needed: `route53:ChangeResourceRecordSets` and `ListResourceRecordSets` on the zone; to find it,
//! `ListHostedZonesByName` or `ListHostedZones` (none when id and name are given); to wait, `GetChange`.

mod client;
mod failure;
mod options;
mod read;
mod wait;
mod wire;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_route53::Client;
use cloudron_core::{Clock, Result, SystemClock};
use cloudron_http::{HttpOptions, HttpTransport, ReqwestTransport};

pub use options::Route53Options;
pub use wait::SyncWait;

use crate::{
    ApplyFailure, Atomicity, Batch, Capabilities, Change, DnsProvider, Name, Receipt, RecordKey, RecordType,
    Scope, Snapshot, SyncStatus, Visibility, Zone,
};

/// Time limit of one request.
const REQUEST: Duration = Duration::from_secs(60);

/// The values of a set in the service's form.
struct Raw {
    values: Vec<String>,
}

type RawSets = BTreeMap<RecordKey, Raw>;

/// Amazon Route 53.
///
/// Batches are atomic, and the service itself checks preconditions: of two writers, the later one gets `dns-stale`. A
/// batch is split only beyond 1,000 values or 32,000 characters of them, and then each part is atomic by itself.
/// Private zones are listed as such and never written. Alias sets and sets with a routing policy are opaque.
///
/// ```no_run
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use cloudron_dns::route53::{Route53Options, Route53Provider};
/// use cloudron_dns::{Name, find_zone};
///
/// let provider = Route53Provider::new(Route53Options::from_env()?)?;
/// let zone = find_zone(&provider, &Name::parse("my.example.com")?).await?;
/// # Ok::<(), cloudron_dns::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Route53Provider {
    client: Client,
    options: Route53Options,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Route53Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client's `Debug` would show its configuration.
        f.debug_struct("Route53Provider").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Route53Provider {
    /// A provider with these options, over an HTTP client of its own. Sends nothing yet.
    ///
    /// # Errors
    /// `dns-credentials` without a key or with an address that is none; as [`ReqwestTransport::from_env`].
    pub fn new(options: Route53Options) -> Result<Self> {
        let http = HttpOptions::from_env()?.within(REQUEST).with_ca_file(options.ca_file.clone());
        Self::with_transport(options, Arc::new(ReqwestTransport::new(http)?))
    }

    /// A provider with these options, over any HTTP client.
    ///
    /// # Errors
    /// `dns-credentials` without a key or with an address that is none.
    pub fn with_transport(options: Route53Options, transport: Arc<dyn HttpTransport>) -> Result<Self> {
        Ok(Self { client: client::new(&options, transport)?, options, clock: Arc::new(SystemClock) })
    }

    /// Sets the clock for the waits between repetitions.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

/// Returns true if a zone among these that is not private encloses the name.
fn encloses(zones: &[Zone], name: &Name) -> bool {
    zones.iter().any(|zone| zone.visibility != Visibility::Private && name.is_in(&zone.apex))
}

/// Types that can be written.
const TYPES: [RecordType; 12] = {
    let [a, b, c, d, e, f, g, h, i] = RecordType::TYPED;
    [a, b, c, d, e, f, g, h, i, RecordType::DS, RecordType::SSHFP, RecordType::TLSA]
};

#[async_trait]
impl DnsProvider for Route53Provider {
    fn id(&self) -> &str {
        "route53"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new(Atomicity::Batch);
        capabilities.types = Some(TYPES.to_vec());
        // 4000 characters including the quotes of 16 strings.
        capabilities.max_txt = 3953;
        (capabilities.preconditions, capabilities.sync_status) = (true, true);
        capabilities
    }

    fn refusal(&self, zone: &Zone, change: &Change) -> Option<String> {
        write::refusal(zone, change)
    }

    /// Makes one request if a name is given and an enclosing zone is found. Without the permission for that request, or
    /// without such a zone, returns all zones.
    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>> {
        if let Some(id) = &self.options.zone_id {
            return Ok(vec![self.configured_zone(id).await?]);
        }
        let Some(near) = near else { return self.all_zones().await };
        match self.zones_near(near).await {
            Ok(zones) if encloses(&zones, near) => Ok(zones),
            Err(failure) if !failure.is_denied() => Err(failure.error("ListHostedZonesByName")),
            _ => self.all_zones().await,
        }
    }

    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot> {
        let (found, complete) = match scope {
            Scope::Zone => (self.whole_zone(zone).await?, true),
            Scope::Names(names) => self.names(zone, names).await?,
        };
        Ok(Snapshot::new(zone.clone(), found.sets, complete).with_handle(Arc::new(found.raw)))
    }

    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        self.write(batch).await
    }

    async fn sync_status(&self, receipt: &Receipt) -> Result<SyncStatus> {
        self.sync(receipt).await
    }
}
