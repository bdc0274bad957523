//! A machine that boots with user-data: an SSH server in this process, whose commands run in a folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use cloudron_testkit::clouds::Boot;
use cloudron_testkit::ssh_double::{Ending, Reply, SshDouble};

use super::process::{Reached, Stop};

const FACTS: &str = "kernel=Linux\nmachine=x86_64\nuid=0\nboot_id=b\nsystemd=yes\ncloud_init=yes\n\
                     free_root=9000000\nfree_var=9000000\nos=Debian GNU/Linux 12 (bookworm)\n";

/// The machine. There is one, which is set up anew with each server.
pub struct Machine {
    folder: tempfile::TempDir,
    ssh: OnceLock<SshDouble>,
    stop: Arc<Stop>,
    /// The commands that were run.
    pub commands: Mutex<Vec<String>>,
    /// True if the machine shows another key than that of its user-data.
    pub impostor: AtomicBool,
}

impl Machine {
    pub fn start(stop: Arc<Stop>) -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        let systemctl = folder.path().join("bin/systemctl");
        std::fs::write(&systemctl, format!("#!/bin/sh\ntouch {}/reloaded\n", folder.path().display()))
            .unwrap();
        set_mode(&systemctl, 0o755);
        let (commands, impostor) = (Mutex::default(), AtomicBool::new(false));
        let machine = Arc::new(Self { folder, ssh: OnceLock::new(), stop, commands, impostor });
        let theirs = Arc::downgrade(&machine);
        let double = SshDouble::start(move |command| match theirs.upgrade() {
            Some(machine) => machine.answer(command),
            None => Reply::default(),
        });
        assert!(machine.ssh.set(double).is_ok());
        machine
    }

    pub fn ssh(&self) -> &SshDouble {
        self.ssh.get().unwrap()
    }

    fn etc(&self) -> PathBuf {
        self.folder.path().join("ssh")
    }

    /// The first boot: cloud-init writes the host key.
    pub fn boot(&self, boot: &Boot) {
        let config = boot.user_data.strip_prefix("#cloud-config\n").expect("cloud-config");
        let config: serde_json::Value = serde_json::from_str(config).unwrap();
        let _ = std::fs::remove_dir_all(self.etc());
        std::fs::create_dir(self.etc()).unwrap();
        let key = self.etc().join("ssh_host_ed25519_key");
        std::fs::write(&key, config["ssh_keys"]["ed25519_private"].as_str().unwrap()).unwrap();
        set_mode(&key, 0o600);
        std::fs::write(key.with_extension("pub"), config["ssh_keys"]["ed25519_public"].as_str().unwrap())
            .unwrap();
        self.commands.lock().unwrap().clear();
        if !self.impostor.load(Ordering::SeqCst) {
            self.restart();
        }
    }

    /// Restarts the SSH server, which reads its key.
    pub fn restart(&self) {
        let key = std::fs::read_to_string(self.etc().join("ssh_host_ed25519_key")).unwrap();
        self.ssh().set_host_key(&key);
    }

    fn answer(&self, command: &str) -> Reply {
        let reached = self.stop.reach();
        if reached == Reached::Before {
            self.stop.die();
            return Reply::default().ending(Ending::Never);
        }
        self.commands.lock().unwrap().push(command.to_owned());
        let reply = self.run(command);
        if reached == Reached::After {
            self.stop.die();
            return Reply::default().ending(Ending::Never);
        }
        reply
    }

    fn run(&self, command: &str) -> Reply {
        // Whoever is not root asks for it; in the folder nobody needs it.
        let command = command.strip_prefix("sudo -n -- ").unwrap_or(command);
        if command.contains("free_root") {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            return Reply::out(format!("{FACTS}clock={now}\n")).exit(0);
        }
        if command.starts_with("cloud-init") {
            return Reply::out("status: done\n").exit(0);
        }
        let path = format!("{}:{}", self.folder.path().join("bin").display(), std::env::var("PATH").unwrap());
        let line = command.replace("/etc/ssh", self.etc().to_str().unwrap());
        let output = Command::new("sh").args(["-c", &line]).env("PATH", path).output().unwrap();
        let reloaded = self.folder.path().join("reloaded");
        if reloaded.exists() {
            std::fs::remove_file(reloaded).unwrap();
            self.restart();
        }
        let status = output.status.code().unwrap_or(255);
        Reply::out(output.stdout).err(output.stderr).exit(status.unsigned_abs())
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
