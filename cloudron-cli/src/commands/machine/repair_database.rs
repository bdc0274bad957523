//! `cloudron machine repair-database`

use cloudron_api::{BoxCommand, DatabaseRepair, ServiceStatus, SetupToken};
use cloudron_core::Result;
use serde_json::json;

use super::Which;
use crate::machines;
use crate::output::{self, Output};
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    let question = format!("Use what is left of the database of {}, or begin a new one?", machine.fqdn);
    out.agreed(&question, "nothing was changed")?;
    let (repair, _): (DatabaseRepair, ServiceStatus) = interruptible(async {
        let program = machines::reach(&machine, out).await?;
        let repair = program.call(&BoxCommand::RepairDatabase).await?;
        Ok((repair, program.call(&BoxCommand::Start).await?))
    })?;
    let setup_link = repair.setup.as_ref().map(SetupToken::link);
    if out.is_json() {
        let answer = json!({"kept": repair.kept, "movedTo": repair.moved_to, "setupLink": setup_link});
        return out.json("database", &answer);
    }
    let mut lines = vec![match repair.kept {
        true => format!("The database of {} is used as it is; all sessions ended.", machine.fqdn),
        false => format!("{} has a new database: add the included folders again.", machine.fqdn),
    }];
    if let Some(path) = &repair.moved_to {
        lines.push(format!("The one that was there is kept as {}", path.display()));
    }
    if let Some(link) = setup_link {
        lines.push(format!("Set the server up at  {link}"));
    }
    out.text(&output::lines(lines))
}
