//! A created machine, for people and as JSON.

use cloudron_api::SetupToken;
use cloudron_core::Secret;
use cloudron_core::human::bytes;
use serde_json::{Value, json};

use super::Created;

impl Created {
    /// Returns the machine as JSON. It has the backup key, if that was generated, and the link for the first-time setup.
    pub fn to_json(&self) -> Value {
        let machine = &self.machine;
        json!({
            "fqdn": machine.fqdn, "run": machine.run, "provider": machine.reach.provider(),
            "place": machine.reach.place(), "port": machine.port, "url": machine.url(),
            "reachable": self.reachable, "store": machine.store,
            "backupKey": self.backup_key.as_ref().map(Secret::expose),
            "setupLink": self.setup.as_ref().map(SetupToken::link), "restored": self.restored,
        })
    }

    /// Returns lines with where the machine is, what was restored, and the link to open next.
    pub fn lines(&self) -> Vec<String> {
        let machine = &self.machine;
        let mut lines = vec![
            String::new(),
            "Cloudron created with:".into(),
            format!("  ID:        {}", machine.run),
            format!("  Place:     {}", machine.reach.place()),
            format!("  Backups:   {}", machine.backups()),
        ];
        if let Some(r) = &self.restored {
            lines.push(format!(
                "  Restored:  {}: {} files, {}; verified: {} entries read back and equal to the backup",
                r.backup,
                r.files,
                bytes(r.bytes),
                r.compared
            ));
        }
        lines.push(String::new());
        lines.push(match self.setup.as_ref().map(SetupToken::link) {
            Some(link) => format!("Done. You can now set up your Cloudron at  {link}"),
            None => format!("Done. You can now use your Cloudron at  {}", machine.url()),
        });
        lines
    }
}
