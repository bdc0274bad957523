//! `cloudron machine create local`

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloudron_box::install::Supervisor;
use cloudron_core::{Result, Version};
use cloudron_provision::local::Local;
use cloudron_provision::steps::ready::PlaceProgram;

use super::common::Common;
use super::repository::{self, prepare};
use super::run::{Job, run_job, this_program};
use crate::output::Output;
use crate::runtime::block_on;
use crate::state::{Dirs, Reach};
use crate::target::Place;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine create local --fqdn demo.localhost
  cloudron machine create local --fqdn demo.localhost --backup-key file:key --include \"$HOME/photos\"
  cloudron machine create local --fqdn demo.localhost --backup latest --backup-key file:key

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
    let common = &options.common;
    let domain = common.domain()?;
    common.refuse_known(&domain, &dirs)?;
    let root = dirs.local_root(&domain);
    let store = store(options, &dirs)?;
    let program = this_program()?;
    let place = Place::rooted(root.clone());
    let job = Job {
        includes: common.includes()?,
        owner: common.owner(out)?,
        provider: Arc::new(Local::new(&root)),
        program: PlaceProgram::new(program, program_copy(&root)).linked_from(place.program()),
        origin: Reach::Local { root: root.clone() },
        reach: Arc::new(move |_| Ok(Reach::Local { root: root.clone() })),
        supervisor: Supervisor::Detached,
        listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, options.port.unwrap_or(0)))],
        machine_store: store.url.clone(),
        push_store: false,
        after_start: Vec::new(),
        last: Vec::new(),
        dns: None,
        common,
        domain,
        place,
        dirs: &dirs,
    };
    if common.dry_run {
        return job.dry_run(&store, out);
    }
    block_on(|cancel| async move {
        let prepared = prepare(&store, common, out).await?;
        run_job(job, &store, prepared, out, &cancel).await
    })
}

fn store(options: &Options, dirs: &Dirs) -> Result<repository::Place> {
    Ok(match &options.store {
        Some(url) => repository::Place { url: repository::absolute(url)?, own: None },
        None => {
            let folder = dirs.local_store(&options.common.domain()?);
            repository::Place { url: text(folder.clone()), own: Some(folder) }
        }
    })
}

/// Where a local machine has its copy of the program.
pub(super) fn program_copy(root: &Path) -> String {
    text(root.join("bin").join(format!("cloudron-{}", Version::current())))
}

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}
