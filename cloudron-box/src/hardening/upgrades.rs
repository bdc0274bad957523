//! Security updates of the distribution, by themselves.

use std::path::Path;

use super::packages;
use crate::Result;
use crate::finding::Finding;
use crate::host::{Host, run, try_run};

/// The file with the settings. Its name comes after those of the package: the last value counts.
pub const FILE: &str = "/etc/apt/apt.conf.d/52cloudron-upgrades";

/// What updates may do by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Updates {
    /// The hour at which the machine may restart if an update needs it; `None` if it never may.
    pub restart_at: Option<u8>,
}

/// Installs and sets up security updates. Returns what could not be done, and what somebody should know.
///
/// # Errors
/// File errors and errors of running programs.
pub fn enable(host: &dyn Host, updates: Updates) -> Result<Vec<Finding>> {
    if let Some(finding) = packages::install(host, "unattended-upgrades")? {
        return Ok(vec![finding]);
    }
    let release = host.read(Path::new("/etc/os-release"))?.unwrap_or_default();
    let text = text(&release, updates);
    if host.read(Path::new(FILE))?.as_deref() != Some(&*text) {
        host.write(Path::new(FILE), 0o644, &text)?;
    }
    findings(host)
}

/// Returns what keeps security updates from being installed.
///
/// # Errors
/// Errors of running programs.
pub fn findings(host: &dyn Host) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let why = "A machine on the internet without security updates is broken into sooner or later.";
    let said = run(host, "apt-config", &["dump"], "")?;
    for (name, what) in [
        ("APT::Periodic::Update-Package-Lists", "The lists of packages are not fetched"),
        ("APT::Periodic::Unattended-Upgrade", "Security updates are not installed"),
    ] {
        let value = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        if value.is_none_or(|value| ["\"0\";", "\"\";"].contains(&value)) {
            let remedy =
                format!("Remove {name} from files in `/etc/apt/apt.conf.d` that come after `{FILE}`.");
            found.push(Finding::new("updates-off", what, why, remedy));
        }
    }
    for timer in ["apt-daily.timer", "apt-daily-upgrade.timer"] {
        let state = try_run(host, "systemctl", &["is-enabled", timer])?.stdout;
        if state.trim() != "enabled" {
            let what = format!("The timer {timer} is {}", crate::host::brief(&state));
            let remedy = format!("`systemctl unmask {timer}; systemctl enable --now {timer}`");
            found.push(Finding::new("updates-timer", what, why, remedy));
        }
    }
    if host.read(Path::new("/var/run/reboot-required"))?.is_some() {
        found.push(Finding::new(
            "restart-needed",
            "An update waits for a restart of the machine",
            "Until then the old kernel or library runs, with its faults.",
            "Restart the machine when it suits you: `systemctl reboot`.",
        ));
    }
    Ok(found)
}

/// Returns the settings. The origins replace those of the package, so that nothing but security updates is installed.
fn text(release: &str, updates: Updates) -> String {
    let value = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let is_ubuntu = value("ID") == "ubuntu" || value("ID_LIKE").split(' ').any(|id| id == "ubuntu");
    let origins = if is_ubuntu {
        "#clear Unattended-Upgrade::Allowed-Origins;
Unattended-Upgrade::Allowed-Origins {
    \"${distro_id}:${distro_codename}-security\";
    \"${distro_id}ESMApps:${distro_codename}-apps-security\";
    \"${distro_id}ESM:${distro_codename}-infra-security\";
};
"
    } else {
        "#clear Unattended-Upgrade::Origins-Pattern;
Unattended-Upgrade::Origins-Pattern {
    \"origin=Debian,codename=${distro_codename}-security,label=Debian-Security\";
};
"
    };
    let restart = match updates.restart_at {
        None => "Unattended-Upgrade::Automatic-Reboot \"false\";\n".to_owned(),
        Some(hour) => format!(
            "Unattended-Upgrade::Automatic-Reboot \"true\";\n\
             Unattended-Upgrade::Automatic-Reboot-Time \"{:02}:00\";\n",
            hour % 24
        ),
    };
    format!(
        "// Written by cloudron. This file comes after others, and the last value of a setting counts.
APT::Periodic::Update-Package-Lists \"1\";
APT::Periodic::Unattended-Upgrade \"1\";
APT::Periodic::AutocleanInterval \"7\";

// Security updates only.
{origins}
Unattended-Upgrade::MinimalSteps \"true\";
Unattended-Upgrade::Remove-Unused-Kernel-Packages \"true\";
{restart}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_gets_its_security_archive_and_never_restarts_by_itself() {
        insta::assert_snapshot!(text("ID=debian\nVERSION_ID=\"12\"\n", Updates::default()));
    }

    #[test]
    fn ubuntu_and_its_relatives_get_theirs_and_restart_when_asked() {
        let ubuntu = text("NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n", Updates { restart_at: Some(4) });
        assert!(
            ubuntu.contains("${distro_codename}-security\";") && !ubuntu.contains("label=Debian-Security")
        );
        assert!(
            ubuntu.contains("Automatic-Reboot \"true\"") && ubuntu.contains("Time \"04:00\""),
            "{ubuntu}"
        );
        assert_eq!(
            text("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Updates { restart_at: Some(4) }),
            ubuntu
        );
    }
}
