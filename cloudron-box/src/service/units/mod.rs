//! The texts of the systemd units: one for each part of a server, with no more rights than the part needs.

mod front;
mod helper;
mod interface;
mod worker;

use std::path::{Path, PathBuf};

use crate::Layout;
use crate::layout::{
    FRONT_SOCKET_UNIT, FRONT_UNIT, HELPER_SOCKET_UNIT, HELPER_UNIT, UNIT, WORKER_SOCKET_UNIT, WORKER_UNIT,
};

/// A unit's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The name of the unit and of its file.
    pub name: &'static str,
    /// The content of the file.
    pub text: String,
}

/// Returns the units of a server on a machine of its own, the one that starts the others first. `store` is the folder
/// of its backups, if they are on this machine, and `port` that of HTTPS.
pub fn units(layout: &Layout, store: Option<&Path>, port: u16) -> Vec<Unit> {
    vec![
        Unit { name: UNIT, text: interface::text(layout) },
        Unit { name: FRONT_SOCKET_UNIT, text: front::socket(port) },
        Unit { name: FRONT_UNIT, text: front::text(layout) },
        Unit { name: WORKER_SOCKET_UNIT, text: worker::socket(layout) },
        Unit { name: WORKER_UNIT, text: worker::text(layout, store) },
        Unit { name: HELPER_SOCKET_UNIT, text: helper::socket(layout) },
        Unit { name: HELPER_UNIT, text: helper::text(layout) },
    ]
}

/// What every part of the server has in common.
const COMMON: &str = "\
UMask=0077
LimitCORE=0
KeyringMode=private
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
";

fn program(layout: &Layout) -> String {
    layout.program_link().unwrap_or_else(|| PathBuf::from("cloudron")).display().to_string()
}

/// Quotes a path for a list in a unit: `%` begins a specifier, spaces separate (systemd.syntax(7)).
fn quoted(path: &Path) -> String {
    let path = path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    if path.contains(' ') { format!("\"{path}\"") } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_has_the_rights_of_its_part_and_no_others() {
        let store = PathBuf::from("/var/backups/cloudron");
        for unit in units(&Layout::system(), Some(&store), 443) {
            insta::assert_snapshot!(unit.name.replace('.', "_"), unit.text);
        }
    }

    #[test]
    fn all_units_are_written() {
        let names: Vec<&str> = units(&Layout::system(), None, 443).iter().map(|unit| unit.name).collect();
        assert_eq!(names, crate::layout::UNITS);
    }

    #[test]
    fn a_worker_with_its_store_on_the_machine_has_no_use_for_a_network() {
        let worker = |store| worker::text(&Layout::system(), store);
        assert!(!worker(Some(Path::new("/srv/my store"))).contains("AF_INET"));
        assert!(worker(None).contains("AF_INET"), "a bucket is elsewhere");
        assert!(worker(Some(Path::new("/srv/my store"))).contains("\"-/srv/my store\""));
    }

    #[test]
    fn paths_with_blanks_and_percent_signs_reach_systemd_whole() {
        assert_eq!(quoted(Path::new("/srv/my store")), "\"/srv/my store\"");
        assert_eq!(quoted(Path::new("/srv/50%")), "/srv/50%%");
    }
}
