//! Reaching a machine that this computer knows.

use std::path::Path;
use std::sync::Arc;

use cloudron_core::{Error, Result};
use cloudron_provision::Remote;
use cloudron_provision::codes::PROGRAM_MISSING;
use cloudron_provision::local::LocalRemote;

use crate::client::Client;
use crate::output::Output;
use crate::state::{Machine, Reach};
use crate::target::{Place, Target};

/// Whether the user may be asked for the passphrase of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask(bool);

/// The user may be asked.
pub(crate) const ASK: Ask = Ask(true);
/// The user is not asked, such as while many machines are looked at.
pub(crate) const NO_QUESTIONS: Ask = Ask(false);

/// A machine's program, reached.
pub(crate) async fn target(machine: &Machine, out: &Output, ask: Ask) -> Result<Target> {
    if let Reach::Local { root } = &machine.reach
        && !Path::new(Place::rooted(root.clone()).program()).exists()
    {
        let message = format!("the files of {} in {} are gone", machine.fqdn, root.display());
        return Err(Error::new(&PROGRAM_MISSING, message).with_hint(format!(
            "`cloudron machine destroy {} --forget` removes its record; its backups stay",
            machine.fqdn
        )));
    }
    target_of(&machine.reach, out, ask).await.map_err(|e| crate::ssh::advised(e, machine))
}

/// The program on a machine that is reached like that.
pub(crate) async fn target_of(reach: &Reach, out: &Output, ask: Ask) -> Result<Target> {
    Ok(match reach {
        Reach::Local { root } => {
            let remote: Arc<dyn Remote> = Arc::new(LocalRemote::new());
            Target::new(remote, Place::rooted(root.clone()))
        }
        Reach::Generic(reach) => Target::new(crate::ssh::connect(reach, out, ask.0).await?, Place::system()),
    })
}

/// A machine's interface, reached.
pub(crate) struct Session {
    pub client: Arc<Client>,
}

impl Session {
    pub(crate) async fn open(machine: &Machine, out: &Output) -> Result<Self> {
        Self::open_with(machine, out, ASK).await
    }

    pub(crate) async fn open_with(machine: &Machine, out: &Output, ask: Ask) -> Result<Self> {
        let target = target(machine, out, ask).await?;
        Ok(Self { client: Client::new(target, machine)? })
    }
}
