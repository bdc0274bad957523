//! The helper of root: it does what a few typed verbs say, and runs hook commands as units of their own.

use super::{COMMON, program};
use crate::Layout;
use crate::layout::{UNIT, USER, WORKER_USER};

/// The socket, which only the interface and the worker may connect to: one as its user, the other as its group.
pub(super) fn socket(layout: &Layout) -> String {
    let path = layout.helper_socket().unwrap_or_default();
    format!(
        "[Unit]
Description=Cloudron server: the socket of the helper of root
PartOf={UNIT}

[Socket]
ListenStream={path}
SocketUser={USER}
SocketGroup={WORKER_USER}
SocketMode=0660
RemoveOnStop=yes
",
        path = path.display(),
    )
}

/// The helper, which runs while it has work. It has root's number and no capability: that is enough for systemd, which
/// does the work.
pub(super) fn text(layout: &Layout) -> String {
    let run = layout.helper_run();
    let run = run.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "[Unit]
Description=Cloudron server: the helper of root
PartOf={UNIT}
StartLimitIntervalSec=0

[Service]
Type=simple
ExecStart={program} box helper
TimeoutStopSec=30
KillMode=mixed
RuntimeDirectory={run}
RuntimeDirectoryMode=0700
Environment=HOME=/root

CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
RemoveIPC=yes
PrivateNetwork=yes
IPAddressDeny=any
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
{COMMON}",
        program = program(layout),
    )
}
