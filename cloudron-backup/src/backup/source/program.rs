//! A program whose output is backed up.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use cloudron_core::{Error, Result, ResultExt};

/// The output of a program, which ends in an error if the program fails: then no backup is made of it.
#[derive(Debug)]
pub struct ProgramOutput {
    child: Child,
    command: String,
}

impl ProgramOutput {
    /// Has the shell run a command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &str) -> Result<Self> {
        let child = Command::new("sh").args(["-c", command]).stdout(Stdio::piped()).spawn();
        let child = child.map_err(|e| Error::io("sh", e)).doing(|| format!("starting {command}"))?;
        Ok(Self { child, command: command.to_owned() })
    }
}

impl Read for ProgramOutput {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.child.stdout.as_mut().map_or(Ok(0), |out| out.read(buffer))?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        let status = self.child.wait()?;
        match status.success() {
            true => Ok(0),
            false => Err(std::io::Error::other(format!("`{}` failed: {status}", self.command))),
        }
    }
}

impl Drop for ProgramOutput {
    /// Stops the program, so that a failed backup leaves none running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
