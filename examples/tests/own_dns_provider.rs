//! The custom provider passes every check of the conformance kit.

#![allow(missing_docs, dead_code)]

#[path = "../src/bin/own_dns_provider.rs"]
mod own;

use std::fs;
use std::process::Command;

use async_trait::async_trait;
use cloudron_dns::conformance::{Fixture, Place, run};
use cloudron_dns::{Name, Result, Zone};
use own::ZoneFolder;
use tempfile::TempDir;

const START: &str = "$TTL 3600\n@ IN SOA ns1.example.net. admin.example.com. 1 7200 900 1209600 300\n@ IN NS ns1.example.net.\n";

/// A folder that is cleared for each check.
struct Folder(TempDir);

#[async_trait]
impl Fixture for Folder {
    async fn fresh(&self) -> Result<Place> {
        for entry in fs::read_dir(self.0.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        fs::write(self.0.path().join("example.com.zone"), START).unwrap();
        let zone = Zone::new("example.com", Name::parse("example.com")?);
        Ok(Place { provider: Box::new(ZoneFolder::new(self.0.path())), zone })
    }

    async fn add_zone(&self, _place: &Place, apex: &Name) -> Result<Option<Zone>> {
        fs::write(self.0.path().join(format!("{}.zone", apex.without_dot())), START).unwrap();
        Ok(Some(Zone::new(apex.without_dot(), apex.clone())))
    }
}

#[tokio::test]
async fn it_passes_the_conformance_kit() {
    let report = run(&Folder(tempfile::tempdir().unwrap())).await;
    assert!(report.passed(), "{report}");
    assert!(
        report
            .skipped()
            .all(|(_, why)| why.contains("fixture") || why.contains("any") || why.contains("every")),
        "{report}"
    );
}

#[test]
fn it_runs_and_shows_what_it_changed_and_the_second_time_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("example.com.zone"), START).unwrap();
    let run = || {
        let output =
            Command::new(env!("CARGO_BIN_EXE_own_dns_provider")).arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(), "+ my.example.com. 300 IN A 192.0.2.1\n");
    assert_eq!(run(), "= 1 record set is right already\n");
}
