//! A cloud with a machine that boots, and computers on which the program runs.

use std::net::Ipv4Addr;
use std::sync::Arc;

use cloudron_testkit::clouds::Boot;
use cloudron_testkit::clouds::hetzner::Hetzner;

use crate::common::{Home, Run};
use crate::machine::Machine;

pub(crate) const FQDN: &str = "example.com";
/// The token. No file and no output may contain it.
pub(crate) const TOKEN: &str = "canarytoken0e6c2f1a9b7d4c3e";

pub(crate) struct Bench {
    pub(crate) cloud: Hetzner,
    pub(crate) machine: Arc<Machine>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The double keeps the machine, whose server would outlive the test.
        self.machine.off();
    }
}

impl Bench {
    /// Starts the cloud. None if OpenSSH is not installed.
    pub(crate) fn new() -> Option<Self> {
        let machine = Arc::new(Machine::start()?);
        let theirs = machine.clone();
        let cloud = Hetzner::start(TOKEN, move |boot: &Boot| {
            theirs.boot(boot);
            Ipv4Addr::LOCALHOST
        });
        Some(Self { cloud, machine })
    }

    /// Returns another computer, which has the token, the backup key and the SSH key.
    pub(crate) fn home(&self) -> Home {
        let home = Home::new();
        private(&home, "token", TOKEN);
        let key = std::fs::read_to_string(self.machine.sshd().key_path()).unwrap();
        private(&home, "ssh_key", &key);
        home
    }

    /// Returns the options of an account.
    pub(crate) fn account(&self) -> [String; 4] {
        ["--token", "file:token", "--endpoint", self.cloud.endpoint()].map(str::to_owned)
    }

    /// Returns the options of a login.
    pub(crate) fn login(&self) -> [String; 6] {
        let (user, port) = (self.machine.sshd().user(), self.machine.sshd().port().to_string());
        ["--ssh-key", "./ssh_key", "--ssh-user", &user, "--ssh-port", &port].map(str::to_owned)
    }

    /// Returns the command that creates the machine.
    pub(crate) fn creating(&self, more: &[&str]) -> Vec<String> {
        let begin =
            ["machine", "create", "hetzner", "--fqdn", FQDN, "--backup-key", "file:key", "--dns", "none"];
        let words = begin.into_iter().chain(["--keep-ssh-port"]).map(str::to_owned);
        let words = words.chain(self.account()).chain(self.login());
        words.chain(more.iter().map(|word| (*word).to_owned())).collect()
    }

    pub(crate) fn create(&self, home: &Home, more: &[&str]) -> Run {
        run(home, &self.creating(more))
    }

    /// Runs a command with the options of the account.
    pub(crate) fn run(&self, home: &Home, words: &[&str]) -> Run {
        let words = words.iter().map(|word| (*word).to_owned()).chain(self.account());
        run(home, &words.collect::<Vec<_>>())
    }
}

pub(crate) fn run(home: &Home, words: &[String]) -> Run {
    home.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Writes a file that nobody else may read.
pub(crate) fn private(home: &Home, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(home.path(name), text).unwrap();
    std::fs::set_permissions(home.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl Run {
    /// Checks that the run succeeded. Returns its output.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }
}
