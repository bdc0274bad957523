//! The library stays small for users of a part of it.

#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::process::Command;

fn crates(features: &str) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "-p", "cloudron-dns", "-e", "normal", "--prefix", "none", "--no-dedupe", "--offline"]);
    tree.args(["--features", features]);
    let output = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_default_features_need_at_most_38_crates() {
    let crates = crates("default");
    assert!((10..=38).contains(&crates.len()), "{} crates: {crates:#?}", crates.len());
}

#[test]
fn each_host_with_a_rest_interface_needs_at_most_100_crates_and_one_tls_stack() {
    for feature in ["digitalocean", "cloudflare", "hetzner", "digitalocean,cloudflare,hetzner"] {
        let crates = crates(feature);
        assert!((10..=100).contains(&crates.len()), "{} crates: {crates:#?}", crates.len());
        let other =
            |name: &&String| ["openssl ", "native-tls ", "aws-lc"].iter().any(|p| name.starts_with(p));
        assert_eq!(crates.iter().find(other), None);
    }
}

#[test]
fn route53_needs_at_most_145_crates_and_one_tls_stack() {
    let crates = crates("route53");
    assert!((60..=145).contains(&crates.len()), "{} crates: {crates:#?}", crates.len());
    let other =
        |name: &&String| ["openssl-sys ", "native-tls ", "aws-lc"].iter().any(|p| name.starts_with(p));
    assert_eq!(crates.iter().find(other), None);
}

#[test]
fn powerdns_needs_at_most_100_crates_and_dynamic_updates_50_without_tls() {
    let powerdns = crates("powerdns");
    assert!((10..=100).contains(&powerdns.len()), "{} crates: {powerdns:#?}", powerdns.len());
    let updates = crates("rfc2136");
    assert!((10..=50).contains(&updates.len()), "{} crates: {updates:#?}", updates.len());
    let other = |name: &&String| {
        ["openssl", "native-tls ", "aws-lc", "rustls ", "ring ", "hickory"]
            .iter()
            .any(|p| name.starts_with(p))
    };
    assert_eq!(updates.iter().find(other), None);
}
