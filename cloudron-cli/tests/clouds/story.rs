//! A machine's whole life, by the program and from several computers.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::{Bench, FQDN, TOKEN, private, run};
use crate::common::{Home, Run};

/// Starts the creation, and kills the program as soon as the cloud has a server.
fn kill_in_the_middle(bench: &Bench, home: &Home) {
    let log = std::fs::File::create(home.path("killed.log")).unwrap();
    let mut process = home.command();
    process.args(bench.creating(&[])).stdout(Stdio::null()).stderr(log);
    let mut process = process.spawn().unwrap();
    let begun = Instant::now();
    while bench.cloud.objects("servers").is_empty() {
        let said = || std::fs::read_to_string(home.path("killed.log")).unwrap();
        assert!(process.try_wait().unwrap().is_none(), "it ended by itself: {}", said());
        assert!(begun.elapsed() < Duration::from_secs(60), "no server was made: {}", said());
        std::thread::sleep(Duration::from_millis(5));
    }
    process.kill().unwrap();
    assert_eq!(process.wait().unwrap().signal(), Some(9));
}

fn listed(bench: &Bench, home: &Home) -> Value {
    let list = bench.run(home, &["machine", "list", "--provider", "hetzner", "--output", "json"]).ok();
    serde_json::from_str::<Value>(&list).unwrap()["machines"].clone()
}

/// Checks that no file below a folder contains a text.
fn nowhere_below(folder: &Path, secret: &str, but: &[&Path]) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() && !entry.is_symlink() {
            nowhere_below(&entry, secret, but);
        } else if entry.is_file() && !but.contains(&entry.as_path()) {
            let content = std::fs::read(&entry).unwrap();
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} contains the secret", entry.display());
        }
    }
}

fn says_nothing_secret(run: &Run) {
    assert!(!run.stdout.contains(TOKEN) && !run.stderr.contains(TOKEN), "{}\n{}", run.stdout, run.stderr);
}

#[test]
fn a_machine_is_begun_here_finished_there_and_destroyed_anywhere() {
    let Some(bench) = Bench::new() else { return };
    let (first, second, third) = (bench.home(), bench.home(), bench.home());
    kill_in_the_middle(&bench, &first);
    let said = std::fs::read_to_string(first.path("killed.log")).unwrap();
    assert!(!said.contains(TOKEN), "{said}");

    // Another computer sees it, and is told what can be done.
    let list = bench.run(&second, &["machine", "list", "--provider", "hetzner"]);
    assert!(list.stdout.contains(FQDN) && list.stdout.contains("fsn1"), "{}", list.stdout);
    assert!(
        list.stderr.contains("`cloudron machine destroy example.com --provider hetzner`"),
        "{}",
        list.stderr
    );
    assert_eq!(listed(&bench, &first)[0]["recorded"], "unfinished");

    let created = bench.create(&second, &["--resume"]);
    says_nothing_secret(&created);
    assert!(created.ok().contains("Cloudron created with:"));
    assert_eq!(bench.cloud.resources().len(), 3, "{:?}", bench.cloud.resources());
    assert_eq!(listed(&bench, &second)[0]["recorded"], "yes");
    let known = second.ok(&["machine", "list"]);
    assert!(known.contains("hetzner") && known.contains("running"), "{known}");
    second.ok(&["machine", "status", FQDN]);
    let id = second.ok(&["machine", "backup", "create", FQDN]);
    assert!(second.ok(&["machine", "backup", "list", FQDN]).contains(id.trim()));

    // A third one manages it as well.
    let adopt = ["machine", "adopt", FQDN, "--provider", "hetzner"].map(str::to_owned);
    let adopt: Vec<String> = adopt.into_iter().chain(bench.account()).chain(bench.login()).collect();
    assert!(run(&third, &adopt).ok().contains("Adopted"));
    third.ok(&["machine", "status", FQDN]);
    assert_eq!(listed(&bench, &third)[0]["recorded"], "yes");

    // The only backups are on its disk.
    let destroy = ["machine", "destroy", FQDN, "--yes"];
    bench.run(&second, &destroy).failed(5, "backups-on-machine", "`cloudron machine backup download");
    assert_eq!(bench.cloud.objects("servers").len(), 1);
    let without = second.run(&destroy);
    without.failed(4, "cloud-credentials", "HCLOUD_TOKEN");
    let gone = bench.run(&second, &[&destroy[..], &["--delete-backups"]].concat());
    says_nothing_secret(&gone);
    let gone = gone.ok();
    assert!(gone.contains("example.com was destroyed") && gone.contains("server my.example.com"), "{gone}");
    assert!(bench.cloud.resources().is_empty(), "{:?}", bench.cloud.resources());

    // Again, here and on a computer that still knows it.
    let again = bench.run(&second, &[&destroy[..], &["--provider", "hetzner"]].concat());
    again.failed(3, "machine-unknown", "hetzner");
    bench.run(&third, &destroy).failed(3, "machine-not-in-account", "--forget");
    third.ok(&["machine", "destroy", FQDN, "--forget", "--yes"]);
    assert_eq!(listed(&bench, &second), serde_json::json!([]));

    for home in [&first, &second, &third] {
        nowhere_below(home.dir(), TOKEN, &[&home.path("token")]);
    }
    nowhere_below(&bench.machine.path(""), TOKEN, &[]);
    assert!(bench.cloud.user_data().iter().all(|data| !data.contains(TOKEN)));
}

#[test]
fn a_machine_that_was_begun_elsewhere_is_destroyed_by_a_computer_that_never_saw_it() {
    let Some(bench) = Bench::new() else { return };
    let (first, second) = (bench.home(), bench.home());
    kill_in_the_middle(&bench, &first);
    let destroy = ["machine", "destroy", FQDN, "--provider", "hetzner", "--keep-dns", "--yes"];
    let plain = bench.run(&second, &["machine", "destroy", FQDN, "--yes"]);
    plain.failed(3, "machine-unknown", "--provider");
    let gone = bench.run(&second, &[&destroy[..], &["--output", "json"]].concat()).ok();
    let gone: Value = serde_json::from_str(&gone).unwrap();
    assert_eq!(gone["machines"][0]["removed"].as_array().unwrap().len(), 3, "{gone}");
    assert!(bench.cloud.resources().is_empty(), "{:?}", bench.cloud.resources());
    bench.run(&second, &destroy).failed(3, "machine-unknown", "hetzner");
    // The first computer has the journal of a run whose machine is gone.
    bench.run(&first, &["machine", "destroy", FQDN, "--yes"]).ok();
    assert!(first.ok(&["machine", "list"]).contains("No machines"));
}

#[test]
fn a_wrong_token_is_said_to_be_wrong_by_every_command_and_is_shown_by_none() {
    let Some(bench) = Bench::new() else { return };
    let home = bench.home();
    private(&home, "token", "canarywrong");
    for words in [
        "machine regions hetzner",
        "machine sizes hetzner --region fsn1",
        "machine list --provider hetzner",
        "machine destroy example.com --provider hetzner --yes",
        "machine adopt example.com --provider hetzner",
        "cost hetzner",
    ] {
        let refused = bench.run(&home, &words.split(' ').collect::<Vec<_>>());
        refused.failed(4, "cloud-credentials", "--token");
        assert!(!refused.stderr.contains("canarywrong"), "{words}: {}", refused.stderr);
    }
    bench.create(&home, &[]).failed(4, "cloud-credentials", "--token");
    assert!(home.ok(&["machine", "list"]).contains("No machines"), "an unfinished run is left");
}

#[test]
fn a_token_on_the_command_line_is_warned_of() {
    let Some(bench) = Bench::new() else { return };
    let home = bench.home();
    let words = ["machine", "regions", "hetzner", "--token", TOKEN, "--endpoint", bench.cloud.endpoint()];
    let run = home.run(&words);
    assert!(run.stderr.contains("--token is visible in the process list"), "{}", run.stderr);
    assert!(!run.stderr.contains(TOKEN));
    run.ok();
    let mut command = home.command();
    command.env("HCLOUD_TOKEN", TOKEN).args([
        "machine",
        "regions",
        "hetzner",
        "--endpoint",
        bench.cloud.endpoint(),
    ]);
    let run = Run::of(command.output().unwrap());
    assert!(!run.stderr.contains("visible"), "{}", run.stderr);
    run.ok();
}
