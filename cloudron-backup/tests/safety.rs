//! Keys, secrets, and files that must not be touched.

mod common;

use std::os::unix::fs::symlink;

use cloudron_backup::{InitOptions, Repository, RestoreRequest, codes, generate_backup_key};
use cloudron_core::{Cancel, Progress, Secret};
use cloudron_testkit::canary::{self, Canary};
use common::{Fixture, KEY};

#[tokio::test]
async fn only_the_backup_key_opens_a_repository() {
    let f = Fixture::new().await;
    let identity = f.repo.unlock(&Secret::new(KEY)).await.unwrap();
    assert_eq!(identity.to_secret(), f.identity.to_secret());
    let error = f.repo.unlock(&Secret::new("another backup key")).await.unwrap_err();
    assert!(error.is(&codes::BACKUP_KEY_WRONG), "{error:?}");
    assert_eq!(error.kind().exit_code(), 4);
}

#[tokio::test]
async fn a_repository_is_made_once_and_found_or_missed_clearly() {
    let f = Fixture::new().await;
    let again = Repository::init(f.store.clone(), &generate_backup_key(), InitOptions::default()).await;
    assert!(again.unwrap_err().is(&codes::REPOSITORY_EXISTS));
    let empty = cloudron_backup::open_store(f.dir.path().join("empty").to_str().unwrap()).unwrap();
    assert!(Repository::open(empty).await.unwrap_err().is(&codes::REPOSITORY_MISSING));
    let config = f.store.get("cloudron-backup.json").await.unwrap();
    let newer = String::from_utf8(config.to_vec()).unwrap().replace("\"version\": 2", "\"version\": 3");
    f.store.put("cloudron-backup.json", &newer.into()).await.unwrap();
    assert!(Repository::open(f.store.clone()).await.unwrap_err().is(&codes::REPOSITORY_NEWER));
    f.store.put("cloudron-backup.json", &"{".to_owned().into()).await.unwrap();
    assert!(Repository::open(f.store.clone()).await.unwrap().description_problem().is_some());
    f.store.delete("copies/cloudron-backup.json").await.unwrap();
    assert!(Repository::open(f.store.clone()).await.unwrap_err().is(&codes::REPOSITORY_CORRUPT));
}

#[tokio::test]
async fn a_backup_that_is_not_there_is_unknown() {
    let f = Fixture::new().await;
    for id in ["latest", "nonsense", "backup_2026-01-02T03-04-05Z_v1.0.0"] {
        let error = f.repo.find(id).await.unwrap_err();
        assert!(error.is(&codes::BACKUP_UNKNOWN), "{id}");
    }
}

#[tokio::test]
async fn the_keys_of_another_repository_are_refused() {
    let (f, other) = (Fixture::new().await, Fixture::new().await);
    let error = f.repo.backup(&other.keys, f.request(), &Progress::none(), &Cancel::new()).await.unwrap_err();
    assert!(error.is(&codes::REPOSITORY_OTHER));
}

#[tokio::test]
async fn a_writers_keys_open_no_backup() {
    use cloudron_backup::encrypt::{AgeIdentities, Decryptor};
    let f = Fixture::new().await;
    f.write("file", "content");
    f.backup().await;
    let writer = AgeIdentities::parse([&f.keys.index_identity]).unwrap();
    for object in f.keys_under("").await.into_iter().filter(|k| k.ends_with(".age")) {
        let content = f.store.get(&object).await.unwrap();
        assert_eq!(writer.open_bytes(&content).is_ok(), object.starts_with("index/"), "{object}");
    }
}

#[tokio::test]
async fn no_secret_and_no_name_of_a_file_is_in_the_store_or_in_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let store = cloudron_backup::open_store(dir.path().join("store").to_str().unwrap()).unwrap();
    let f = Fixture::on(store).await;
    f.write("canary-file-name-81fa", "canary-content-77aa");
    f.backup().await;
    let secrets = Canary::new()
        .secret("backup key", KEY)
        .secret("identity", f.identity.to_secret().expose())
        .secret("index identity", f.keys.index_identity.expose())
        .secret("chunk key", f.keys.chunk_key.expose())
        .secret("signing seed", f.keys.signing_seed.expose());
    canary::assert_none(&secrets.in_tree(&f.dir.path().join("cache")).unwrap());
    let secrets =
        secrets.secret("file name", "canary-file-name-81fa").secret("content", "canary-content-77aa");
    canary::assert_none(&secrets.in_tree(&dir.path().join("store")).unwrap());
}

#[tokio::test]
async fn an_existing_file_that_differs_is_kept_and_nothing_is_written() {
    let f = Fixture::new().await;
    f.write("a", "from the backup");
    f.write("z", "from the backup");
    let id = f.backup().await.id;
    std::fs::create_dir_all(f.restored("out")).unwrap();
    std::fs::write(f.restored("out").join("z"), "mine").unwrap();
    let error = f.restore(&id, "out").await.unwrap_err();
    assert!(error.is(&codes::RESTORE_CONFLICT) && error.to_string().contains("/z"), "{error}");
    assert_eq!(error.kind().exit_code(), 5);
    assert!(!f.restored("out").join("a").exists());
    let mut request = RestoreRequest::under(f.target("out"));
    request.overwrite = true;
    assert!(f.restore_with(&id, &request).await.unwrap().is_complete());
    assert_eq!(std::fs::read(f.restored("out").join("z")).unwrap(), b"from the backup");
    assert!(f.compare(&id, "out").await.is_identical());
}

#[tokio::test]
async fn a_restore_never_writes_through_a_link_in_the_target() {
    let f = Fixture::new().await;
    f.write("folder/file", "from the backup");
    let id = f.backup().await.id;
    let outside = f.target("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::create_dir_all(f.restored("out")).unwrap();
    symlink(&outside, f.restored("out").join("folder")).unwrap();
    let error = f.restore(&id, "out").await.unwrap_err();
    assert!(error.is(&codes::RESTORE_CONFLICT), "{error}");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);

    // A link in a parent folder, which is no entry of the backup.
    std::fs::create_dir_all(f.target("up")).unwrap();
    let first = f.source().strip_prefix("/").unwrap().iter().next().unwrap().to_owned();
    symlink(&outside, f.target("up").join(first)).unwrap();
    let report = f.restore(&id, "up").await.unwrap();
    assert!(report.failed.iter().all(|x| x.reason.contains("leads out")), "{:?}", report.failed);
    assert!(!report.is_complete());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[tokio::test]
async fn overwriting_replaces_a_link_and_not_what_it_points_to() {
    let f = Fixture::new().await;
    f.write("file", "from the backup");
    let id = f.backup().await.id;
    std::fs::write(f.target("precious"), "precious").unwrap();
    std::fs::create_dir_all(f.restored("out")).unwrap();
    symlink(f.target("precious"), f.restored("out").join("file")).unwrap();
    let mut request = RestoreRequest::under(f.target("out"));
    request.overwrite = true;
    assert!(f.restore_with(&id, &request).await.unwrap().is_complete());
    assert_eq!(std::fs::read(f.target("precious")).unwrap(), b"precious");
    assert!(f.restored("out").join("file").symlink_metadata().unwrap().is_file());
}
