//! The crates of the workspace.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The allowed dependencies of each crate within the workspace. A crate may be missing.
const ARROWS: &[(&str, &[&str])] = &[
    ("cloudron-core", &[]),
    ("cloudron-http", &["cloudron-core"]),
    ("cloudron-api", &["cloudron-core"]),
    ("cloudron-dns", &["cloudron-http", "cloudron-core"]),
    ("cloudron-acme", &["cloudron-dns", "cloudron-http", "cloudron-core"]),
    // The S3 client uses the same proxy and trusts the same authorities.
    ("cloudron-backup", &["cloudron-http", "cloudron-core"]),
    ("cloudron-provision", &["cloudron-http", "cloudron-core"]),
    ("cloudron-apps", &["cloudron-backup", "cloudron-core"]),
    ("cloudron-proxy", &["cloudron-core"]),
    (
        "cloudron-machine",
        &[
            "cloudron-api",
            "cloudron-backup",
            "cloudron-core",
            "cloudron-dns",
            "cloudron-http",
            "cloudron-provision",
        ],
    ),
    (
        "cloudron-box",
        &[
            "cloudron-acme",
            "cloudron-api",
            "cloudron-apps",
            "cloudron-backup",
            "cloudron-core",
            "cloudron-dns",
            "cloudron-http",
            "cloudron-proxy",
        ],
    ),
    (
        "cloudron-cli",
        &[
            "cloudron-acme",
            "cloudron-api",
            "cloudron-backup",
            "cloudron-box",
            "cloudron-core",
            "cloudron-dns",
            "cloudron-http",
            "cloudron-machine",
            "cloudron-provision",
            "cloudron-proxy",
        ],
    ),
    ("cloudron-testkit", &[]),
];

/// Programs and tests, which may use every crate and which no crate may use.
const ON_TOP: [&str; 2] = ["cloudron-examples", "cloudron-e2e"];

/// The crate that tests of any crate may use.
const FOR_TESTS: &str = "cloudron-testkit";

#[test]
fn no_crate_depends_against_the_arrows() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"]);
    let output = cargo.arg(manifest).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(metadata["packages"].as_array().unwrap().len() >= 7, "the workspace is described");
    assert_eq!(against(&metadata), [""; 0]);
}

#[test]
fn an_arrow_that_runs_the_wrong_way_is_found() {
    let package = |name: &str, dependencies: &[(&str, Value)]| {
        let dependency = |(name, kind): &(&str, Value)| serde_json::json!({ "name": name, "kind": kind });
        let dependencies: Vec<Value> = dependencies.iter().map(dependency).collect();
        serde_json::json!({ "packages": [{ "name": name, "dependencies": dependencies }] })
    };
    let (normal, dev) = (Value::Null, Value::from("dev"));
    let good =
        [("cloudron-core", normal.clone()), ("serde", normal.clone()), ("cloudron-testkit", dev.clone())];
    assert_eq!(against(&package("cloudron-backup", &good)), [""; 0]);
    let wrong = |to: &str| [format!("cloudron-backup depends on {to}")];
    assert_eq!(
        against(&package("cloudron-backup", &[("cloudron-cli", normal.clone())])),
        wrong("cloudron-cli")
    );
    assert_eq!(against(&package("cloudron-backup", &[("cloudron-box", dev)])), wrong("cloudron-box"));
    let built = Value::from("build");
    assert_eq!(
        against(&package("cloudron-backup", &[("cloudron-testkit", built)])),
        wrong("cloudron-testkit")
    );
    assert_eq!(against(&package("cloudron-attic", &[])), ["cloudron-attic is not in the list"]);
    assert_eq!(against(&package("cloudron-e2e", &[("cloudron-cli", normal)])), [""; 0]);
}

/// Returns the forbidden dependencies, and the crates missing from the list.
fn against(metadata: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if ON_TOP.contains(&name) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(of, _)| *of == name) else {
            wrong.push(format!("{name} is not in the list"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            let for_tests = dependency["kind"] == "dev" && (to == FOR_TESTS || to == name);
            if to.starts_with("cloudron-") && !for_tests && !allowed.contains(&to) {
                wrong.push(format!("{name} depends on {to}"));
            }
        }
    }
    wrong
}
