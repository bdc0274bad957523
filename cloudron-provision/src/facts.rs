//! Facts about a machine, read with one command, and the check whether a server can be installed on it.

use std::time::Duration;

use cloudron_core::{Error, Progress, Result};
use serde::{Deserialize, Serialize};

use crate::{Command, Remote, answer, codes, elf};

/// Prints one `name=value` per line.
const SCRIPT: &str = r#"p() { printf '%s=%s\n' "$1" "$2"; }
p kernel "$(uname -s)"
p machine "$(uname -m)"
p uid "$(id -u)"
p boot_id "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
p clock "$(date +%s)"
if [ -d /run/systemd/system ]; then p systemd yes; fi
if command -v cloud-init >/dev/null 2>&1; then p cloud_init yes; fi
d=/var; while [ ! -d "$d" ]; do d=/; done
p free_root "$(df -Pk / | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)"
p free_var "$(df -Pk "$d" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)"
if [ -r /etc/os-release ]; then . /etc/os-release; p os "${PRETTY_NAME:-${ID:-}}"; fi
if [ -f /var/lib/cloudron/machine.json ] && [ -f /var/lib/cloudron/config.json ]; then p server "$(tr -d '\n' </var/lib/cloudron/machine.json)"; fi"#;

/// Facts that a machine reports about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Facts {
    /// Name of the kernel: `Linux`.
    pub kernel: String,
    /// Processor architecture, as reported by `uname -m`.
    pub machine: String,
    /// Distribution and version, for display.
    pub os: String,
    /// User ID of commands that run as root: 0 unless something is wrong.
    pub uid: u32,
    /// The kernel's ID of this boot. A different ID later means that the machine was restarted.
    pub boot_id: String,
    /// The machine's clock, in seconds since 1970.
    pub clock: u64,
    /// True if systemd is process 1.
    pub systemd: bool,
    /// True if cloud-init is installed.
    pub cloud_init: bool,
    /// Free space on `/`, in bytes.
    pub free_root: u64,
    /// Free space on `/var`, in bytes.
    pub free_var: u64,
    /// The server that is already installed on the machine, if any.
    pub server: Option<Installed>,
}

/// The content of `/var/lib/cloudron/machine.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Name of the server.
    #[serde(default)]
    pub fqdn: String,
    /// The run that installed it, if this engine did.
    #[serde(default)]
    pub run: Option<String>,
}

/// Requirements for a machine.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Requirements {
    /// The architecture that the program is built for (see [`elf::architecture`]); `None` allows any.
    pub architecture: Option<String>,
    /// Required free space on each of `/` and `/var`, in bytes.
    pub free: u64,
    /// True if a server of the same name, installed by another run, may already exist.
    pub existing: bool,
}

impl Default for Requirements {
    fn default() -> Self {
        Self { architecture: None, free: 512 << 20, existing: false }
    }
}

impl Facts {
    /// Reads the facts of a machine, with one command.
    ///
    /// # Errors
    /// `machine-no-root` if the login may not become root; `machine-not-linux`; as [`Remote::exec`].
    pub async fn ask(remote: &dyn Remote) -> Result<Self> {
        let output =
            remote.exec(Command::sh(SCRIPT, [""; 0]).as_root().within(Duration::from_secs(30))).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.success() && said.contains("sudo") {
            let message = format!("{} cannot become root: {}", remote.describe(), said.trim());
            return Err(Error::new(&codes::NO_ROOT, message));
        }
        let output = answer::check("asking the machine what it is", output)?;
        Self::parse(&String::from_utf8_lossy(&output.stdout)).map_err(|e| e.while_doing(remote.describe()))
    }

    fn parse(text: &str) -> Result<Self> {
        let get = |name: &str| {
            let lines = text.lines().filter_map(|l| l.split_once('='));
            lines.filter(|(n, _)| *n == name).map(|(_, v)| v.trim()).next_back().unwrap_or_default()
        };
        let number = |name: &str| get(name).parse::<u64>().unwrap_or(0);
        if get("kernel") != "Linux" {
            let message = format!("the machine runs {:?}, not Linux", get("kernel"));
            return Err(Error::new(&codes::NOT_LINUX, message));
        }
        let server = match get("server") {
            "" => None,
            // A file that cannot be read still shows that a server exists.
            text => Some(serde_json::from_str(text).unwrap_or_default()),
        };
        Ok(Self {
            kernel: get("kernel").into(),
            machine: get("machine").into(),
            os: get("os").into(),
            uid: get("uid").parse().unwrap_or(u32::MAX),
            boot_id: get("boot_id").into(),
            clock: number("clock"),
            systemd: get("systemd") == "yes",
            cloud_init: get("cloud_init") == "yes",
            free_root: number("free_root") << 10,
            free_var: number("free_var") << 10,
            server,
        })
    }

    /// Checks whether the server `fqdn` of the given run can be installed on this machine.
    ///
    /// # Errors
    /// `wrong-architecture`, `machine-no-systemd`, `machine-no-root`, `machine-disk`, `machine-taken`,
    /// `machine-carries-server`.
    pub fn check(&self, wanted: &Requirements, fqdn: &str, run: &str) -> Result<()> {
        if let Some(program) = &wanted.architecture
            && !elf::runs_on(program, &self.machine)
        {
            let message = format!("the program is built for {program}, and the machine is {}", self.machine);
            return Err(Error::new(&codes::ARCHITECTURE, message).with_detail("machine", &self.machine));
        }
        if self.uid != 0 {
            let message = format!("commands run as user {} there, not as root", self.uid);
            return Err(Error::new(&codes::NO_ROOT, message)
                .with_hint("log in as root, or allow the user `sudo` without password"));
        }
        if !self.systemd {
            let message = format!("systemd does not run on the machine ({})", self.os);
            return Err(Error::new(&codes::NO_SYSTEMD, message)
                .with_hint("use Debian 12 or Ubuntu 24.04, for example"));
        }
        self.check_disk(wanted.free)?;
        self.check_server(wanted.existing, fqdn, run)
    }

    fn check_disk(&self, needed: u64) -> Result<()> {
        for (folder, free) in [("/", self.free_root), ("/var", self.free_var)] {
            if free < needed {
                let message =
                    format!("{} MiB are free on {folder}, and {} MiB are needed", free >> 20, needed >> 20);
                return Err(Error::new(&codes::MACHINE_DISK, message)
                    .with_hint(format!("free some space on {folder} of the machine")));
            }
        }
        Ok(())
    }

    fn check_server(&self, existing: bool, fqdn: &str, run: &str) -> Result<()> {
        let Some(server) = &self.server else { return Ok(()) };
        if server.fqdn != fqdn {
            let name = if server.fqdn.is_empty() { "of an unknown name" } else { server.fqdn.as_str() };
            return Err(Error::new(
                &codes::MACHINE_TAKEN,
                format!("this machine runs the server {name} already"),
            )
            .with_hint("use another machine, or destroy that server first"));
        }
        if existing || server.run.as_deref().is_some_and(|r| r.eq_ignore_ascii_case(run)) {
            return Ok(());
        }
        Err(carries_server(fqdn))
    }
}

/// Returns the error for a machine that already runs this server, installed by another run.
pub(crate) fn carries_server(fqdn: &str) -> Error {
    Error::new(&codes::MACHINE_CARRIES_SERVER, format!("this machine runs the server {fqdn} already"))
        .with_detail("domain", fqdn)
}

/// Waits until cloud-init has finished, if it is installed. A degraded result is a warning.
///
/// # Errors
/// `cloud-init` (retryable) if it failed or did not finish within the limit.
pub async fn wait_for_cloud_init(remote: &dyn Remote, limit: Duration, progress: &Progress) -> Result<()> {
    let task = progress.task("Waiting for the machine's first boot to end", cloudron_core::Unit::None, None);
    let command = Command::new(["cloud-init", "status", "--wait"]).as_root().within(limit);
    let output = match remote.exec(command).await {
        Err(e) if e.is(&cloudron_core::codes::TIMED_OUT) => {
            let message = format!("cloud-init did not end within {} s", limit.as_secs());
            return Err(Error::new(&codes::CLOUD_INIT, message).retryable(true));
        }
        other => other?,
    };
    match output.status {
        0 => {}
        // Since cloud-init 23.4: done, with recoverable errors.
        2 => progress.warn("cloud-init on the machine ended with recoverable errors; `cloud-init status --long` there lists them."),
        _ => {
            let message = format!("cloud-init failed: {}", output.text().replace('\n', " "));
            return Err(Error::new(&codes::CLOUD_INIT, message));
        }
    }
    task.finish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "kernel=Linux\nmachine=x86_64\nuid=0\nboot_id=b\nclock=5\nsystemd=yes\nfree_root=9000000\nfree_var=9000000\nos=Debian GNU/Linux 12 (bookworm)\n";

    fn refused(text: &str, wanted: &Requirements) -> &'static str {
        Facts::parse(text).unwrap().check(wanted, "example.com", "r1").unwrap_err().code().name
    }

    #[test]
    fn a_plain_debian_is_taken() {
        let facts = Facts::parse(DEBIAN).unwrap();
        assert_eq!(facts.os, "Debian GNU/Linux 12 (bookworm)");
        let wanted = Requirements { architecture: Some("x86_64".into()), ..Requirements::default() };
        facts.check(&wanted, "example.com", "r1").unwrap();
    }

    #[test]
    fn each_thing_that_is_missing_has_its_code() {
        let any = Requirements::default();
        assert_eq!(refused(&DEBIAN.replace("systemd=yes\n", ""), &any), "machine-no-systemd");
        assert_eq!(refused(&DEBIAN.replace("uid=0", "uid=1000"), &any), "machine-no-root");
        assert_eq!(refused(&DEBIAN.replace("free_var=9000000", "free_var=9000"), &any), "machine-disk");
        let arm = Requirements { architecture: Some("aarch64".into()), ..Requirements::default() };
        assert_eq!(refused(DEBIAN, &arm), "wrong-architecture");
        let other = Facts::parse(&DEBIAN.replace("Linux\nmachine", "FreeBSD\nmachine"));
        assert_eq!(other.unwrap_err().code().name, "machine-not-linux");
    }

    #[test]
    fn a_machine_with_another_server_is_refused_and_one_of_the_same_run_is_not() {
        let any = Requirements::default();
        let with = |server: &str| format!("{DEBIAN}server={server}\n");
        assert_eq!(refused(&with(r#"{"fqdn":"other.org","run":"r1"}"#), &any), "machine-taken");
        assert_eq!(refused(&with("broken"), &any), "machine-taken");
        assert_eq!(refused(&with(r#"{"fqdn":"example.com","run":"r0"}"#), &any), "machine-carries-server");
        let same = Facts::parse(&with(r#"{"fqdn":"example.com","run":"R1"}"#)).unwrap();
        same.check(&any, "example.com", "r1").unwrap();
    }
}
