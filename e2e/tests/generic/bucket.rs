//! A server whose backups are in a bucket: they outlive it without a copy on the laptop.

use cloudron_e2e::{Server, available};
use cloudron_testkit::canary::{Canary, assert_none};
use cloudron_testkit::moto::Moto;
use cloudron_testkit::proxy::Proxy;

use super::scene::{DOMAIN, ONLY_COPY, Scene};

const OWNERS: &str = "kanari-owners-secret-31";
const WRITERS: &str = "kanari-writers-secret-32";

#[test]
fn a_machine_backs_up_into_a_bucket_is_lost_and_comes_back_from_it() {
    if !available() {
        return;
    }
    let Some(moto) = Moto::start() else { return };
    moto.request("s3", "PUT", "/bucket", &[], "");
    let mut scene = Scene::bare("bucket");
    // The server and the laptop reach it at the same address.
    let here = format!("{}:0", scene.server.gateway()).parse().unwrap();
    let service =
        Proxy::start_at(here, moto.endpoint().trim_start_matches("http://").parse().unwrap()).unwrap();
    scene.laptop.set("AWS_ENDPOINT_URL_S3", &format!("http://{}", service.address()));
    scene.laptop.set("AWS_ACCESS_KEY_ID", "owner");
    scene.laptop.set("AWS_SECRET_ACCESS_KEY", OWNERS);
    let writers = scene.laptop.secret("writer", WRITERS);
    let key = scene.laptop.place("id_ed25519").display().to_string();
    std::fs::copy(scene.server.key_path(), &key).unwrap();
    let bucket = ["--store", "s3://bucket/example", "--ssh-key", &key];
    let bucket =
        [&bucket[..], &["--writer-access-key-id", "writer", "--writer-secret-access-key", &writers]].concat();

    let run = scene.create(&bucket);
    assert!(!run.stderr.contains(ONLY_COPY), "{run}");
    scene.server.exec_ok("echo remember >/var/lib/cloudron/data/note");
    let backup = scene.back_up();
    let status = scene.laptop.ok(&["machine", "status", DOMAIN]);
    assert!(!status.stderr.contains(ONLY_COPY), "{status}");
    assert!(!scene.traces().contains("/var/backups"), "{}", scene.traces());
    // The server has credentials of its own, and none of the owner's.
    let canary = Canary::new().secret("owner's secret", OWNERS);
    for folder in ["/etc", "/root", "/run", "/var"] {
        assert_none(&canary.in_tree(&scene.server.path(folder)).unwrap());
    }

    scene.server = Server::boot("bucket-later");
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--forget", "--yes"]);
    let key = scene.server.key_path().display().to_string();
    let bucket: Vec<&str> =
        bucket.iter().map(|word| if word.ends_with("id_ed25519") { &key } else { *word }).collect();
    scene.create(&[&bucket[..], &["--backup", "latest"]].concat());
    assert_eq!(scene.server.exec_ok("cat /var/lib/cloudron/data/note"), "remember\n");
    assert_eq!(scene.laptop.backups(DOMAIN), [backup.as_str()]);
    scene.back_up();
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--delete-backups", "--yes"]);
    assert_eq!(scene.traces(), "");
    let left = moto.request("s3", "GET", "/bucket?list-type=2", &[], "");
    assert!(!left.contains("example/"), "{left}");
}
