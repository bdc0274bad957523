//! `cloudron policy`: rules to set at a cloud.

use clap::Subcommand;
use cloudron_backup::lifecycle::{self, Review, SafeDays};
use cloudron_backup::store::Known;
use cloudron_core::{Result, ResultExt};

use crate::commands::backup::Place;
use crate::commands::not_yet::{self, Anything};
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the lifecycle rules of a bucket with backups, and add safe ones
    Lifecycle(Lifecycle),
    /// Not in this version
    #[command(hide = true, disable_help_flag = true)]
    Iam(Anything),
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
        let Self::Lifecycle(options) = self else { return not_yet::refuse("policy iam") };
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
