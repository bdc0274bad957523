//! What a finished run says.

use std::net::IpAddr;
use std::time::Duration;

use cloudron_api::restore::RestoreAnswer;
use cloudron_api::{BoxCommand, SetupToken};
use cloudron_core::{Result, Secret};
use serde_json::json;

use super::super::setup_link::link;
use crate::output::{self, Output, bytes};
use crate::state::{Machine, Reach};
use crate::target::Target;

/// How long the page's port may take to answer from here.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a run made.
pub(super) struct Made<'a> {
    pub machine: &'a Machine,
    pub restored: Option<&'a RestoreAnswer>,
    /// The backup key that was generated. It was shown before; programs read it here.
    pub generated: Option<&'a Secret>,
}

/// Prints where the machine is and how to go on. The setup link is made now, because it is a secret that no
/// journal holds.
pub(super) async fn done(made: Made<'_>, target: Target, out: &Output) -> Result<()> {
    let Made { machine, restored, generated } = made;
    let setup: Option<SetupToken> = match target.call(&BoxCommand::SetupLink).await {
        Err(e) if e.is(&cloudron_box::codes::ALREADY_ACTIVATED) => None,
        other => Some(other?),
    };
    let reachable = reachable(machine).await;
    if !reachable {
        out.warn(&format!(
            "{} port {} does not answer this computer: allow TCP port {1} in the machine's firewall and in the cloud's \
             security group",
            machine.reach.place(),
            machine.port
        ));
    }
    let setup_link = setup.as_ref().map(link);
    only_copy(machine, out);
    if out.is_json() {
        let machine = json!({
            "fqdn": machine.fqdn, "run": machine.run, "provider": machine.reach.provider(),
            "place": machine.reach.place(), "port": machine.port, "url": machine.url(), "reachable": reachable,
            "store": machine.store, "backupKey": generated.map(Secret::expose),
            "setupLink": setup_link, "restored": restored,
        });
        return out.json("machines", &[machine]);
    }
    let mut lines = vec![
        String::new(),
        "Cloudron created with:".into(),
        format!("  ID:        {}", machine.run),
        format!("  Place:     {}", machine.reach.place()),
        format!("  Backups:   {}", machine.backups()),
    ];
    if let Some(r) = restored {
        lines.push(format!(
            "  Restored:  {}: {} files, {}; verified: {} entries read back and equal to the backup",
            r.backup,
            r.files,
            bytes(r.bytes),
            r.compared
        ));
    }
    lines.push(String::new());
    lines.push(match setup_link {
        Some(link) => format!("Done. You can now set up your Cloudron at  {link}"),
        None => format!("Done. You can now use your Cloudron at  {}", machine.url()),
    });
    out.text(&output::lines(lines))
}

/// Warns while the backups have no copy but the one on the machine that they are backups of.
pub(in crate::commands::machine) fn only_copy(machine: &Machine, out: &Output) {
    if machine.has_only_copy() {
        out.warn(&format!(
            "the only copy of the backups is on the machine itself; `cloudron machine backup download {} --repository \
             DIR` makes another on this computer",
            machine.fqdn
        ));
    }
}

/// Whether the page's port answers from here. The server was asked through SSH, which a firewall may treat otherwise.
async fn reachable(machine: &Machine) -> bool {
    let Reach::Generic(reach) = &machine.reach else { return true };
    let Ok(address) = reach.host.parse::<IpAddr>() else { return true };
    let connecting = tokio::net::TcpStream::connect((address, machine.port));
    matches!(tokio::time::timeout(PATIENCE, connecting).await, Ok(Ok(_)))
}
