//! The interface: it answers clients, and holds the database and the certificate. It can read nothing else.

use super::{COMMON, program, quoted};
use crate::Layout;
use crate::layout::{HELPER_SOCKET_UNIT, HELPER_UNIT, USER, WORKER_SOCKET_UNIT, WORKER_UNIT};

pub(super) fn text(layout: &Layout) -> String {
    format!(
        "[Unit]
Description=Cloudron server: the interface
Wants=network-online.target {WORKER_SOCKET_UNIT} {HELPER_SOCKET_UNIT}
After=network-online.target local-fs.target time-sync.target
After={WORKER_SOCKET_UNIT} {WORKER_UNIT} {HELPER_SOCKET_UNIT} {HELPER_UNIT}
StartLimitIntervalSec=0

[Service]
Type=simple
ExecStart={program} box serve
User={USER}
Group={USER}
Restart=always
RestartSec=3
TimeoutStopSec=30
KillMode=mixed
OOMScoreAdjust=-200
LimitNOFILE=65536

# Listening on port 443, and nothing else of root.
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE

ProtectSystem=strict
ProtectHome=yes
ReadWritePaths={state}
InaccessiblePaths=-{worker}
ProtectProc=invisible
ProcSubset=pid
RemoveIPC=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
{COMMON}
[Install]
WantedBy=multi-user.target
",
        program = program(layout),
        state = quoted(layout.state()),
        worker = quoted(&layout.worker_state()),
    )
}
