//! A timer of systemd that takes a change back unless it is stopped.

use crate::Result;
use crate::host::{Host, is_active, run, try_run};

/// A timer that outlives the program and runs a script once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeadMan {
    /// The name of the unit, without suffix.
    pub(crate) unit: &'static str,
    /// What the unit is for.
    pub(crate) description: &'static str,
    /// What takes the change back. It is run again until it succeeds.
    pub(crate) script: &'static str,
}

impl DeadMan {
    /// Starts the timer. Fails if it runs already.
    pub(crate) fn arm(&self, host: &dyn Host, seconds: u64) -> Result<()> {
        // An earlier failure would keep the name. There need not be one.
        try_run(host, "systemctl", &["reset-failed", &self.service(), &self.timer()])?;
        let arguments = [
            "--quiet",
            "--collect",
            &format!("--unit={}", self.unit),
            &format!("--description={}", self.description),
            &format!("--on-active={seconds}s"),
            "--timer-property=AccuracySec=100ms",
            "--property=Restart=on-failure",
            "--property=RestartSec=1",
            "--property=StartLimitIntervalSec=0",
            "/bin/sh",
            "-c",
            self.script,
        ];
        run(host, "systemd-run", &arguments, "").map(drop)
    }

    /// Returns whether the timer runs, or the script does.
    pub(crate) fn is_armed(&self, host: &dyn Host) -> Result<bool> {
        if is_active(host, &self.timer())? {
            return Ok(true);
        }
        // `activating` is the time between two tries.
        let state = try_run(host, "systemctl", &["is-active", &self.service()])?;
        Ok(matches!(state.stdout.trim(), "active" | "activating" | "reloading"))
    }

    /// Stops the timer.
    pub(crate) fn disarm(&self, host: &dyn Host) -> Result<()> {
        if is_active(host, &self.timer())? {
            // It may have elapsed meanwhile.
            try_run(host, "systemctl", &["stop", &self.timer()])?;
        }
        Ok(())
    }

    /// Takes the change back at once.
    pub(crate) fn take_back(&self, host: &dyn Host) -> Result<()> {
        run(host, "/bin/sh", &["-c", self.script], "").map(drop)
    }

    fn service(&self) -> String {
        format!("{}.service", self.unit)
    }

    fn timer(&self) -> String {
        format!("{}.timer", self.unit)
    }
}
