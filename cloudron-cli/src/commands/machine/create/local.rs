//! `cloudron machine create local`

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloudron_box::install::Supervisor;
use cloudron_core::{Result, Version};
use cloudron_provision::local::Local;
use cloudron_provision::steps::Outputs;
use cloudron_provision::steps::ready::PlaceProgram;

use super::common::Common;
use super::repository::{self, Chosen, open_copy, prepare};
use super::run::{Begun, Job, run_job, this_program};
use super::writer;
use crate::backups::Folder;
use crate::output::Output;
use crate::runtime::block_on;
use crate::state::{Dirs, Reach};
use crate::target::Place;

#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine create local --fqdn demo.localhost
  cloudron machine create local --fqdn demo.localhost --backup-key file:key --include \"$HOME/photos\"
  cloudron machine create local --fqdn demo.localhost --backup latest --backup-key file:key
  cloudron machine create local --fqdn demo.localhost --store s3://bucket/demo \\
      --writer-access-key-id AKIA… --writer-secret-access-key file:writer

The server is a process of yours that listens on the loopback address, with its data in the state folder
and its backups in the data folder; the backups outlive `machine destroy`.")]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// Where the backups are kept, and restored from
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The port to listen on; without it, a free one
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let dirs = Dirs::from_env()?;
    let domain = options.common.domain()?;
    let begun = Begun::find(&options.common, &domain, &dirs)?;
    let mut options = options.clone();
    if let Some(begun) = &begun {
        begun.complete(&mut options.common.backup, &mut options.store);
    }
    let (options, common) = (&options, &options.common);
    let root = dirs.local_root(&domain);
    let (store, own) = match &options.store {
        Some(url) => (repository::absolute(url)?, false),
        None => (text(dirs.local_store(&domain)), true),
    };
    let place = repository::Place {
        folder: Folder::of(&store)?,
        shown: format!("in {store}"),
        own,
        seed: None,
        copy: None,
    };
    common.refuse_contradiction(false)?;
    let program = this_program()?;
    let machine_place = Place::rooted(root.clone());
    let job = Job {
        includes: common.includes()?,
        owner: common.owner(out)?,
        provider: Arc::new(Local::new(&root)),
        program: PlaceProgram::new(program, program_copy(&root))
            .linked_from(machine_place.program())
            .proven_by("version", "cloudron "),
        origin: Reach::Local { root: root.clone() },
        reach: Arc::new(move |_| Ok(Reach::Local { root: root.clone() })),
        supervisor: Supervisor::Detached,
        listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, options.port.unwrap_or(0)))],
        store_access: common.store_access(&store, out)?,
        machine_store: store,
        chosen: Chosen {
            backup: common.backup.clone(),
            store: options.store.as_deref().map(repository::absolute).transpose()?,
        },
        begun,
        after_start: Vec::new(),
        last: Vec::new(),
        dns: None,
        common,
        domain,
        place: machine_place,
        dirs: &dirs,
    };
    if common.dry_run {
        return job.dry_run(&place, out);
    }
    block_on(|cancel| async move {
        if !job.begun.as_ref().is_some_and(Begun::has_met) {
            job.provider.preflight(job.domain.as_str()).await?;
            common.check_folders(&*job.provider.connect(&Outputs::new()).await?).await?;
        }
        let opening = open_copy(&place, common, out).await?;
        if let (Some(access), None) = (&job.store_access, &job.begun) {
            writer::check(&job.machine_store, access, &*place.folder.store()?, out).await?;
        }
        let prepared = prepare(&place, common, job.begun.as_ref(), opening, out).await?;
        run_job(job, &place, prepared, out, &cancel).await
    })
}

/// Where a local machine has its copy of the program.
pub(super) fn program_copy(root: &Path) -> String {
    text(root.join("bin").join(format!("cloudron-{}", Version::current())))
}

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}
