//! The report of a finished run.

use cloudron_api::SetupToken;
use cloudron_core::{Result, Secret};
use cloudron_machine::{Created, DnsDone, Machine};
use serde_json::json;

use crate::output::{self, Output, bytes};

/// Prints the machine's address and the next steps.
pub(super) fn done(created: &Created, out: &Output) -> Result<()> {
    let Created { machine, restored, backup_key, setup, reachable, dns, .. } = created;
    if let Some(dns) = dns.as_ref().filter(|dns| dns.agrees != Some(true)) {
        re_check(machine, dns, out);
    }
    let (generated, restored, reachable) = (backup_key.as_ref(), restored.as_ref(), *reachable);
    if !reachable {
        out.warn(&format!(
            "{} port {} does not answer this computer: allow TCP port {1} in the machine's firewall and in the cloud's \
             security group",
            machine.reach.place(),
            machine.port
        ));
    }
    let setup_link = setup.as_ref().map(SetupToken::link);
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

/// Warns if the only copy of the backups is on the machine itself.
pub(in crate::commands::machine) fn only_copy(machine: &Machine, out: &Output) {
    if machine.has_only_copy() {
        out.warn(&format!(
            "the only copy of the backups is on the machine itself; `cloudron machine backup download {} --repository \
             DIR` makes another on this computer",
            machine.fqdn
        ));
    }
}

/// Warns that DNS records are missing, and says how to check again.
fn re_check(machine: &Machine, dns: &DnsDone, out: &Output) {
    let what = if dns.written.is_some() { "are not on every name server yet" } else { "are not verified" };
    out.warn(&format!(
        "the DNS records {what}: re-check with `cloudron dns check {} --ip {}`",
        machine.fqdn,
        machine.reach.place()
    ));
}
