//! The bucket in which a machine keeps its backups.

use clap::Args;
use cloudron_backup::StoreOptions;
use cloudron_core::{Domain, Result};

use crate::commands::cloud::account::Place;
use crate::output::Output;

/// A bucket for backups.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Backups")]
pub(crate) struct Bucket {
    /// The bucket; the backups of a machine are below its domain there
    #[arg(long, value_name = "BUCKET")]
    backup_bucket: Option<String>,
    /// The address of a service other than Amazon's
    #[arg(long, value_name = "URL", requires = "backup_bucket")]
    backup_endpoint: Option<String>,
    /// The region of the bucket, if it is not that of the machine
    #[arg(long, value_name = "NAME", requires = "backup_bucket")]
    backup_region: Option<String>,
}

impl Bucket {
    /// Returns the address of a domain's backups, and how the owner opens it, as [`Place::stores`]. `None` without a
    /// bucket.
    pub(crate) fn store(
        &self,
        domain: &Domain,
        place: &Place,
        amazon: bool,
        out: &Output,
    ) -> Result<Option<(String, StoreOptions)>> {
        let Some(bucket) = &self.backup_bucket else { return Ok(None) };
        let options = place.stores(amazon, out)?;
        let region = self.backup_region.clone().or_else(|| options.region.clone());
        let endpoint = self.backup_endpoint.clone().or_else(|| options.endpoint.clone());
        Ok(Some((format!("s3://{bucket}/{domain}"), options.at(region, endpoint))))
    }

    /// Returns whether a bucket is given.
    pub(crate) fn is_given(&self) -> bool {
        self.backup_bucket.is_some()
    }
}
