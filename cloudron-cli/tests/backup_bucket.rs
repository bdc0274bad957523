//! `cloudron backup` into a bucket.

mod common;

use std::process::Command;

use cloudron_testkit::moto::Moto;
use cloudron_testkit::tinyproxy::Tinyproxy;
use cloudron_testkit::tls_front::{Authority, TlsFront};
use common::{FAST_KEY, Home, Run};

const SECRET: &str = "canary-secret-access-key";

/// Returns a home, and a service with a bucket called `bucket`.
fn prepared() -> Option<(Home, Moto)> {
    let moto = Moto::start()?;
    moto.request("s3", "PUT", "/bucket", &[], "");
    let home = Home::new();
    std::fs::write(home.path("key"), FAST_KEY).unwrap();
    std::fs::create_dir(home.path("files")).unwrap();
    std::fs::write(home.path("files/note"), "remember").unwrap();
    Some((home, moto))
}

fn run(home: &Home, moto: &Moto, arguments: &[&str]) -> Run {
    let endpoint = format!("s3={}", moto.endpoint());
    run_with(home, &[], &[arguments, &["--endpoint", &endpoint]].concat())
}

#[track_caller]
fn ok(home: &Home, moto: &Moto, arguments: &[&str]) -> String {
    let run = run(home, moto, arguments);
    assert_eq!(run.code, 0, "{arguments:?}: {}{}", run.stdout, run.stderr);
    run.stdout
}

#[test]
fn a_bucket_serves_like_a_folder() {
    let Some((home, moto)) = prepared() else { return };
    ok(&home, &moto, &["backup", "init"]);
    ok(&home, &moto, &["-vv", "backup", "create", "files"]);
    assert!(ok(&home, &moto, &["backup", "list"]).contains("/files"));
    ok(&home, &moto, &["backup", "restore", "latest", "--target", "t", "--compare"]);
    ok(&home, &moto, &["backup", "prune", "--keep-last", "1"]);
    ok(&home, &moto, &["backup", "verify", "--full"]);
    run(&home, &moto, &["backup", "list", "--store", "s3://nowhere/x"]).failed(3, "store-missing", "nowhere");
}

#[test]
fn rules_that_delete_by_age_are_refused_and_good_ones_are_set() {
    let Some((home, moto)) = prepared() else { return };
    ok(&home, &moto, &["backup", "init"]);
    let printed = ok(&home, &moto, &["policy", "lifecycle"]);
    assert!(printed.contains("AbortIncompleteMultipartUpload") && printed.contains("--apply"), "{printed}");
    ok(&home, &moto, &["policy", "lifecycle", "--apply"]);
    assert!(ok(&home, &moto, &["policy", "lifecycle"]).contains("The bucket has these rules."));
    ok(&home, &moto, &["backup", "create", "files"]);
    let rule = "<LifecycleConfiguration><Rule><ID>two days</ID><Filter><Prefix></Prefix></Filter>\
        <Status>Enabled</Status><Expiration><Days>2</Days></Expiration></Rule></LifecycleConfiguration>";
    moto.request("s3", "PUT", "/bucket?lifecycle", &[], rule);
    run(&home, &moto, &["policy", "lifecycle"]).failed(5, "lifecycle-harms", "two days");
    run(&home, &moto, &["backup", "create", "files"]).failed(5, "store-expires", "prune");
}

/// Returns a service behind TLS with a certificate for these hosts, signed by the authority in the home's
/// `ca.pem`.
fn behind_tls(home: &Home, moto: &Moto, hosts: &[&str]) -> TlsFront {
    let authority = Authority::default();
    std::fs::write(home.path("ca.pem"), authority.pem()).unwrap();
    let server = moto.endpoint().trim_start_matches("http://").parse().unwrap();
    TlsFront::start(&authority.identity(hosts), server)
}

fn run_with(home: &Home, environment: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command: Command = home.command();
    command
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("CLOUDRON_BACKUP_STORE", "s3://bucket/home")
        .env("CLOUDRON_BACKUP_KEY_FILE", home.path("key"))
        .envs(environment.iter().copied())
        .args(arguments);
    let run = Run::of(command.output().unwrap());
    assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET));
    assert!(!run.stdout.contains(Tinyproxy::PASSWORD) && !run.stderr.contains(Tinyproxy::PASSWORD));
    run
}

/// Backs up and restores, using the service selected by variables and options.
#[track_caller]
fn round_trip(home: &Home, environment: &[(&str, &str)], options: &[&str]) {
    for arguments in [
        &["backup", "init"][..],
        &["backup", "create", "files"],
        &["backup", "restore", "latest", "--target", "t", "--compare"],
        &["backup", "verify", "--full"],
    ] {
        let run = run_with(home, environment, &[arguments, options].concat());
        assert_eq!(run.code, 0, "{arguments:?}: {}{}", run.stdout, run.stderr);
    }
}

#[test]
fn amazons_own_address_is_reached_through_a_proxy_with_a_private_authority() {
    let Some((home, moto)) = prepared() else { return };
    let host = "bucket.s3.us-east-1.amazonaws.com";
    let front = behind_tls(&home, &moto, &[host]);
    let Some(proxy) = Tinyproxy::start(front.address()) else { return };
    let ca_file = home.path("ca.pem");
    let environment = [("HTTPS_PROXY", &*proxy.url()), ("SSL_CERT_FILE", ca_file.to_str().unwrap())];
    round_trip(&home, &environment, &[]);
    assert!(proxy.was_asked_for(&format!("{host}:443")));
    assert!(front.targets().iter().all(|target| target.starts_with(host)), "{:?}", front.targets());
}

#[test]
fn a_service_with_a_private_authority_is_trusted_by_an_option_and_no_other_one_is() {
    let Some((home, moto)) = prepared() else { return };
    let front = behind_tls(&home, &moto, &["localhost"]);
    let endpoint = format!("s3=https://localhost:{}", front.address().port());
    let bare = ["--endpoint", &*endpoint];
    round_trip(&home, &[], &[&bare[..], &["--ca-file", "ca.pem"]].concat());
    let ca_file = home.path("ca.pem");
    let list = [&["backup", "list"], &bare[..]].concat();
    for name in ["SSL_CERT_FILE", "AWS_CA_BUNDLE"] {
        let run = run_with(&home, &[(name, ca_file.to_str().unwrap())], &list);
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
    }
    std::fs::write(home.path("other.pem"), Authority::default().pem()).unwrap();
    let before = front.connections();
    run_with(&home, &[], &list).failed(4, "http-certificate", "SSL_CERT_FILE");
    let other = run_with(&home, &[], &[&list[..], &["--ca-file", "other.pem"]].concat());
    other.failed(4, "http-certificate", "localhost");
    // A permanent error is not retried.
    assert_eq!(front.connections() - before, 2);
    let none = run_with(&home, &[], &[&list[..], &["--ca-file", "none.pem"]].concat());
    none.failed(3, "file-missing", "none.pem");
}
