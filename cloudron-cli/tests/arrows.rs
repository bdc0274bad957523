//! Which crate may use which: the arrows of the architecture, read from what cargo knows of the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate may depend on, of those of this workspace. What is not named here may depend on nothing of it.
const MAY_USE: &[(&str, &[&str])] = &[
    ("cloudron-http", &["cloudron-core"]),
    ("cloudron-api", &["cloudron-core"]),
    ("cloudron-dns", &["cloudron-core", "cloudron-http"]),
    ("cloudron-backup", &["cloudron-core", "cloudron-http"]),
    ("cloudron-provision", &["cloudron-core", "cloudron-http"]),
    ("cloudron-box", &["cloudron-api", "cloudron-backup", "cloudron-core", "cloudron-dns", "cloudron-http"]),
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
];

/// What composes the libraries, and what only tests use.
const ABOVE: [&str; 4] = ["cloudron-cli", "cloudron-e2e", "cloudron-examples", "cloudron-testkit"];

/// The crates of the workspace that each of its crates is built with.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let used = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|d| d["kind"] != "dev").map(name).filter(|d| ours.contains(d)).collect::<BTreeSet<_>>()
    };
    packages.iter().map(|package| (name(package), used(package))).collect()
}

#[test]
fn no_crate_uses_one_that_is_above_it() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (package, used) in arrows().iter().filter(|(package, _)| !ABOVE.contains(&package.as_str())) {
        let may = allowed.get(package.as_str()).copied().unwrap_or_default();
        wrong.extend(used.iter().filter(|u| !may.contains(&u.as_str())).map(|u| format!("{package} ► {u}")));
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
