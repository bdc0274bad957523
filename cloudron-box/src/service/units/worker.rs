//! The backup worker: it reads every file, and writes its own state and the store.

use std::path::{Path, PathBuf};

use super::{COMMON, program, quoted};
use crate::Layout;
use crate::layout::{HELPER_SOCKET_UNIT, UNIT, USER, WORKER_USER};

/// The socket, which only the interface may connect to.
pub(super) fn socket(layout: &Layout) -> String {
    let path = layout.worker_socket().unwrap_or_default();
    format!(
        "[Unit]
Description=Cloudron server: the socket of the backup worker
PartOf={UNIT}

[Socket]
ListenStream={path}
SocketUser={USER}
SocketMode=0600
RemoveOnStop=yes
",
        path = path.display(),
    )
}

/// The worker, which runs while it has work. With its store on this machine it has no network.
pub(super) fn text(layout: &Layout, store: Option<&Path>) -> String {
    // The hyphen lets the unit start if the folder is missing, so that the worker can report it.
    let writable = match store {
        Some(store) => {
            let store = PathBuf::from(format!("-{}", store.display()));
            format!("{} {}", quoted(&layout.worker_state()), quoted(&store))
        }
        None => quoted(&layout.worker_state()),
    };
    let network = match store {
        Some(_) => "RestrictAddressFamilies=AF_UNIX\nPrivateNetwork=yes\nIPAddressDeny=any",
        None => "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
    };
    format!(
        "[Unit]
Description=Cloudron server: the backup worker
After={HELPER_SOCKET_UNIT}
Wants={HELPER_SOCKET_UNIT}
PartOf={UNIT}
StartLimitIntervalSec=0

[Service]
Type=simple
ExecStart={program} box worker
User={WORKER_USER}
Group={WORKER_USER}
TimeoutStopSec=30
KillMode=mixed
Nice=5
LimitNOFILE=65536

# Reading every included folder, whoever owns it. Nothing else of root.
AmbientCapabilities=CAP_DAC_READ_SEARCH
CapabilityBoundingSet=CAP_DAC_READ_SEARCH

ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={writable}
ProtectProc=invisible
ProcSubset=pid
RemoveIPC=yes
{network}
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
{COMMON}",
        program = program(layout),
    )
}
