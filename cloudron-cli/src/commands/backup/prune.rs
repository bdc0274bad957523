//! `cloudron backup prune`

use std::time::Duration;

use cloudron_backup::{Identity, Issue, PrunePolicy, PruneReport, PruneRequest, Repository};
use cloudron_core::{Cancel, Error, Result, codes, human};
use cloudron_machine::backups::describe_ignored;

use super::place::Owned;
use crate::hints;
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    owned: Owned,
    #[command(flatten)]
    policy: Policy,
}

/// Which backups are kept, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Policy {
    /// Keep the newest N backups
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep_last: Option<u32>,
    /// Keep the newest backup of each of the last N hours
    #[arg(long, value_name = "N")]
    keep_hourly: Option<u32>,
    /// Keep the newest backup of each of the last N days
    #[arg(long, value_name = "N")]
    keep_daily: Option<u32>,
    /// Keep the newest backup of each of the last N weeks
    #[arg(long, value_name = "N")]
    keep_weekly: Option<u32>,
    /// Keep the newest backup of each of the last N months
    #[arg(long, value_name = "N")]
    keep_monthly: Option<u32>,
    /// Keep the newest backup of each of the last N years
    #[arg(long, value_name = "N")]
    keep_yearly: Option<u32>,
    /// Keep all backups that are at most this much older than the newest, such as 36h, 30d or 8w
    #[arg(long, value_name = "TIME", value_parser = human::duration)]
    keep_within: Option<Duration>,
    /// Remove this backup whatever the rest says (repeatable)
    #[arg(long, value_name = "ID")]
    remove: Vec<String>,
    /// Let the policy remove more than half of the backups of a group
    #[arg(long)]
    allow_removals: bool,
    /// Give up backups that are missing from the list, as their numbers show
    #[arg(long)]
    forget_missing: bool,
    /// Grace period before unneeded packs are deleted
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = human::duration)]
    grace: Duration,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Policy {
    /// Asks for confirmation before backups are removed permanently.
    pub(crate) fn request(&self, out: &Output) -> Result<PruneRequest> {
        let policy = PrunePolicy {
            last: self.keep_last,
            hourly: self.keep_hourly,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
            yearly: self.keep_yearly,
            within: self.keep_within,
        };
        let mut request = PruneRequest::new(policy);
        request.remove = self.remove.iter().map(|id| id.parse()).collect::<Result<_>>()?;
        request.allow_removals = self.allow_removals;
        request.forget_missing = self.forget_missing;
        request.grace = self.grace;
        request.dry_run = self.dry_run;
        let named = match self.forget_missing {
            true => [&self.remove[..], &["the backups that are missing".to_owned()]].concat(),
            false => self.remove.clone(),
        };
        if !named.is_empty() && !self.dry_run {
            out.agreed(&format!("Remove {} for good?", named.join(", ")), "nothing was removed")?;
        }
        Ok(request)
    }
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let request = options.policy.request(out)?;
    let pruned = block_on(|cancel| async move {
        let (repository, identity) = options.owned.unlock(out).await?;
        prune(&repository, &identity, request, out, &cancel).await
    })?;
    show(pruned, out)
}

/// The result of a prune, or of its dry run.
#[derive(Debug)]
pub(crate) struct Pruned {
    report: PruneReport,
    /// Why the prune without `--dry-run` would be refused.
    refused: Option<Error>,
}

/// Prunes. A dry run also reports why the prune would be refused.
pub(crate) async fn prune(
    repository: &Repository,
    identity: &Identity,
    request: PruneRequest,
    out: &Output,
    cancel: &Cancel,
) -> Result<Pruned> {
    let progress = out.progress();
    if request.dry_run {
        let (report, refused) = repository.plan_prune(identity, &request, &progress, cancel).await?;
        let hint = "if that is what you want, add `--allow-removals`";
        return Ok(Pruned { report, refused: refused.map(|e| e.with_hint(hint)) });
    }
    let report = repository.prune(identity, &request, &progress, cancel).await;
    let report = report.map_err(hints::on(
        &codes::NO_SPACE,
        "free a little space in the store, such as 1 MiB, and run it again with `--grace 0`: what no backup needs is \
         deleted at once then. No restore or check may run meanwhile",
    ))?;
    Ok(Pruned { report, refused: None })
}

/// Prints the result, and warns of remaining problems.
pub(crate) fn show(Pruned { report, refused }: Pruned, out: &Output) -> Result<()> {
    for id in &report.damaged {
        out.warn(&format!("{id} lacks content: `backup repair` and `backup verify` say more"));
    }
    for id in &report.fenced {
        out.warn(&format!("the unfinished backup {id} has timed out and was declared dead"));
    }
    warn_of_ignored(&report.ignored, out);
    for missing in &report.missing {
        out.warn(missing);
    }
    out.data("prune", &report, || report.to_string())?;
    report.whole()?;
    report.room()?;
    refused.map_or(Ok(()), Err)
}

/// Names objects that count for nothing.
pub(crate) fn warn_of_ignored(ignored: &[Issue], out: &Output) {
    describe_ignored(ignored).iter().for_each(|text| out.warn(text));
}
