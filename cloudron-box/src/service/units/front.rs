//! The front: it holds ports 80 and 443, and passes requests on. It has no right of root, and reads nothing of the others.

use super::{COMMON, program, quoted};
use crate::Layout;
use crate::layout::{FRONT_SOCKET_UNIT, FRONT_USER};

/// The ports, which systemd opens for both families. They stay open while the front is started anew, so they do not follow
/// the interface.
pub(super) fn socket(port: u16) -> String {
    format!(
        "[Unit]
Description=Cloudron server: the ports of the front

[Socket]
ListenStream=80
ListenStream={port}
BindIPv6Only=both
Backlog=4096
NoDelay=yes
TriggerLimitIntervalSec=0

[Install]
WantedBy=sockets.target
"
    )
}

/// The front, which runs as long as its ports are open.
pub(super) fn text(layout: &Layout) -> String {
    format!(
        "[Unit]
Description=Cloudron server: the front
Requires={FRONT_SOCKET_UNIT}
After={FRONT_SOCKET_UNIT} network.target local-fs.target
StartLimitIntervalSec=0

[Service]
Type=simple
ExecStart={program} box front
User={FRONT_USER}
Group={FRONT_USER}
Restart=always
RestartSec=1
TimeoutStopSec=30
KillMode=mixed
OOMScoreAdjust=-200
LimitNOFILE=65536

CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
InaccessiblePaths=-{state} -{worker}
ProtectProc=invisible
ProcSubset=pid
RemoveIPC=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
{COMMON}",
        program = program(layout),
        state = quoted(layout.state()),
        worker = quoted(&layout.worker_state()),
    )
}
