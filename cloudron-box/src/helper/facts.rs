//! Facts about the machine.

use std::path::Path;

use cloudron_api::helper::Facts;

use crate::Result;
use crate::layout::UNITS;
use crate::system::command::command;

/// Reads them.
pub(super) fn read() -> Result<Facts> {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    Ok(Facts {
        system: pretty_name(&text("/etc/os-release")).unwrap_or_else(|| "an unknown system".to_owned()),
        up: seconds(&text("/proc/uptime")),
        reboot_needed: ["/run/reboot-required", "/var/run/reboot-required"]
            .iter()
            .any(|p| Path::new(p).exists()),
        failed: failed_units()?,
    })
}

/// Returns the units of the server that failed.
fn failed_units() -> Result<Vec<String>> {
    let mut arguments = vec!["show", "--property=Id,ActiveState"];
    arguments.extend(UNITS);
    Ok(failed_of(&command("systemctl", &arguments)?))
}

/// Units are told as blocks of properties.
fn failed_of(shown: &str) -> Vec<String> {
    let value =
        |block: &str, name: &str| block.lines().find_map(|line| Some(line.strip_prefix(name)?.to_owned()));
    let blocks =
        shown.split("\n\n").filter(|block| value(block, "ActiveState=").as_deref() == Some("failed"));
    blocks.filter_map(|block| value(block, "Id=")).collect()
}

/// Returns the name of the system (os-release(5)).
fn pretty_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(cloudron_core::escape::line(value.trim().trim_matches(['"', '\''])).chars().take(100).collect())
}

fn seconds(uptime: &str) -> u64 {
    uptime.split('.').next().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_and_the_time_since_the_boot_are_read() {
        let text = "NAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(pretty_name(text).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(pretty_name("ID=debian"), None);
        let shown =
            "Id=cloudron-box.service\nActiveState=active\n\nActiveState=failed\nId=cloudron-backup.service\n";
        assert_eq!(failed_of(shown), ["cloudron-backup.service"]);
        assert_eq!((seconds("5178.33 9000.10\n"), seconds("")), (5178, 0));
    }
}
