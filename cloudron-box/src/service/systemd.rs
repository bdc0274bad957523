//! The server as systemd units.

use super::units::units;
use crate::layout::{FRONT_SOCKET_UNIT, FRONT_UNIT, HELPER_SOCKET_UNIT, UNIT, UNITS, WORKER_SOCKET_UNIT};
use crate::settings::{Settings, WorkerSettings};
use crate::system::command::command;
use crate::system::files;
use crate::{Layout, Result};

/// Writes the machine's units, and enables the server at boot.
pub(crate) fn write_units(layout: &Layout, settings: &Settings) -> Result<()> {
    let Some(folder) = layout.units() else { return Ok(()) };
    let store = WorkerSettings::of(settings).store_folder();
    // The one that starts the others last: it finds them.
    for unit in units(layout, store.as_deref(), settings.port()).into_iter().rev() {
        cloudron_core::atomic::write(&folder.join(unit.name), 0o644, unit.text.as_bytes())?;
    }
    command("systemctl", &["daemon-reload"])?;
    command("systemctl", &["enable", "--quiet", UNIT, FRONT_SOCKET_UNIT]).map(drop)
}

/// Stops the units and removes them.
pub(crate) fn disable(layout: &Layout) -> Result<()> {
    let Some(folder) = layout.units() else { return Ok(()) };
    let there = || UNITS.iter().filter(|unit| folder.join(unit).exists());
    if there().next().is_none() {
        return Ok(());
    }
    // An interrupted installation may have written units without telling systemd.
    command("systemctl", &["daemon-reload"])?;
    for unit in there() {
        match command("systemctl", &["disable", "--now", "--quiet", unit]) {
            // Otherwise a concurrent removal was faster.
            Err(error) if folder.join(unit).exists() => return Err(error),
            _ => {}
        }
    }
    for unit in UNITS {
        files::remove_file(&folder.join(unit))?;
    }
    command("systemctl", &["daemon-reload"]).map(drop)
}

/// Starts the server, and the sockets of its parts where they failed while it ran.
pub(super) fn start() -> Result<()> {
    // A unit that has failed too often only starts again after this. It fails for a new unit.
    let _ = command("systemctl", &[&["reset-failed"], &UNITS[..]].concat());
    command("systemctl", &["start", UNIT])?;
    // An older installation has none, until it is moved. The health tells one that failed.
    for unit in [FRONT_SOCKET_UNIT, FRONT_UNIT, WORKER_SOCKET_UNIT, HELPER_SOCKET_UNIT] {
        let _ = command("systemctl", &["start", unit]);
    }
    Ok(())
}

/// Stops the server, and closes its ports.
pub(super) fn stop() -> Result<()> {
    // An older installation has none.
    let _ = command("systemctl", &["stop", FRONT_SOCKET_UNIT, FRONT_UNIT]);
    command("systemctl", &["stop", UNIT]).map(drop)
}

/// Returns true if the ports are open for the front.
pub(crate) fn holds_ports() -> bool {
    command("systemctl", &["is-active", "--quiet", FRONT_SOCKET_UNIT]).is_ok()
}

/// Returns the process of the unit, if it runs.
pub(super) fn main_pid() -> Option<u32> {
    let text = command("systemctl", &["show", "--property=MainPID", "--value", UNIT]).ok()?;
    text.trim().parse().ok().filter(|pid| *pid != 0)
}
