//! `cloudron backup` into a bucket.

mod common;

use std::process::Command;

use cloudron_testkit::moto::Moto;
use common::{FAST_KEY, Home, Run};

const SECRET: &str = "canary-secret-access-key";

/// A home, and a service with a bucket called `bucket`.
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
    let mut command: Command = home.command();
    command
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("CLOUDRON_BACKUP_STORE", "s3://bucket/home")
        .env("CLOUDRON_BACKUP_KEY_FILE", home.path("key"))
        .args(arguments)
        .args(["--endpoint", &format!("s3={}", moto.endpoint())]);
    let run = Run::of(command.output().unwrap());
    assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET));
    run
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
