//! The unit that loads the table at boot.

use std::path::Path;

use super::files::{self, FOLDER};
use crate::Result;
use crate::host::{Host, run};

/// The unit that loads the table at boot.
pub const UNIT: &str = "cloudron-firewall.service";

const FILE: &str = "/etc/systemd/system/cloudron-firewall.service";

/// Returns the text of the unit. It is loaded before the network is up, and again whenever Debian's own `nftables.service`
/// has flushed everything.
pub fn unit_text() -> String {
    let rules = files::rules();
    let rules = rules.display();
    format!(
        "[Unit]
Description=Cloudron firewall
Documentation=man:nft(8)
DefaultDependencies=no
RequiresMountsFor={FOLDER}
Wants=network-pre.target
Before=network-pre.target shutdown.target
After=systemd-modules-load.service local-fs.target nftables.service
Conflicts=shutdown.target
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
ConditionPathExists={rules}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {rules}
ExecReload=/usr/sbin/nft -f {rules}
CapabilityBoundingSet=CAP_NET_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_NETLINK AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077

[Install]
WantedBy=sysinit.target
"
    )
}

/// Writes the unit and enables it. Without rules it does nothing at boot.
pub(super) fn enable(host: &dyn Host) -> Result<()> {
    let text = unit_text();
    if host.read(Path::new(FILE))?.as_deref() != Some(&*text) {
        host.write(Path::new(FILE), 0o644, &text)?;
        run(host, "systemctl", &["daemon-reload"], "")?;
    }
    run(host, "systemctl", &["enable", "--quiet", UNIT], "").map(drop)
}

/// Has the unit count as started, so that it is loaded again with `nftables.service`.
pub(super) fn start(host: &dyn Host) -> Result<()> {
    run(host, "systemctl", &["start", UNIT], "").map(drop)
}

/// Disables the unit and removes it.
pub(super) fn disable(host: &dyn Host) -> Result<()> {
    if host.read(Path::new(FILE))?.is_none() {
        return Ok(());
    }
    run(host, "systemctl", &["disable", "--now", "--quiet", UNIT], "")?;
    host.remove(Path::new(FILE))?;
    run(host, "systemctl", &["daemon-reload"], "").map(drop)
}
