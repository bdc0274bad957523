//! What a finished run says.

use std::sync::Arc;

use cloudron_box::admin::SetupToken;
use cloudron_box::restore::RestoreAnswer;
use cloudron_core::Result;
use cloudron_provision::Remote;
use serde_json::json;

use super::super::setup_link::link;
use crate::output::{self, Output, bytes};
use crate::state::Machine;
use crate::target::{Place, Target};

/// Prints where the machine is and how to go on. The setup link is made now, because it is a secret that no
/// journal holds.
pub(super) async fn done(
    machine: &Machine,
    place: &Place,
    remote: Arc<dyn Remote>,
    restored: Option<&RestoreAnswer>,
    out: &Output,
) -> Result<()> {
    let target = Target::new(remote, place.clone());
    let setup: Option<SetupToken> = match target.call(&["setup-link"]).await {
        Err(e) if e.is(&cloudron_box::codes::ALREADY_ACTIVATED) => None,
        other => Some(other?),
    };
    let setup_link = setup.as_ref().map(link);
    only_copy(machine, out);
    if out.is_json() {
        let machine = json!({
            "fqdn": machine.fqdn, "run": machine.run, "provider": machine.reach.provider(),
            "place": machine.reach.place(), "port": machine.port, "store": machine.store,
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
        Some(link) => format!("Done. You can now setup your Cloudron at  {link}"),
        None => format!("Done. You can now use your Cloudron at  https://{}", machine.fqdn.admin_fqdn()),
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
