//! Computers from which one person works on the machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cloudron_e2e::{Cloudron, Run, Running, until};
use cloudron_testkit::canary::{Canary, assert_none};
use cloudron_testkit::sshd;

use super::site::{BUCKET, DOMAIN, Site, TOKEN};

/// The folder that the machine backs up besides its own.
pub(crate) const FILES: &str = "/srv/files";
/// The secret of the owner's key for the bucket; at Amazon it is that of the account.
const OWNERS: &str = "canary0owner93b7d10f6a2e";
const WRITERS: &str = "canary0writer5e02c48d71fa";
const BACKUP_KEY: &str = "canary backup key 60f2 of the office";

/// A computer with a home of its own, the token, the keys, and nothing else.
pub(crate) struct Computer<'s> {
    pub(crate) program: Cloudron,
    site: &'s Site,
    /// The private key for machines.
    key: PathBuf,
    /// The options of the account at the cloud.
    account: Vec<String>,
    /// The options of login, backups and bucket.
    machine: Vec<String>,
}

/// Makes the key pair that all computers have.
pub(crate) fn ssh_key(folder: &Path) {
    sshd::keygen(&folder.join("id_ed25519"), "", "office");
}

impl<'s> Computer<'s> {
    /// Sets up a computer with the key pair of a folder.
    pub(crate) fn new(site: &'s Site, keys: &Path) -> Self {
        let program = Cloudron::new();
        let owner = |secret: &str| {
            let secret = program.secret("owner", secret);
            ["--access-key-id".into(), "owner".into(), "--secret-access-key".into(), secret]
        };
        let mut account = vec!["--endpoint".to_owned(), site.endpoint()];
        let mut machine = Vec::new();
        match site.provider() {
            "ec2" => {
                account.extend(["--endpoint".into(), format!("route53={}", site.amazon())]);
                account.extend(["--region".into(), "us-east-1".into()]);
                account.extend(owner(TOKEN));
                machine.extend(["--endpoint".into(), format!("s3={}", site.buckets())]);
            }
            _ => {
                account.extend(["--token".into(), program.secret("token", TOKEN)]);
                machine.extend(owner(OWNERS));
                let region = ["--backup-endpoint".into(), site.buckets()];
                machine.extend(region.into_iter().chain(["--backup-region", "us-east-1"].map(Into::into)));
            }
        }
        let key = keys.join("id_ed25519");
        let options = [
            ("--ssh-key", key.display().to_string()),
            ("--dns", "none".into()),
            ("--include", FILES.into()),
            ("--backup-key", program.secret("backup-key", BACKUP_KEY)),
            ("--backup-bucket", BUCKET.into()),
            ("--server-access-key-id", "writer".into()),
            ("--server-secret-access-key", program.secret("writer", WRITERS)),
        ];
        machine.extend(options.into_iter().flat_map(|(option, value)| [option.into(), value]));
        Self { program, site, key, account, machine }
    }

    fn creating(&self, more: &[&str]) -> Vec<String> {
        let mut words: Vec<String> =
            ["machine", "create", self.site.provider(), "--fqdn", DOMAIN, "--yes"].map(Into::into).into();
        words.extend(self.account.iter().chain(&self.machine).cloned());
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words
    }

    fn destroying(&self, more: &[&str]) -> Vec<String> {
        let mut words: Vec<String> = ["machine", "destroy", DOMAIN, "--yes"].map(Into::into).into();
        words.extend(self.account.iter().cloned());
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words
    }

    /// Creates the machine.
    #[track_caller]
    pub(crate) fn create(&self, more: &[&str]) -> Run {
        self.program.ok(&words(&self.creating(more)))
    }

    /// Starts to create the machine, and kills the program when a step has begun.
    #[track_caller]
    pub(crate) fn create_until(&self, step: &str) {
        let mut running = self.program.spawn(&words(&self.creating(&[])));
        let begun = format!("\"kind\":\"intent\",\"step\":\"{step}\"");
        let journal = self.program.home().join(".local/state");
        wait_for(&format!("{step} has begun"), &mut running, || contains(&journal, &begun));
        assert_eq!(running.kill().code, -1, "{step}: it was killed");
    }

    /// Destroys the machine, on a computer that knows it.
    #[track_caller]
    pub(crate) fn destroy(&self, more: &[&str]) -> Run {
        self.program.ok(&words(&self.destroying(more)))
    }

    /// Destroys the machine, on a computer that never saw it. With the key, it looks whether a disk has the only backups.
    #[track_caller]
    pub(crate) fn destroy_remains(&self) -> Run {
        let key = self.key.display().to_string();
        self.destroy(&["--provider", self.site.provider(), "--ssh-key", &key])
    }

    /// Starts to destroy the machine, and kills the program as soon as the cloud has destroyed the server.
    #[track_caller]
    pub(crate) fn destroy_half(&self) {
        let mut running = self.program.spawn(&words(&self.destroying(&[])));
        wait_for("the server is gone", &mut running, || self.site.datacenter.servers().is_empty());
        assert_eq!(running.kill().code, -1, "it was killed");
    }

    /// Asserts that no secret is in the home folder, or was printed.
    #[track_caller]
    pub(crate) fn assert_silent(&self) {
        assert_none(&self.program.leaks(&canary().secret("writer's secret", WRITERS)));
    }
}

/// Returns the secrets that no server may ever see.
pub(crate) fn canary() -> Canary {
    Canary::new().secret("token", TOKEN).secret("owner's secret", OWNERS).secret("backup key", BACKUP_KEY)
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[track_caller]
fn wait_for(what: &str, running: &mut Running<'_>, so: impl Fn() -> bool) {
    until(what, Duration::from_secs(120), || {
        if so() {
            return Some(());
        }
        assert!(running.runs(), "{what}: it ended before");
        None
    });
}

/// Returns whether a file below a folder contains a text.
fn contains(folder: &Path, text: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().map(|entry| entry.path()).any(|path| match path.is_dir() {
        true => contains(&path, text),
        false => std::fs::read_to_string(path).is_ok_and(|content| content.contains(text)),
    })
}
