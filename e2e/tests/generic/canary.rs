//! Secrets do not leak.

use cloudron_e2e::{Cloudron, Server, available};
use cloudron_testkit::canary::{Canary, assert_none};

use super::scene::{BACKUP_KEY, DOMAIN, FILES, Scene};

const PASSWORD: &str = "kanari-Passwort/42+x";
const PASSPHRASE: &str = "kanari-passphrase ö 99";

#[test]
fn no_secret_is_in_any_file_log_argument_environment_or_output() {
    if !available() {
        return;
    }
    let canary = Canary::new()
        .secret("backup key", BACKUP_KEY)
        .secret("admin password", PASSWORD)
        .secret("SSH passphrase", PASSPHRASE);
    let scene = Scene::bare("canary");
    // Made before processes are watched: ssh-keygen takes the passphrase as an argument.
    let ssh_key = scene.server.add_key("locked", PASSPHRASE).display().to_string();
    let ((), leaks) = canary.while_watching_processes(|| whole_life(&scene, &ssh_key));
    assert_none(&leaks);
    assert_none(&scene.laptop.leaks(&canary));
    on_server(&scene.server, &canary);
}

/// Creates, sets up, backs up, downloads and verifies, with every secret in use.
fn whole_life(first: &Scene, ssh_key: &str) {
    let password = first.laptop.secret("password", PASSWORD);
    first.fill(1_000_000);
    let extra = [
        "--include",
        FILES,
        "--admin-email",
        "admin@example.com",
        "--admin-password",
        &password,
        "--ssh-key",
        ssh_key,
    ];
    let arguments = first.create_arguments(&extra);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let on_terminal = |arguments: &[&str]| {
        let run = first.laptop.run_on_terminal("assphrase", PASSPHRASE, arguments);
        assert_eq!(run.code, 0, "{run}");
    };
    on_terminal(&arguments);
    let tar = first.laptop.place("x.tar").display().to_string();
    on_terminal(&["machine", "backup", "create", DOMAIN, "-v", "-v"]);
    on_terminal(&[
        "machine",
        "backup",
        "download",
        DOMAIN,
        "--decrypt",
        "-o",
        &tar,
        "--backup-key",
        &first.backup_key,
    ]);
    on_terminal(&["machine", "logs", DOMAIN]);
    on_terminal(&["machine", "eventlog", DOMAIN]);
    on_terminal(&["machine", "backup", "verify", DOMAIN, "--full", "--backup-key", &first.backup_key]);
}

/// Searches the whole disk of the server, its memory file systems and its journal.
fn on_server(server: &Server, canary: &Canary) {
    for folder in ["/", "/run", "/tmp"] {
        assert_none(&canary.in_tree(&server.path(folder)).unwrap());
    }
    assert_none(
        &canary
            .in_bytes("the server's journal", server.exec_ok("journalctl --no-pager -o export").as_bytes()),
    );
}

#[test]
fn the_canary_would_be_seen_on_the_server_and_the_laptop() {
    if !available() {
        return;
    }
    // A different secret, since the test above may be running at the same time.
    let secret = "kanari-to-be-seen-5151";
    let canary = Canary::new().secret("secret", secret);
    let server = Server::boot("seen");
    server.exec_ok(&format!("mkdir -p /opt/x && printf %s {secret} | base64 >/opt/x/file"));
    assert_eq!(canary.in_tree(&server.path("/")).unwrap().len(), 1);
    let of_the_image = Canary::new().secret("name", "Debian GNU/Linux 12 (bookworm)");
    assert!(
        !of_the_image.in_tree(&server.path("/usr/lib")).unwrap().is_empty(),
        "files of the image are read, too"
    );
    let laptop = Cloudron::new();
    std::fs::write(laptop.home().join("note"), secret).unwrap();
    assert_eq!(laptop.leaks(&canary).len(), 1);
    let (_, leaks) =
        canary.while_watching_processes(|| server.exec(&format!("sh -c 'sleep 0.3; true' {secret}")));
    assert!(
        leaks.iter().any(|leak| leak.place.ends_with("(sh)")),
        "a process on the server is seen from here: {leaks:?}"
    );
}
