//! A machine that boots with user-data: an SSH server on loopback whose commands run in a folder.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cloudron_testkit::clouds::Boot;
use cloudron_testkit::sshd::Sshd;

/// Runs one command of a session in the folder of the machine. The program keeps its files there, and the server is a
/// process rather than a unit of systemd.
const SESSION: &str = include_str!("session.sh");

/// A second address at which the machine can be reached, for one that comes back elsewhere.
pub(crate) const MOVED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The machine. There is one, which is set up anew with each server.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    sshd: Sshd,
}

impl Machine {
    /// Starts the machine. None if OpenSSH is not installed.
    pub(crate) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "ssh"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        // A new connection reads the host key anew, so that nothing needs to be reloaded.
        write(&folder.path().join("bin/systemctl"), "#!/bin/sh\n", 0o755);
        let session = folder.path().join("session");
        write(&session, &SESSION.replace("@FOLDER@", folder.path().to_str().unwrap()), 0o755);
        let key = folder.path().join("ssh/ssh_host_ed25519_key");
        let sshd = Sshd::builder()
            .config(&format!("HostKey {}", key.display()))
            .config(&format!("ForceCommand {}", session.display()))
            .also_at(MOVED)
            .start()?;
        Some(Self { folder, sshd })
    }

    pub(crate) fn sshd(&self) -> &Sshd {
        &self.sshd
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The first boot: an empty disk, and cloud-init writes the host key.
    pub(crate) fn boot(&self, boot: &Boot) {
        self.off();
        for name in ["root", "backups", "usr", "ssh", "commands"] {
            let path = self.path(name);
            let _ = (std::fs::remove_dir_all(&path), std::fs::remove_file(&path));
        }
        std::fs::create_dir_all(self.path("usr/local/bin")).unwrap();
        let config = boot.user_data.strip_prefix("#cloud-config\n").expect("cloud-config");
        let config: serde_json::Value = serde_json::from_str(config).unwrap();
        let key = self.path("ssh/ssh_host_ed25519_key");
        std::fs::create_dir(self.path("ssh")).unwrap();
        write(&key, config["ssh_keys"]["ed25519_private"].as_str().unwrap(), 0o600);
        write(&key.with_extension("pub"), config["ssh_keys"]["ed25519_public"].as_str().unwrap(), 0o644);
        let ours = std::fs::read_to_string(self.sshd.key_path().with_extension("pub")).unwrap();
        let body = ours.split_whitespace().nth(1).unwrap();
        // The gate of EC2 knows only the name of a key pair.
        let mut keys = boot.ssh_keys.iter().filter(|key| key.starts_with("ssh-")).peekable();
        let known = keys.peek().is_none() || keys.any(|key| key.contains(body));
        assert!(known, "the machine does not know the user's key");
    }

    /// Ends the server process.
    pub(crate) fn off(&self) {
        let program = env!("CARGO_BIN_EXE_cloudron");
        let _ = Command::new(program).args(["box", "stop", "--root"]).arg(self.path("root")).output();
    }

    /// Returns the public half of the host key that the machine shows.
    pub(crate) fn host_key(&self) -> String {
        let text = std::fs::read_to_string(self.path("ssh/ssh_host_ed25519_key.pub")).unwrap();
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// Returns the commands since it booted.
    pub(crate) fn commands(&self) -> String {
        std::fs::read_to_string(self.path("commands")).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.off();
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
