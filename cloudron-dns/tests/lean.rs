//! The library stays small for those who use only a part of it.

#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn the_default_features_need_at_most_55_crates() {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "-p", "cloudron-dns", "-e", "normal", "--prefix", "none", "--no-dedupe", "--offline"]);
    let output = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let crates: BTreeSet<&str> = text.lines().filter(|l| !l.is_empty()).collect();
    assert!((10..=55).contains(&crates.len()), "{} crates: {crates:#?}", crates.len());
}
