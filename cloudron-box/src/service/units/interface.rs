//! The interface: it answers clients, whom the front passes on, and holds the database and the authority. It can read
//! nothing else.

use super::{COMMON, program, quoted};
use crate::Layout;
use crate::layout::{
    FRONT_SOCKET_UNIT, FRONT_UNIT, HELPER_SOCKET_UNIT, HELPER_UNIT, USER, WORKER_SOCKET_UNIT, WORKER_UNIT,
};

pub(super) fn text(layout: &Layout) -> String {
    let own = layout.front_certificate().and_then(|file| Some(file.parent()?.to_owned())).unwrap_or_default();
    let run =
        layout.interface_socket().and_then(|socket| Some(socket.parent()?.to_owned())).unwrap_or_default();
    format!(
        "[Unit]
Description=Cloudron server: the interface
Wants=network-online.target {FRONT_SOCKET_UNIT} {FRONT_UNIT} {WORKER_SOCKET_UNIT} {HELPER_SOCKET_UNIT}
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

# Its socket is for the front, which has the ports.
RuntimeDirectory={run}
RuntimeDirectoryMode=0755

CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
ReadWritePaths={state} -{own}
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
        run = run.file_name().unwrap_or_default().display(),
        own = quoted(&own),
        state = quoted(layout.state()),
        worker = quoted(&layout.worker_state()),
    )
}
