//! The setup that the tests share: a bare server, a laptop, and a machine created with both.

use std::path::Path;

use cloudron_e2e::{Cloudron, Run, Server};
use cloudron_testkit::tree;

/// The machine's domain in all tests; no name server is queried for it.
pub(crate) const DOMAIN: &str = "example.com";

/// The backup key in all tests, unless they use another one.
pub(crate) const BACKUP_KEY: &str = "kanari-backup-key-7f3a91";

/// The additional folder that the machine backs up.
pub(crate) const FILES: &str = "/srv/files";

/// The warning while only the machine itself has its backups.
pub(crate) const ONLY_COPY: &str = "the only copy of the backups is on the machine itself";

/// A laptop, and a server on which a machine may be created.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) laptop: Cloudron,
    pub(crate) backup_key: String,
}

impl Scene {
    /// Creates a bare server and a laptop without any machines.
    pub(crate) fn bare(name: &str) -> Self {
        let laptop = Cloudron::new();
        let backup_key = laptop.secret("backup-key", BACKUP_KEY);
        Self { server: Server::boot(name), laptop, backup_key }
    }

    /// Creates a machine that backs up [`FILES`], with about `bytes` of content.
    pub(crate) fn with_files(name: &str, bytes: u64) -> Self {
        let scene = Self::bare(name);
        scene.fill(bytes);
        scene.create(&["--include", FILES]);
        scene
    }

    /// Writes realistic files to [`FILES`], some with other owners.
    pub(crate) fn fill(&self, bytes: u64) {
        tree::generate(&self.server.path(FILES), 11, bytes).unwrap();
        self.server.exec_ok(&format!("chown -h -R 1234:2345 {FILES}/odd/names {FILES}/odd/links"));
    }

    /// Returns the arguments that create the machine, with `extra` ones. The address and host key are the server's
    /// unless `extra` contains others.
    pub(crate) fn create_arguments(&self, extra: &[&str]) -> Vec<String> {
        let key = self.server.key_path().display().to_string();
        let mut arguments: Vec<String> =
            ["machine", "create", "generic", "--fqdn", DOMAIN, "--yes"].map(Into::into).into();
        let defaults = [
            ("--dns", "none".to_owned()),
            ("--ip", self.server.ip()),
            ("--ssh-key", key),
            ("--host-key", self.server.host_key_fingerprint()),
            ("--backup-key", self.backup_key.clone()),
        ];
        for (option, value) in defaults {
            if !extra.contains(&option) {
                arguments.extend([option.into(), value]);
            }
        }
        arguments.extend(extra.iter().map(ToString::to_string));
        arguments
    }

    /// Tries to create the machine.
    pub(crate) fn try_create(&self, extra: &[&str]) -> Run {
        let arguments = self.create_arguments(extra);
        self.laptop.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Creates the machine.
    #[track_caller]
    pub(crate) fn create(&self, extra: &[&str]) -> Run {
        let run = self.try_create(extra);
        assert_eq!(run.code, 0, "{run}");
        run
    }

    /// Makes a backup and returns its ID, which is the only new one in the list.
    #[track_caller]
    pub(crate) fn back_up(&self) -> String {
        let before = self.laptop.backups(DOMAIN);
        self.laptop.ok(&["machine", "backup", "create", DOMAIN]);
        let mut new = self.laptop.backups(DOMAIN);
        new.retain(|id| !before.contains(id));
        assert_eq!(new.len(), 1, "one new backup in the list");
        new.remove(0)
    }

    /// Downloads the repository to `folder` of the laptop.
    #[track_caller]
    pub(crate) fn download_repository(&self, folder: &Path) {
        self.laptop.ok(&[
            "machine",
            "backup",
            "download",
            DOMAIN,
            "--repository",
            &folder.display().to_string(),
        ]);
    }

    /// Returns the traces of a machine on a server: empty if nothing was created.
    pub(crate) fn traces(&self) -> String {
        let look = "ls -d /usr/local/bin/cloudron* /usr/local/lib/cloudron* /var/lib/cloudron* /var/backups/cloudron* \
                    /etc/systemd/system/cloudron* /etc/cloudron* /run/cloudron* 2>/dev/null; \
                    getent passwd cloudron cloudron-backup cloudron-front; \
                    find /root /tmp /var/tmp /opt -name '*cloudron*'; true";
        self.server.exec_ok(look)
    }

    /// Returns whether any client ever logged in to the server by SSH.
    pub(crate) fn somebody_logged_in(&self) -> bool {
        self.server.exec_ok("journalctl --no-pager -u ssh").contains("Accepted ")
    }
}
