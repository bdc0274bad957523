//! A separate home for the program under test.
#![allow(dead_code, unreachable_pub, reason = "each test target uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The key of the machines under test, written to a file in the home. No test output may contain it.
pub const BACKUP_KEY: &str = "canary backup key 7Q2v!$'\"\\";

/// A key with the form of generated ones, which is fast to use. No test output may contain it.
pub const FAST_KEY: &str = "canary0key7q2v9x4m1z8w5r3t6y0p2c4b6n8d1f";

/// A home folder, and the program to run in it. Dropping it destroys the machines created in it.
pub struct Home {
    dir: TempDir,
}

/// The result of a run of the program.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(home.path("key"), format!("{BACKUP_KEY}\n")).unwrap();
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the program without the caller's environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloudron"));
        command.env_clear().env("HOME", self.dir.path()).env("PATH", std::env::var_os("PATH").unwrap());
        command.current_dir(self.dir.path()).stdin(std::process::Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command().args(arguments).output().unwrap())
    }

    /// Runs the program, which must succeed. Returns its output.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}\n{}\n{}", run.stdout, run.stderr);
        run.stdout
    }

    /// Runs the program with `--output json`, which must succeed. Returns its output.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["--output", "json"]].concat());
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(value["schema"], 1);
        value
    }

    /// Creates a local machine with the key of [`BACKUP_KEY`].
    pub fn create(&self, fqdn: &str, more: &[&str]) -> Run {
        let base = ["machine", "create", "local", "--fqdn", fqdn, "--backup-key", "file:key"];
        self.run(&[&base, more].concat())
    }

    /// Returns the folder of a local machine.
    pub fn root(&self, fqdn: &str) -> PathBuf {
        self.path(".local/state/cloudron/local").join(fqdn)
    }

    /// Returns the folder of a local machine's backups.
    pub fn store(&self, fqdn: &str) -> PathBuf {
        self.path(".local/share/cloudron/backups").join(fqdn)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let machines = std::fs::read_dir(self.path(".local/state/cloudron/local"));
        for machine in machines.into_iter().flatten().flatten() {
            // A server that cannot be stopped here belongs to a failed test.
            let _ = self.command().args(["box", "stop", "--root"]).arg(machine.path()).output();
        }
    }
}

impl Run {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks that the run failed with this exit code and error code, and that its message contains this
    /// text.
    #[track_caller]
    pub fn failed(&self, exit: i32, code: &str, text: &str) {
        let said = format!("exit {}\n{}\n{}", self.code, self.stdout, self.stderr);
        assert_eq!(self.code, exit, "{said}");
        assert!(self.stderr.contains(&format!("code: {code} ")), "not {code}: {said}");
        assert!(self.stderr.contains(text), "no {text:?} in: {said}");
    }

    /// Checks that the run failed with a usage error that contains this text.
    #[track_caller]
    pub fn failed_usage(&self, text: &str) {
        assert_eq!(self.code, 2, "{}\n{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(text) && self.stdout.is_empty(), "{}", self.stderr);
    }
}
