//! A machine that boots with user-data: an SSH server in this process, whose commands run in a folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};

use cloudron_testkit::clouds::hetzner::Boot;
use cloudron_testkit::ssh_double::{Ending, Reply, SshDouble};

const FACTS: &str = "kernel=Linux\nmachine=x86_64\nuid=0\nboot_id=b\nsystemd=yes\ncloud_init=yes\n\
                     free_root=9000000\nfree_var=9000000\nos=Debian GNU/Linux 12 (bookworm)\n";

/// Ends a process at one of the calls that it makes.
#[derive(Default)]
pub(crate) struct Stop {
    at: AtomicUsize,
    seen: AtomicUsize,
    after: AtomicBool,
    dead: Mutex<Option<mpsc::Sender<()>>>,
}

/// Where a call is, seen from the end of its process.
#[derive(PartialEq, Eq, Clone, Copy)]
pub(crate) enum Reached {
    /// The process lives on.
    Alive,
    /// It ends before the call has an effect.
    Before,
    /// It ends after the effect, before the answer.
    After,
}

impl Stop {
    /// Ends the next process at that call, from 1; 0 is never.
    pub(crate) fn arm(&self, at: usize, after: bool) -> mpsc::Receiver<()> {
        let (sender, receiver) = mpsc::channel();
        *self.dead.lock().unwrap() = Some(sender);
        self.at.store(at, Ordering::SeqCst);
        self.after.store(after, Ordering::SeqCst);
        self.seen.store(0, Ordering::SeqCst);
        receiver
    }

    pub(crate) fn reach(&self) -> Reached {
        let (number, at) = (self.seen.fetch_add(1, Ordering::SeqCst) + 1, self.at.load(Ordering::SeqCst));
        match at {
            0 => Reached::Alive,
            at if number < at => Reached::Alive,
            at if number == at && self.after.load(Ordering::SeqCst) => Reached::After,
            _ => Reached::Before,
        }
    }

    pub(crate) fn die(&self) {
        if let Some(sender) = &*self.dead.lock().unwrap() {
            let _ = sender.send(());
        }
    }
}

/// The machine. There is one, which is set up anew with each server.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    ssh: OnceLock<SshDouble>,
    stop: Arc<Stop>,
    /// The commands that were run.
    pub(crate) commands: Mutex<Vec<String>>,
    /// True if the machine shows another key than that of its user-data.
    pub(crate) impostor: AtomicBool,
}

impl Machine {
    pub(crate) fn start(stop: Arc<Stop>) -> Arc<Self> {
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

    pub(crate) fn ssh(&self) -> &SshDouble {
        self.ssh.get().unwrap()
    }

    fn etc(&self) -> PathBuf {
        self.folder.path().join("ssh")
    }

    /// The first boot: cloud-init writes the host key.
    pub(crate) fn boot(&self, boot: &Boot) {
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
    pub(crate) fn restart(&self) {
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
