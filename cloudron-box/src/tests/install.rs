//! Installing and removing.

use std::os::unix::fs::PermissionsExt;

use cloudron_backup::Identity;
use cloudron_core::Secret;

use super::machine::request;
use crate::install::{install, uninstall};
use crate::{Include, Layout, admin, codes};

fn place() -> (tempfile::TempDir, Layout) {
    let home = tempfile::tempdir().unwrap();
    let layout = Layout::rooted(home.path().join("machine"));
    (home, layout)
}

#[test]
fn the_same_run_may_install_again_and_keeps_port_and_authority() {
    let (home, layout) = place();
    let request = request(&home.path().join("store"), &Identity::generate());
    let first = install(&layout, &request).unwrap();
    let second = install(&layout, &request).unwrap();
    assert_eq!((first.port, &first.ca_pem), (second.port, &second.ca_pem));
    assert_ne!(first.port, 0);
    assert_eq!(first.ca_fingerprint.len(), 64);
    assert_ne!(first.setup_token.unwrap(), second.setup_token.unwrap());
}

#[test]
fn another_domain_or_run_is_refused_and_changes_nothing() {
    let (home, layout) = place();
    let request = request(&home.path().join("store"), &Identity::generate());
    install(&layout, &request).unwrap();
    let before = std::fs::read(layout.config()).unwrap();
    let mut other = request.clone();
    other.fqdn = cloudron_core::Domain::parse_any("other.localhost").unwrap();
    assert!(install(&layout, &other).unwrap_err().is(&codes::MACHINE_EXISTS));
    let mut other = request;
    other.run = "run-2".into();
    assert!(install(&layout, &other).unwrap_err().is(&codes::MACHINE_EXISTS));
    assert_eq!(std::fs::read(layout.config()).unwrap(), before);
}

#[test]
fn a_request_that_makes_no_sense_is_refused_before_anything_is_made() {
    let (home, layout) = place();
    let good = request(&home.path().join("store"), &Identity::generate());
    type Change = fn(&mut crate::install::InstallRequest);
    let changes: [(Change, &cloudron_core::Code); 9] = [
        (|r| r.backup_hour = Some(24), &codes::INSTALL_REQUEST),
        (|r| r.listen.clear(), &codes::INSTALL_REQUEST),
        (|r| r.provider = "a b".into(), &codes::INSTALL_REQUEST),
        (|r| r.run = String::new(), &codes::INSTALL_REQUEST),
        (|r| r.supervisor = crate::api::install::Supervisor::Systemd, &codes::INSTALL_REQUEST),
        (|r| r.writer_keys = Secret::new("canary"), &codes::INSTALL_REQUEST),
        (|r| r.store = "ftp://x/y".into(), &cloudron_backup::codes::STORE_URL),
        (|r| r.includes = vec![Include::new("relative")], &codes::INCLUDE_INVALID),
        (|r| r.includes = vec![Include::new("/srv/a"), Include::new("/srv/a/b")], &codes::INSTALL_REQUEST),
    ];
    for (change, code) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        let error = install(&layout, &bad).unwrap_err();
        assert!(error.is(code), "{error:?}");
        assert!(!error.to_string().contains("canary"));
        assert!(!layout.state().exists());
    }
}

#[test]
fn a_taken_port_is_found_before_anything_is_made() {
    let (home, layout) = place();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut request = request(&home.path().join("store"), &Identity::generate());
    request.listen = vec![taken.local_addr().unwrap()];
    assert!(install(&layout, &request).unwrap_err().is(&codes::PORT_IN_USE));
    assert!(!layout.config().exists());
}

#[test]
fn everything_that_is_made_is_its_owners_alone() {
    let (home, layout) = place();
    install(&layout, &request(&home.path().join("store"), &Identity::generate())).unwrap();
    let mut folders = vec![layout.state().to_owned(), home.path().join("store")];
    while let Some(folder) = folders.pop() {
        let mode = std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
    }
}

#[test]
fn a_machine_is_removed_with_all_it_made_and_the_store_only_when_told() {
    let (home, layout) = place();
    let store = layout.default_store();
    let request = request(&store, &Identity::generate());
    install(&layout, &request).unwrap();
    std::fs::write(store.join("cloudron-backup.json"), "{}").unwrap();
    uninstall(&layout, true).unwrap();
    assert!(store.join("cloudron-backup.json").exists());
    assert_eq!(std::fs::read_dir(layout.state()).unwrap().count(), 1, "only the store is left");
    install(&layout, &request).unwrap();
    assert!(store.join("cloudron-backup.json").exists(), "a new machine finds the old store");
    uninstall(&layout, false).unwrap();
    assert!(!layout.state().exists());
    uninstall(&layout, false).unwrap();
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_is_no_machine_is_not_removed() {
    let (home, _) = place();
    std::fs::write(home.path().join("thesis"), "years").unwrap();
    let error = uninstall(&Layout::rooted(home.path()), false).unwrap_err();
    assert!(error.is(&codes::MACHINE_MISSING));
    assert!(home.path().join("thesis").exists());
}

#[test]
fn folders_that_would_back_up_the_server_or_its_store_are_refused() {
    let (home, layout) = place();
    install(&layout, &request(&home.path().join("store"), &Identity::generate())).unwrap();
    let folders = ["/", "relative", "/srv/../etc", home.path().to_str().unwrap()];
    let inside = [layout.data(), home.path().join("store/packs")];
    for path in folders.iter().map(std::path::PathBuf::from).chain(inside) {
        let error = admin::include_add(&layout, Include::new(&path)).unwrap_err();
        assert!(error.is(&codes::INCLUDE_INVALID), "{}", path.display());
    }
    admin::include_add(&layout, Include::new("/srv/app/")).unwrap();
    assert!(admin::include_add(&layout, Include::new("/srv/app/uploads")).is_err());
    assert!(admin::include_add(&layout, Include::new("/srv")).is_err());
    assert_eq!(admin::include_list(&layout).unwrap(), [Include::new("/srv/app")]);
}

#[test]
fn a_store_with_another_repository_than_that_of_the_keys_is_refused() {
    let (home, layout) = place();
    let store = home.path().join("store");
    std::fs::create_dir(&store).unwrap();
    std::fs::write(store.join("cloudron-backup.json"), r#"{"id": "earlier"}"#).unwrap();
    let mut request = request(&store, &Identity::generate());
    request.repository_id = Some("new".into());
    let error = install(&layout, &request).unwrap_err();
    assert!(error.is(&codes::STORE_OTHER), "{error:?}");
    assert!(!layout.config().exists(), "a place without settings is no machine");
    request.repository_id = Some("earlier".into());
    install(&layout, &request).unwrap();
}

#[test]
fn a_machine_describes_itself_with_the_record_that_was_left() {
    let (home, layout) = place();
    assert!(admin::describe(&layout).is_err());
    let made = install(&layout, &request(&home.path().join("store"), &Identity::generate())).unwrap();
    let record = serde_json::json!({ "schema": 1, "zones": [] });
    admin::keep_record(&layout, &record).unwrap();
    let said = admin::describe(&layout).unwrap();
    assert_eq!((said.ca_pem, said.port, said.record), (made.ca_pem, made.port, Some(record)));
    let mode = std::fs::metadata(layout.record()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let large = serde_json::json!("x".repeat(2 << 20));
    assert!(admin::keep_record(&layout, &large).unwrap_err().is(&codes::INSTALL_REQUEST));
}
