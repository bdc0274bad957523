//! A machine in memory: files, a table of nftables, a timer, and a switch that ends the program at any call.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::{Host, Output};
use crate::{Error, Result};

/// What a machine in memory holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inside {
    pub(crate) files: BTreeMap<PathBuf, String>,
    /// The table in force, as `nft` prints it.
    pub(crate) table: Option<String>,
    /// Whether the timer of the dead man runs.
    pub(crate) armed: bool,
    /// What other programs print: by the beginning of their command line.
    pub(crate) answers: BTreeMap<String, Output>,
    /// Everything that was run.
    pub(crate) log: Vec<String>,
    /// The changes that are made before the program is killed.
    pub(crate) dies_after: Option<usize>,
    pub(crate) changes: usize,
    /// The addresses that accept connections.
    pub(crate) open: Vec<SocketAddr>,
}

/// A machine in memory.
#[derive(Debug, Default)]
pub(crate) struct Double(Mutex<Inside>);

impl Double {
    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    /// Sets what a program prints when it succeeds.
    pub(crate) fn says(self, line: &str, stdout: &str) -> Self {
        self.ends(line, 0, stdout)
    }

    /// Sets how a program ends, and what it prints.
    pub(crate) fn ends(self, line: &str, code: i32, text: &str) -> Self {
        let output = Output { code, stdout: text.into(), stderr: String::new() };
        self.inside().answers.insert(line.into(), output);
        self
    }

    pub(crate) fn with_file(self, path: &str, content: &str) -> Self {
        self.inside().files.insert(path.into(), content.into());
        self
    }

    /// Returns the names of findings.
    pub(crate) fn codes(found: &[crate::finding::Finding]) -> Vec<&str> {
        found.iter().map(|finding| &*finding.code).collect()
    }

    /// What the timer does when its time is over.
    pub(crate) fn elapse(&self) {
        let mut inside = self.inside();
        if std::mem::take(&mut inside.armed) {
            inside.take_back();
        }
    }

    /// A power failure: memory is lost, and the rules are loaded at boot.
    pub(crate) fn reboot(&self) {
        let mut inside = self.inside();
        (inside.armed, inside.dies_after) = (false, None);
        let rules = inside.files.get(Path::new("/etc/cloudron-firewall/rules.nft")).cloned();
        let is_enabled =
            inside.files.contains_key(Path::new("/etc/systemd/system/cloudron-firewall.service"));
        inside.table = rules.filter(|_| is_enabled).and_then(|text| printed(&text));
    }
}

impl Inside {
    /// Counts a change, unless the program is dead already.
    fn change(&mut self) -> Result<()> {
        if self.dies_after.is_some_and(|most| self.changes >= most) {
            return Err(killed());
        }
        self.changes += 1;
        Ok(())
    }

    /// The script of the firewall's dead man.
    fn take_back(&mut self) {
        let file = |name: &str| PathBuf::from("/etc/cloudron-firewall").join(name);
        if let Some(text) = self.files.remove(&file("trial.nft")) {
            self.files.insert(file("reverting.nft"), text);
        }
        if self.files.remove(&file("reverting.nft")).is_some() {
            self.table = printed(&self.files.remove(&file("previous.nft")).unwrap());
            self.files.remove(&file("trial.json"));
        }
    }

    fn run(&mut self, line: &str, input: &str) -> Result<Output> {
        if self.dies_after.is_some_and(|most| self.changes >= most) {
            return Err(killed());
        }
        self.log.push(line.to_owned());
        let answer = self.answers.iter().rev().find(|(start, _)| line.starts_with(start.as_str()));
        if let Some((_, answer)) = answer {
            return if answer.code == 127 { Err(missing(line)) } else { Ok(answer.clone()) };
        }
        let says = |stdout: String| Ok(Output { stdout, ..Output::default() });
        let is = |yes: bool| Ok(Output { code: i32::from(!yes), ..Output::default() });
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["nft", "-f", "-"] => {
                self.change()?;
                self.table = printed(input);
                is(true)
            }
            ["nft", "-f", file] => {
                self.change()?;
                self.table = printed(&self.files[Path::new(file)]);
                is(true)
            }
            ["nft", "list", "tables"] => {
                says(self.table.as_ref().map_or_else(String::new, |_| "table inet cloudron\n".into()))
            }
            ["nft", "-s", "-t", "list", ..] => says(self.table.clone().unwrap_or_default()),
            ["systemd-run", .., file] if line.contains("PrivateNetwork") => {
                says(self.files.get(Path::new(file)).and_then(|text| printed(text)).unwrap_or_default())
            }
            ["systemd-run", ..] if line.contains("--on-active") => {
                self.change()?;
                self.armed = true;
                is(true)
            }
            ["systemctl", "is-active", .., unit] => is(unit.ends_with("revert.timer") && self.armed),
            ["systemctl", "stop", ..] => {
                self.change()?;
                self.armed = false;
                is(true)
            }
            ["/bin/sh", "-c", ..] => {
                self.change()?;
                self.take_back();
                is(true)
            }
            _ => is(true),
        }
    }
}

/// Returns how `nft` prints a file of ours: the last table in it.
fn printed(file: &str) -> Option<String> {
    let (_, table) = file.split_once("delete table inet cloudron\n").unwrap();
    let table = table.trim();
    (!table.is_empty()).then(|| format!("{table}\n"))
}

fn killed() -> Error {
    Error::new(&cloudron_core::codes::FAILED, "the program was killed")
}

fn missing(line: &str) -> Error {
    Error::new(&cloudron_core::codes::FILE_MISSING, line.to_owned())
}

impl Host for Double {
    fn run_within(&self, _: Duration, program: &str, arguments: &[&str], input: &str) -> Result<Output> {
        self.inside().run(&[&[program], arguments].concat().join(" "), input)
    }

    fn read(&self, path: &Path) -> Result<Option<String>> {
        Ok(self.inside().files.get(path).cloned())
    }

    fn names(&self, folder: &Path) -> Result<Vec<String>> {
        let inside = self.inside();
        let within = inside.files.keys().filter_map(|path| path.strip_prefix(folder).ok());
        Ok(within.map(|path| path.display().to_string()).collect())
    }

    fn write(&self, path: &Path, _: u32, content: &str) -> Result<()> {
        let mut inside = self.inside();
        inside.change()?;
        inside.files.insert(path.into(), content.into());
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<bool> {
        let mut inside = self.inside();
        inside.change()?;
        let content = inside.files.remove(from);
        Ok(content.map(|content| inside.files.insert(to.into(), content)).is_some())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut inside = self.inside();
        inside.change()?;
        inside.files.remove(path);
        Ok(())
    }

    fn accepts(&self, address: SocketAddr, _: Duration) -> bool {
        self.inside().open.contains(&address)
    }
}
