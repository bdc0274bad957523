//! `cloudron policy`: permissions and rules to set at a cloud.

use clap::Subcommand;
use cloudron_backup::lifecycle::{self, Review, SafeDays};
use cloudron_backup::store::Known;
use cloudron_core::{Domain, Result, ResultExt};
use cloudron_machine::clouds::Provider;

use crate::commands::backup::Place;
use crate::commands::cloud::settings::Settings;
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the lifecycle rules of a bucket with backups, and add safe ones
    Lifecycle(Lifecycle),
    /// Print what credentials of AWS need
    #[command(aliases = ["ec2", "iam"])]
    Aws(ForCloud),
    /// Print what a token of DigitalOcean needs
    #[command(alias = "do")]
    Digitalocean(ForCloud),
    /// Print what a token of Hetzner Cloud needs
    Hetzner(ForCloud),
}

/// What the credentials are for.
#[derive(Debug, clap::Args)]
pub(crate) struct ForCloud {
    /// The domain, to which the right to delete is limited where it can be
    #[arg(long, value_name = "DOMAIN")]
    fqdn: Option<String>,
    /// The bucket for backups
    #[arg(long, value_name = "BUCKET")]
    backup_bucket: Option<String>,
    /// Print what the server's own key or role needs, not what the account's credentials do
    #[arg(long, requires = "fqdn", requires = "backup_bucket")]
    server: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Lifecycle {
    #[command(flatten)]
    place: Place,
    /// Put the rules into the bucket
    #[arg(long)]
    apply: bool,
    /// Remove unfinished uploads after so many days
    #[arg(long, value_name = "DAYS", default_value_t = SafeDays::default().unfinished_uploads)]
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    unfinished_uploads: i32,
    /// Delete earlier versions after so many days: so long a deletion can be undone in a bucket with versioning
    #[arg(long, value_name = "DAYS", default_value_t = SafeDays::default().earlier_versions)]
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    earlier_versions: i32,
}

impl Command {
    pub(crate) fn run(self, out: &Output) -> Result<()> {
        let options = match self {
            Self::Lifecycle(options) => options,
            Self::Aws(options) => return options.print("ec2", out),
            Self::Digitalocean(options) => return options.print("digitalocean", out),
            Self::Hetzner(options) => return options.print("hetzner", out),
        };
        let mut days = SafeDays::default();
        days.unfinished_uploads = options.unfinished_uploads;
        days.earlier_versions = options.earlier_versions;
        let review = interruptible(async {
            let store = options.place.open_store()?;
            match options.apply {
                true => lifecycle::apply(&*store, days).await,
                false => lifecycle::review(&*store, days).await,
            }
        })?;
        if let Known::Unknown(why) = &review.current {
            out.warn(&format!("the rules of the bucket cannot be read: {why}"));
        }
        out.data("lifecycle", &review, || render(&review, options.apply))?;
        for danger in &review.dangers {
            out.warn(&danger.to_string());
        }
        review.harmless().hint(|| {
            "remove the rule or narrow its prefix; `cloudron backup prune --store URL` deletes old backups".into()
        })
    }
}

impl ForCloud {
    /// Prints what the credentials need for a machine with these options.
    fn print(&self, cloud: &str, out: &Output) -> Result<()> {
        let domain = self.fqdn.as_deref().map(Domain::parse_any).transpose()?;
        let (settings, bucket) = (self.settings.in_region(None), self.backup_bucket.as_deref());
        let (provider, domain) = (Provider::find(cloud)?, domain.as_ref());
        let policy = match domain.zip(bucket).filter(|_| self.server) {
            Some((domain, bucket)) => provider.server_policy(domain, bucket)?,
            None => provider.policy(&settings, domain, bucket)?,
        };
        out.data("policy", &policy, || policy.to_string())
    }
}

/// Renders the rules in the JSON format of the AWS CLI.
fn render(review: &Review, applied: bool) -> String {
    let json = serde_json::to_string_pretty(&review.wanted).unwrap_or_default();
    let said = match (review.is_applied, applied) {
        (true, _) => "The bucket has these rules.",
        (false, true) => "The bucket has these rules now.",
        (false, false) => "The bucket does not have these rules. Put them there with --apply.",
    };
    format!("{json}\n{said}")
}
