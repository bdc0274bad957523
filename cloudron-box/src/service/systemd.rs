//! The server as a systemd unit.

use crate::layout::{UNIT, USER};
use crate::settings::Settings;
use crate::system::command::command;
use crate::{Layout, Result};

/// Returns the text of the server's unit.
///
/// Some hardening options are left out deliberately, because hook commands of included folders inherit them:
/// `ProtectSystem=strict` would keep them from writing dumps, `MemoryDenyWriteExecute` breaks programs that
/// compile at run time, `RestrictNamespaces` breaks rootless containers, and `ProtectHome=yes` would hide
/// folders from the backup.
pub fn unit_text(layout: &Layout, store_folder: Option<&std::path::Path>) -> String {
    let program = layout.program_link().unwrap_or_else(|| "cloudron".into());
    let state = layout.state().display().to_string();
    // The hyphen lets the unit start if the folder is missing, so that the server can report it.
    let writable = match store_folder {
        Some(store) => format!("{} {}", quoted(&state), quoted(&format!("-{}", store.display()))),
        None => quoted(&state),
    };
    format!(
        "[Unit]
Description=Cloudron server
Wants=network-online.target
After=network-online.target local-fs.target time-sync.target
StartLimitIntervalSec=0

[Service]
Type=simple
ExecStart={program} box serve
User={USER}
Group={USER}
UMask=0077
Restart=always
RestartSec=3
TimeoutStopSec=30
KillMode=mixed
OOMScoreAdjust=-200
LimitCORE=0
LimitNOFILE=65536

# Reading every included folder, whoever owns it, and listening on port 443. Nothing else of root.
AmbientCapabilities=CAP_DAC_READ_SEARCH CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_NET_BIND_SERVICE
NoNewPrivileges=yes

ProtectSystem=full
ProtectHome=read-only
ReadWritePaths={writable}
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
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
",
        program = program.display(),
    )
}

/// Quotes a path for a list in a unit: `%` begins a specifier, spaces separate (systemd.syntax(7)).
fn quoted(path: &str) -> String {
    let path = path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    if path.contains(' ') { format!("\"{path}\"") } else { path }
}

/// Writes the machine's unit and enables it at boot.
pub(crate) fn reload_and_enable(layout: &Layout, settings: &Settings) -> Result<()> {
    let Some(file) = layout.unit_file() else { return Ok(()) };
    let store = settings.store_folder();
    cloudron_core::atomic::write(&file, 0o644, unit_text(layout, store.as_deref()).as_bytes())?;
    command("systemctl", &["daemon-reload"])?;
    command("systemctl", &["enable", "--quiet", UNIT]).map(drop)
}

/// Stops the unit and removes it.
pub(crate) fn disable(layout: &Layout) -> Result<()> {
    let Some(file) = layout.unit_file().filter(|f| f.exists()) else { return Ok(()) };
    // An interrupted installation may have written the unit without telling systemd.
    command("systemctl", &["daemon-reload"])?;
    match command("systemctl", &["disable", "--now", "--quiet", UNIT]) {
        // Otherwise a concurrent removal was faster.
        Err(error) if file.exists() => return Err(error),
        _ => {}
    }
    crate::system::files::remove_file(&file)?;
    command("systemctl", &["daemon-reload"]).map(drop)
}

pub(super) fn start() -> Result<()> {
    // A unit that has failed too often only starts again after this. It fails for a new unit.
    let _ = command("systemctl", &["reset-failed", UNIT]);
    command("systemctl", &["start", UNIT]).map(drop)
}

pub(super) fn stop() -> Result<()> {
    command("systemctl", &["stop", UNIT]).map(drop)
}

/// Returns the process of the unit, if it runs.
pub(super) fn main_pid() -> Option<u32> {
    let text = command("systemctl", &["show", "--property=MainPID", "--value", UNIT]).ok()?;
    text.trim().parse().ok().filter(|pid| *pid != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_runs_unprivileged_and_can_read_what_it_backs_up() {
        let text = unit_text(&Layout::system(), Some(std::path::Path::new("/var/backups/cloudron")));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn paths_with_blanks_and_percent_signs_reach_systemd_whole() {
        assert_eq!(quoted("/srv/my store"), "\"/srv/my store\"");
        assert_eq!(quoted("/srv/50%"), "/srv/50%%");
    }
}
