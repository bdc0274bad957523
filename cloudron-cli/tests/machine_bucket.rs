//! A machine with backups in a bucket, where the server's own credentials cannot delete.

mod common;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::response::IntoResponse;
use cloudron_http::{HttpTransport, ReqwestTransport};
use cloudron_testkit::canary::{Canary, assert_none};
use cloudron_testkit::moto::Moto;
use cloudron_testkit::tls_front::{Authority, TlsFront};
use common::{FAST_KEY, Home, Run};
use http::StatusCode;
use tokio::runtime::Runtime;

const DEMO: &str = "demo.localhost";
const STORE: &str = "s3://bucket/demo";
const SECRET: &str = "canary-owners-secret";
const WRITERS: &str = "canary-writers-secret";

/// Returns a home, and a service with a bucket called `bucket`.
fn prepared() -> Option<(Home, Moto)> {
    let moto = Moto::start()?;
    moto.request("s3", "PUT", "/bucket", &[], "");
    let home = Home::new();
    std::fs::write(home.path("key"), FAST_KEY).unwrap();
    std::fs::write(home.path("writer"), WRITERS).unwrap();
    Some((home, moto))
}

fn run(home: &Home, moto: &Moto, arguments: &[&str]) -> Run {
    run_at(home, &moto.endpoint(), arguments)
}

fn run_at(home: &Home, endpoint: &str, arguments: &[&str]) -> Run {
    let mut command = home.command();
    command
        .env("AWS_ACCESS_KEY_ID", "owner")
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_ENDPOINT_URL_S3", endpoint)
        .args(arguments);
    let run = Run::of(command.output().unwrap());
    let canary = Canary::new().secret("owner's secret", SECRET).secret("writer's secret", WRITERS);
    assert_none(&canary.in_bytes("output", format!("{}{}", run.stdout, run.stderr).as_bytes()));
    run
}

#[track_caller]
fn ok(home: &Home, moto: &Moto, arguments: &[&str]) -> Run {
    let run = run(home, moto, arguments);
    assert_eq!(run.code, 0, "{arguments:?}: {}{}", run.stdout, run.stderr);
    run
}

fn create<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let base = ["machine", "create", "local", "--fqdn", DEMO, "--store", STORE, "--backup-key", "file:key"];
    let writer = ["--writer-access-key-id", "writer", "--writer-secret-access-key", "file:writer"];
    [&base[..], &writer, more].concat()
}

#[test]
fn a_machine_backs_up_into_a_bucket_is_lost_and_comes_back_from_it() {
    let Some((home, moto)) = prepared() else { return };
    let without = create(&[]);
    run(&home, &moto, &without[..9]).failed(2, "usage", "--writer-access-key-id");
    assert!(!home.root(DEMO).exists());

    let made = ok(&home, &moto, &create(&[]));
    assert!(made.stderr.contains("can delete objects"), "moto lets everybody delete: {}", made.stderr);
    std::fs::write(home.root(DEMO).join("data/note"), "remember").unwrap();
    ok(&home, &moto, &["machine", "backup", "create", DEMO]);
    ok(&home, &moto, &["machine", "status", DEMO]);
    // The server has its own credentials, and none of the owner's.
    let canary = Canary::new().secret("owner's secret", SECRET);
    assert_none(&canary.in_tree(home.dir()).unwrap());
    let access = home.root(DEMO).join("secrets/store.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&access).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let gone = ok(&home, &moto, &["machine", "destroy", DEMO, "--yes"]);
    assert!(gone.stdout.contains(STORE), "{}", gone.stdout);
    assert!(ok(&home, &moto, &["machine", "backup", "list", DEMO]).stdout.contains("backup_"));
    run(&home, &moto, &create(&[])[..9]).failed(2, "usage", "");
    ok(&home, &moto, &create(&["--backup", "latest"]));
    assert_eq!(std::fs::read(home.root(DEMO).join("data/note")).unwrap(), b"remember");
    ok(&home, &moto, &["machine", "backup", "create", DEMO]);

    ok(&home, &moto, &["machine", "destroy", DEMO, "--delete-backups", "--yes"]);
    ok(&home, &moto, &create(&[]));
    let list = ok(&home, &moto, &["machine", "backup", "list", DEMO]).stdout;
    assert!(list.contains("No backups"), "{list}");
}

#[test]
fn a_run_that_fails_leaves_nothing_in_the_bucket() {
    let Some((home, moto)) = prepared() else { return };
    std::fs::create_dir_all(home.root(DEMO).join("cloudron.db")).unwrap();
    assert_ne!(run(&home, &moto, &create(&[])).code, 0);
    let left = moto.request("s3", "GET", "/bucket?list-type=2", &[], "");
    assert!(!format!("{left:?}").contains("demo/"), "{left:?}");
}

#[test]
fn a_machine_backs_up_into_a_bucket_behind_a_private_authority() {
    let Some((home, moto)) = prepared() else { return };
    let authority = Authority::default();
    let server = moto.endpoint().trim_start_matches("http://").parse().unwrap();
    let front = TlsFront::start(&authority.identity(&["127.0.0.1"]), server);
    // A file may hold more than certificates, and only those are for the server.
    let key = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5LWtleQ==\n-----END PRIVATE KEY-----\n";
    std::fs::write(home.path("ca.pem"), format!("{key}{}", authority.pem())).unwrap();
    let run = |trusting: &[(&str, &str)], arguments: &[&str]| {
        let mut command = home.command();
        command
            .env("AWS_ACCESS_KEY_ID", "owner")
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_ENDPOINT_URL_S3", format!("https://{}", front.address()))
            .envs(trusting.iter().copied())
            .args(arguments);
        Run::of(command.output().unwrap())
    };
    run(&[], &create(&[])).failed(4, "http-certificate", "");
    assert!(!home.root(DEMO).exists());
    let made = run(&[("AWS_CA_BUNDLE", "ca.pem")], &create(&[]));
    assert_eq!(made.code, 0, "{}{}", made.stdout, made.stderr);
    let access = std::fs::read_to_string(home.root(DEMO).join("secrets/store.json")).unwrap();
    assert!(access.contains("BEGIN CERTIFICATE") && !access.contains("PRIVATE KEY"), "{access}");
    // The server itself, also after a start by somebody whose environment names no authority.
    for again in [false, true] {
        if again {
            home.ok(&["box", "stop", "--root", home.root(DEMO).to_str().unwrap()]);
            let started = run(&[], &["machine", "start", DEMO]);
            assert_eq!(started.code, 0, "{}{}", started.stdout, started.stderr);
        }
        let made = run(&[], &["machine", "backup", "create", DEMO]);
        assert_eq!(made.code, 0, "{}{}", made.stdout, made.stderr);
    }
}

/// Serves the service at another address, where the server's own credentials delete nothing, as the policy in
/// docs/stores.md has it. Moto knows no policies.
async fn guarded(service: String) -> String {
    let transport = Arc::new(ReqwestTransport::from_env().unwrap());
    let handler = move |request: axum::extract::Request| {
        let (transport, service) = (transport.clone(), service.clone());
        async move {
            let (mut head, body) = request.into_parts();
            let is_writer =
                |value: &http::HeaderValue| value.to_str().unwrap().contains("Credential=writer/");
            let by_writer = head.headers.get("authorization").is_some_and(is_writer);
            let several =
                head.uri.query().is_some_and(|query| query.split(['&', '=']).any(|word| word == "delete"));
            if by_writer && (several || head.method == "DELETE") {
                let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
                return (StatusCode::FORBIDDEN, denied).into_response();
            }
            head.uri = format!("{service}{}", head.uri.path_and_query().unwrap()).parse().unwrap();
            let body = to_bytes(body, 1 << 26).await.unwrap();
            let answer = transport.send(http::Request::from_parts(head, body)).await.expect("an answer");
            answer.map(Body::from).into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(handler)).await });
    format!("http://{address}")
}

#[test]
fn a_machine_whose_credentials_cannot_delete_makes_backups_and_its_owner_removes_them() {
    let Some((home, moto)) = prepared() else { return };
    let runtime = Runtime::new().unwrap();
    let endpoint = runtime.block_on(guarded(moto.endpoint()));
    let ok = |arguments: &[&str]| {
        let run = run_at(&home, &endpoint, arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {}{}", run.stdout, run.stderr);
        run
    };
    let made = ok(&create(&[]));
    assert!(!made.stderr.contains("can delete objects"), "{}", made.stderr);
    ok(&["machine", "backup", "create", DEMO]);
    ok(&["machine", "backup", "create", DEMO]);
    ok(&["machine", "status", DEMO]);
    ok(&["machine", "destroy", DEMO, "--delete-backups", "--yes"]);
    let left = moto.request("s3", "GET", "/bucket?list-type=2", &[], "");
    assert!(!left.contains("demo/"), "{left}");
}
