//! Peculiarities of the system.

use std::path::Path;

use crate::Result;
use crate::finding::Finding;
use crate::host::{Host, is_active, try_run};

/// Memory, in KiB, below which a machine without swap runs out of it.
const SMALL: u64 = 1_000_000;

/// Memory, in KiB, below which a machine is too small.
const TOO_SMALL: u64 = 450_000;

/// systemd that listens for SSH.
pub(super) fn ssh_socket(host: &dyn Host) -> Result<Vec<Finding>> {
    if !is_active(host, "ssh.socket")? {
        return Ok(Vec::new());
    }
    Ok(vec![Finding::new(
        "ssh-socket",
        "systemd listens for SSH (ssh.socket)",
        "`Port` in the settings of the SSH server has no effect; the port is that of the socket.",
        "Change the port with `systemctl edit ssh.socket`, or use `systemctl disable --now ssh.socket; systemctl enable --now \
         ssh.service`.",
    )])
}

/// A clock that nobody sets.
pub(super) fn clock(host: &dyn Host) -> Result<Vec<Finding>> {
    let output = match try_run(host, "timedatectl", &["show", "--property=NTPSynchronized", "--value"]) {
        // Nobody can tell.
        Err(error) if error.is(&cloudron_core::codes::FILE_MISSING) => return Ok(Vec::new()),
        output => output?,
    };
    if output.stdout.trim() != "no" {
        return Ok(Vec::new());
    }
    Ok(vec![Finding::new(
        "clock",
        "The clock of this machine is not synchronised",
        "Certificates are refused and logins fail when it is wrong.",
        "`apt-get install systemd-timesyncd`, and `timedatectl set-ntp true`. Just after a start it takes a minute.",
    )])
}

/// Little memory.
pub(super) fn memory(host: &dyn Host) -> Result<Vec<Finding>> {
    let text = host.read(Path::new("/proc/meminfo"))?.unwrap_or_default();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let (Some(total), Some(swap)) = (value("MemTotal:"), value("SwapTotal:")) else { return Ok(Vec::new()) };
    if total < TOO_SMALL {
        return Ok(vec![Finding::new(
            "memory-small",
            format!("This machine has {} MB of memory", total / 1000),
            "Backups and updates may be ended for lack of memory.",
            "Choose a machine with 1 GB or more.",
        )]);
    }
    if total < SMALL && swap == 0 {
        return Ok(vec![Finding::new(
            "swap-missing",
            format!("This machine has {} MB of memory and no swap", total / 1000),
            "A short peak ends a program, such as a backup.",
            "`fallocate -l 1G /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile`, and a line in `/etc/fstab`.",
        )]);
    }
    Ok(Vec::new())
}
