//! Invalid input is refused before any call.

use cloudron_testkit::clouds::Boot;
use cloudron_testkit::clouds::hetzner::Hetzner;

use crate::bench::{TOKEN, private};
use crate::common::Home;

/// A command, and the exit code, code and message of its refusal. The program's own parser has no codes.
type Row = (&'static str, i32, &'static str, &'static str);

const CREATE: &str = "machine create hetzner --fqdn example.com --ssh-key ./k --dns none";

#[test]
fn options_that_are_wrong_missing_or_contradict_are_refused_before_any_call() {
    let (home, cloud) = (Home::new(), Hetzner::start(TOKEN, |_: &Boot| std::net::Ipv4Addr::LOCALHOST));
    private(&home, "token", TOKEN);
    private(&home, "empty", "");
    let key = home.path("k");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    for (more, exit, code, text) in ROWS {
        let words: Vec<&str> = match more.strip_prefix("! ") {
            Some(whole) => whole.split(' ').collect(),
            None => CREATE.split(' ').chain(more.split(' ')).chain(["--token", "file:token"]).collect(),
        };
        let words = [&words[..], &["--endpoint", cloud.endpoint()]].concat();
        let run = home.run(&words);
        if code.is_empty() {
            assert_eq!(run.code, *exit, "{words:?}: {}", run.stderr);
            assert!(run.stderr.contains(text) && run.stdout.is_empty(), "{words:?}: {}", run.stderr);
        } else {
            run.failed(*exit, code, text);
        }
        assert!(!run.stderr.contains(TOKEN), "{words:?}: {}", run.stderr);
    }
    assert_eq!(cloud.take_calls(), [], "something was sent");
    assert!(!home.path(".local/state/cloudron/runs").exists(), "a run was begun");
}

/// What is added to [`CREATE`] and an account, or with `!` the whole command.
const ROWS: &[Row] = &[
    ("--disk-size 30", 2, "cloud-settings", "disk size"),
    ("--disk-size 0", 2, "", "--disk-size"),
    ("--disk-size many", 2, "", "--disk-size"),
    ("--reserved-ip", 2, "cloud-settings", "reserved address"),
    ("--elastic-ip", 2, "cloud-settings", "reserved address"),
    ("--subnet subnet-1", 2, "", "--security-group"),
    ("--security-group sg-1", 2, "", "--subnet"),
    ("--subnet subnet-1 --security-group sg-1", 2, "cloud-settings", "subnet"),
    ("--instance-profile p", 2, "cloud-settings", "instance profile"),
    ("--network --subnet subnet-1 --security-group sg-1", 2, "", "--network"),
    ("--type CX/23", 2, "cloud-settings", "CX/23"),
    ("--location ../etc", 2, "cloud-settings", "../etc"),
    ("--image a;b", 2, "cloud-settings", "a;b"),
    ("--access-key-id AKIA1", 2, "", "--secret-access-key"),
    ("--secret-access-key file:k", 2, "", "--access-key-id"),
    ("--access-key-id AKIA1 --secret-access-key file:k", 2, "usage", "--access-key-id means nothing"),
    ("--backup-endpoint https://s3.example.net", 2, "", "--backup-bucket"),
    ("--backup-region eu-west-1", 2, "", "--backup-bucket"),
    ("--backup-bucket backups", 2, "store-option", "no credentials for the store"),
    ("--backup-bucket b", 2, "store-url", "3 to 63"),
    (
        "--backup-bucket backups --access-key-id AKIA1 --secret-access-key file:token",
        2,
        "usage",
        "credentials of its own",
    ),
    ("--server-access-key-id AKIA1", 2, "", "secret-access-key"),
    ("--server-secret-access-key file:k", 2, "", "access-key-id"),
    (
        "--server-access-key-id AKIA1 --server-secret-access-key file:k",
        2,
        "usage",
        "mean nothing to a folder",
    ),
    ("--dns-token file:token", 2, "usage", "--dns-token means nothing"),
    ("--endpoint nonsense", 2, "usage", "nonsense"),
    ("--endpoint ec2=https://ec2.example.net", 2, "usage", "it has: hetzner, dns, s3"),
    ("--backup-key -", 2, "secret-ref", "empty"),
    ("--fqdn example.org", 2, "", "--fqdn"),
    ("--allow-subdomain --connect-timeout 0", 2, "", "--connect-timeout"),
    ("--ssh-port 0", 2, "", "--ssh-port"),
    (
        "! machine create hetzner --fqdn example.com --ssh-key ./k --dns carrier-pigeon",
        2,
        "",
        "expected own, none",
    ),
    ("! machine create hetzner --fqdn example.com --ssh-key ./k --dns rfc2136", 2, "", "expected own, none"),
    ("! machine create hetzner --fqdn example.com --token file:token", 2, "", "--ssh-key"),
    (
        "! machine create hetzner --fqdn example.com --ssh-key nowhere --token file:token",
        3,
        "ssh-key-missing",
        "nowhere",
    ),
    (
        "! machine create hetzner --fqdn cloudron.example.com --ssh-key ./k --token file:token",
        2,
        "domain-sublevel",
        "--allow-subdomain",
    ),
    ("! machine create hetzner --fqdn example.com --ssh-key ./k", 4, "cloud-credentials", "HCLOUD_TOKEN"),
    (
        "! machine create hetzner --fqdn example.com --ssh-key ./k --token file:nowhere",
        3,
        "file-missing",
        "nowhere",
    ),
    (
        "! machine create hetzner --fqdn example.com --ssh-key ./k --token file:empty",
        2,
        "secret-ref",
        "empty",
    ),
    (
        "! machine create hetzner --fqdn example.com --ssh-key ./k --token - --backup-key -",
        2,
        "usage",
        "only one secret",
    ),
    ("! machine create nimbus --fqdn example.com", 2, "", "nimbus"),
    ("! machine regions nimbus", 2, "", "nimbus"),
    ("! machine regions hetzner", 4, "cloud-credentials", "HCLOUD_TOKEN"),
    ("! machine sizes hetzner --token file:token", 2, "usage", "--region"),
    ("! machine list --provider nimbus", 2, "", "nimbus"),
    ("! machine list --provider hetzner --offline", 2, "", "--offline"),
    ("! machine list --token file:token", 2, "usage", "--provider"),
    ("! machine destroy example.com --provider hetzner", 4, "cloud-credentials", "HCLOUD_TOKEN"),
    ("! machine adopt example.com --provider hetzner --ip 192.0.2.1", 2, "", "--ip"),
    ("! machine adopt example.com --token file:token", 2, "usage", "--provider"),
    ("! machine backup list example.com --provider hetzner", 2, "", "--backup-bucket"),
    ("! machine backup list example.com --store s3://b/p --backup-bucket backups", 2, "", "--backup-bucket"),
    ("! cost nimbus", 2, "", "nimbus"),
    ("! cost hetzner --token file:token --disk-size 30", 2, "cloud-settings", "disk size"),
];
