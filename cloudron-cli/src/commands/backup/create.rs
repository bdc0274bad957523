//! `cloudron backup create`

use std::io::Read;
use std::path::PathBuf;
use std::time::SystemTime;

use cloudron_backup::{
    BackupRequest, PlannedFile, ProgramOutput, Repository, Source, Summary, WriterKeys, cache_dir,
    read_patterns, under_new_id,
};
use cloudron_core::{BackupId, Cancel, Result, ResultExt, Version};
use serde_json::json;

use super::place::{Place, Writing};
use crate::output::{Output, bytes};
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to back up
    #[arg(required_unless_present = "stdin", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Back up standard input as a file of this name
    #[arg(long, value_name = "NAME", conflicts_with_all = ["paths", "exclude", "exclude_file", "dry_run"])]
    stdin: Option<String>,
    /// Run this with the shell and back up what it prints under the name of --stdin; no backup is made when it fails
    #[arg(long, value_name = "COMMAND", requires = "stdin")]
    command: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    writing: Writing,
    /// Exclude paths that match this pattern (repeatable)
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Exclude paths that match a pattern in this file: one per line, # begins a comment
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// The name of this computer in the list
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// A word by which to find the backup (repeatable)
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Only say which files would be read and how much would be added; takes about as long as the backup
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    if options.dry_run {
        return plan(options, out);
    }
    let summary = block_on(|cancel| make(options, out, cancel))?;
    out.data("backup", &summary, || summary.to_string())?;
    summary.complete().hint(|| "the warnings above name them".to_owned())
}

/// The backup to make: its keys, repository and sources.
struct Job {
    repository: Repository,
    keys: WriterKeys,
    sources: Vec<Source>,
    excludes: Vec<String>,
}

impl Job {
    async fn new(options: &Options, out: &Output) -> Result<Self> {
        let sources = options.paths.iter().map(|path| Source::at(path)).collect::<Result<_>>()?;
        let mut excludes = options.exclude.clone();
        for file in &options.exclude_file {
            excludes.extend(read_patterns(file)?);
        }
        let repository = options.place.open().await?;
        let keys = options.writing.keys(&repository, out).await?;
        Ok(Self { repository, keys, sources, excludes })
    }

    fn request(&self, id: BackupId, options: &Options) -> BackupRequest {
        let mut request = BackupRequest::new(id, self.sources.clone());
        request.cache_dir = cache_dir();
        request.excludes.clone_from(&self.excludes);
        request.tags.clone_from(&options.tag);
        request.host = options.host.clone().unwrap_or_else(host_name);
        request
    }
}

async fn make(options: &Options, out: &Output, cancel: Cancel) -> Result<Summary> {
    let job = Job::new(options, out).await?;
    if let Some(name) = &options.stdin {
        // Input that was read cannot be read again, so a name that is taken is not retried.
        let reader: Box<dyn Read + Send> = match &options.command {
            Some(command) => Box::new(ProgramOutput::start(command)?),
            None => Box::new(std::io::stdin()),
        };
        let id = BackupId::new(SystemTime::now(), &Version::current());
        let (request, progress) = (job.request(id, options), out.progress());
        return job.repository.backup_stream(&job.keys, request, name, reader, &progress, &cancel).await;
    }
    under_new_id(async |id| {
        job.repository.backup(&job.keys, job.request(id, options), &out.progress(), &cancel).await
    })
    .await
}

/// Prints what would be done.
fn plan(options: &Options, out: &Output) -> Result<()> {
    let stream = out.stream("files");
    let items = stream.clone();
    let plan = block_on(|cancel| async move {
        let job = Job::new(options, out).await?;
        under_new_id(async |id| {
            let items = items.clone();
            let each = move |file: PlannedFile| {
                let json = json!({ "path": file.path.to_string_lossy(), "size": file.size });
                // A closed stdout does not stop the run; other write errors are reported at the end.
                let _ = items.item(&json, || format!("{:>10}  {}", bytes(file.size), file.path.display()));
            };
            let request = job.request(id, options);
            job.repository.plan_backup(&job.keys, &request, each, &out.progress(), &cancel).await
        })
        .await
    })?;
    stream.finish(&plan, || format!("{plan}\n"))
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
