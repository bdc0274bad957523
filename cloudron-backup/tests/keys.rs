//! Adding, changing and removing the keys of a repository.

mod common;

use std::sync::Arc;

use cloudron_backup::{BackupStore, Identity, KeyKind, Repository, Unlock, codes};
use cloudron_core::{Cancel, Progress, Secret};
use common::{Failing, Fixture, KEY};

fn key(text: &str) -> Secret {
    Secret::new(text)
}

async fn opens(repo: &Repository, secret: &Secret) -> bool {
    match repo.unlock(secret).await {
        Ok(_) => true,
        Err(e) if e.is(&codes::BACKUP_KEY_WRONG) => false,
        Err(e) => panic!("{e}"),
    }
}

#[tokio::test]
async fn keys_are_listed_without_any_secret() {
    let f = Fixture::new().await;
    f.repo.add_backup_key(&f.identity, "laptop", &key("a second backup key"), Some(3)).await.unwrap();
    let paper = f.repo.add_paper_key(&f.identity, "safe", None).await.unwrap();
    let keys = f.repo.keys().await.unwrap();
    let listed: Vec<_> = keys.iter().map(|k| (k.name.as_str(), k.kind, k.work_factor)).collect();
    let backup_key = KeyKind::BackupKey;
    assert_eq!(
        listed,
        [("laptop", backup_key, Some(3)), ("main", backup_key, Some(2)), ("safe", KeyKind::Paper, None)]
    );
    assert!(keys.iter().all(|k| k.created.is_some()));
    assert_eq!(serde_json::to_value(&keys[2]).unwrap()["kind"], "paper");
    assert!(!format!("{paper:?}").contains("AGE-SECRET"));
    let text = serde_json::to_string(&keys).unwrap();
    assert!(!text.contains("SECRET"));
}

#[tokio::test]
async fn every_key_opens_the_repository_and_a_removed_one_no_more() {
    let f = Fixture::new().await;
    let (main, second) = (key(KEY), key("a second backup key"));
    f.repo.add_backup_key(&f.identity, "second", &second, Some(2)).await.unwrap();
    let paper = f.repo.add_paper_key(&f.identity, "paper", None).await.unwrap().secret.unwrap();
    let own = Identity::generate();
    let given = f.repo.add_paper_key(&f.identity, "given", Some(&own.recipient())).await.unwrap();
    assert!(given.secret.is_none());
    for secret in [&main, &second, &paper, &own.to_secret(), &f.identity.to_secret()] {
        assert_eq!(f.repo.unlock(secret).await.unwrap().recipient(), f.identity.recipient());
    }
    assert!(!opens(&f.repo, &key("neither of the keys")).await);
    assert!(!opens(&f.repo, &Identity::generate().to_secret()).await);

    f.repo.remove_key("main", &Unlock::new(&paper)).await.unwrap();
    assert!(!opens(&f.repo, &main).await);
    f.repo.remove_key("paper", &Unlock::new(&second)).await.unwrap();
    assert!(!opens(&f.repo, &paper).await);
    assert!(opens(&f.repo, &second).await);
    let (depth, progress, cancel) = (cloudron_backup::VerifyDepth::Full, Progress::none(), Cancel::new());
    let verified = f.repo.verify(depth, Some(&f.identity), &progress, &cancel).await.unwrap();
    assert!(verified.is_good());
}

#[tokio::test]
async fn nobody_locks_themselves_out() {
    let f = Fixture::new().await;
    let last = |e: cloudron_core::Error| e.is(&codes::BACKUP_KEY_LAST);
    let (main, other) = (Unlock::new(&key(KEY)), key("a second backup key"));
    assert!(last(f.repo.remove_key("main", &main).await.unwrap_err()));
    assert!(last(f.repo.remove_key("main", &Unlock::new(&f.identity.to_secret())).await.unwrap_err()));
    f.repo.add_backup_key(&f.identity, "other", &other, Some(2)).await.unwrap();
    assert!(last(f.repo.remove_key("main", &main).await.unwrap_err()), "the secret given must go on opening");
    assert!(last(f.repo.remove_key("main", &Unlock::new(&key("no key at all"))).await.unwrap_err()));
    assert!(f.repo.remove_key("none", &main).await.unwrap_err().is(&codes::BACKUP_KEY_UNKNOWN));
    f.repo.remove_key("main", &Unlock::new(&other)).await.unwrap();
    assert_eq!(f.repo.keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_name_or_key_that_cannot_serve_is_refused() {
    let f = Fixture::new().await;
    let good = key("a second backup key");
    for name in ["main", "", "Upper", "a/b", "../x"] {
        let refused = f.repo.add_backup_key(&f.identity, name, &good, Some(2)).await.unwrap_err();
        assert!(refused.is(&codes::BACKUP_KEY_NAME), "{name:?}: {refused}");
    }
    for weak in ["short", "AGE-SECRET-KEY-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0S0EHRLS"] {
        let refused = f.repo.add_backup_key(&f.identity, "x", &key(weak), Some(2)).await.unwrap_err();
        assert!(refused.is(&codes::BACKUP_KEY_WEAK), "{weak}");
    }
    let refused = f.repo.add_paper_key(&f.identity, "x", Some("age1nonsense")).await.unwrap_err();
    assert!(refused.is(&codes::RECIPIENT_INVALID));
    let stranger = Identity::generate();
    let refused = f.repo.add_backup_key(&stranger, "x", &good, Some(2)).await.unwrap_err();
    assert!(refused.is(&codes::REPOSITORY_OTHER));
    assert_eq!(f.repo.keys().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_changed_backup_key_opens_and_the_old_one_does_not() {
    let f = Fixture::new().await;
    f.write("a", "kept");
    let id = f.backup().await.id;
    let (old, new) = (key(KEY), key("another backup key"));
    let wrong = f.repo.change_backup_key(&key("not the old key"), &new, Some(2)).await.unwrap_err();
    assert!(wrong.is(&codes::BACKUP_KEY_WRONG));
    let info = f.repo.change_backup_key(&old, &new, Some(2)).await.unwrap();
    assert_eq!((info.name.as_str(), info.work_factor), ("main", Some(2)));
    assert!(!opens(&f.repo, &old).await);
    assert_eq!(f.repo.keys().await.unwrap().len(), 1);
    let identity = f.repo.unlock(&new).await.unwrap();
    assert_eq!(identity.recipient(), f.identity.recipient());
    f.assert_restores(&id, "out").await;
}

#[tokio::test]
async fn a_change_cut_off_anywhere_leaves_a_key_that_opens_and_can_be_finished() {
    let (old, new) = (key(KEY), key("another backup key"));
    let mut cuts = 0;
    for calls in 0.. {
        let f = Fixture::new().await;
        let store: Arc<dyn BackupStore> = f.store.clone();
        let cut = Failing::after(&store, calls, &cloudron_core::codes::IO);
        // Opening takes the first call.
        let Ok(repo) = Repository::open(cut.clone()).await else { continue };
        let changed = repo.change_backup_key(&old, &new, Some(2)).await;
        let (old_opens, new_opens) = (opens(&f.repo, &old).await, opens(&f.repo, &new).await);
        assert!(old_opens || new_opens, "after {calls} calls");
        if changed.is_ok() {
            assert!(new_opens && !old_opens);
            break;
        }
        cuts += 1;
        let with = if old_opens { &old } else { &new };
        f.repo.change_backup_key(with, &new, Some(2)).await.unwrap();
        assert!(opens(&f.repo, &new).await && !opens(&f.repo, &old).await, "after {calls} calls");
        assert_eq!(f.repo.keys().await.unwrap().len(), 1, "nothing is left behind");
    }
    assert!(cuts >= 5, "{cuts}");
}

#[tokio::test]
async fn a_damaged_key_is_shown_as_unusable_and_does_not_count_as_another() {
    let f = Fixture::new().await;
    f.repo.add_backup_key(&f.identity, "other", &key("a second backup key"), Some(2)).await.unwrap();
    let other = f.keys_under("keys/other").await.remove(0);
    let mut content = f.store.get(&other).await.unwrap().to_vec();
    *content.last_mut().unwrap() ^= 1;
    f.store.put(&other, &content.into()).await.unwrap();
    let keys = f.repo.keys().await.unwrap();
    assert_eq!(keys.iter().find(|k| k.name == "other").unwrap().kind, KeyKind::Unusable);
    let own = Unlock::new(&f.identity.to_secret());
    assert!(f.repo.remove_key("main", &own).await.unwrap_err().is(&codes::BACKUP_KEY_LAST));
    assert!(opens(&f.repo, &key(KEY)).await);
}

#[tokio::test]
async fn a_reader_that_somebody_added_to_the_description_is_refused_by_writers_and_owners() {
    let f = Fixture::new().await;
    f.write("a", "1");
    let spy = Identity::generate().recipient();
    let object = f.store.get("cloudron-backup.json").await.unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&object).unwrap();
    config["recipients"]["data"].as_array_mut().unwrap().push(spy.into());
    let changed = serde_json::to_vec(&config).unwrap().into();
    f.store.put("cloudron-backup.json", &changed).await.unwrap();
    // The second copy is read, and a repair restores the object.
    let repo = Repository::open(f.store.clone()).await.unwrap();
    assert!(repo.description_problem().is_some());
    f.try_backup(&repo).await.unwrap();
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let report = repo.repair(&f.identity, &Default::default(), &progress, &cancel).await.unwrap();
    assert_eq!(report.restored, ["cloudron-backup.json"]);
    assert_eq!(f.store.get("cloudron-backup.json").await.unwrap(), object);
    for place in ["cloudron-backup.json", "copies/cloudron-backup.json"] {
        f.store.put(place, &changed).await.unwrap();
    }
    assert!(Repository::open(f.store.clone()).await.unwrap_err().is(&codes::REPOSITORY_CORRUPT));
    assert!(f.try_backup(&f.repo).await.is_ok(), "one that was opened before goes by what it knows");
}

#[tokio::test]
async fn a_lost_description_is_read_from_its_second_copy() {
    let f = Fixture::new().await;
    f.write("a", "1");
    let made = f.backup().await;
    f.store.delete("cloudron-backup.json").await.unwrap();
    let repo = Repository::open(f.store.clone()).await.unwrap();
    assert!(repo.description_problem().is_some());
    let identity = repo.unlock(&key(KEY)).await.unwrap();
    let request = cloudron_backup::RestoreRequest::under(f.target("out"));
    let (progress, cancel) = (Progress::none(), Cancel::new());
    assert!(repo.restore(&identity, &made.id, &request, &progress, &cancel).await.unwrap().is_complete());
}

#[tokio::test]
async fn a_damaged_key_is_named_and_never_called_a_wrong_key() {
    let f = Fixture::new().await;
    let object = f.keys_under("keys/").await.remove(0);
    let content = f.store.get(&object).await.unwrap().to_vec();
    for copy in f.keys_under("copies/keys/").await {
        f.store.delete(&copy).await.unwrap();
    }
    for at in 0..content.len() {
        let mut changed = content.clone();
        changed[at] ^= 1;
        f.store.put(&object, &changed.into()).await.unwrap();
        let error = f.repo.unlock(&key(KEY)).await.unwrap_err();
        assert!(error.is(&codes::OBJECT_CORRUPT), "byte {at}: {error}");
        assert!(error.to_string().contains(&object) && error.hint().is_some(), "byte {at}: {error}");
    }
    f.store.put(&object, &content.into()).await.unwrap();
    assert!(opens(&f.repo, &key(KEY)).await);
}

#[tokio::test]
async fn a_second_copy_opens_when_the_key_object_is_lost_or_damaged() {
    let f = Fixture::new().await;
    let other = key("a second backup key");
    f.repo.add_backup_key(&f.identity, "other", &other, Some(2)).await.unwrap();
    let object = f.keys_under("keys/other").await.into_iter().find(|k| k.ends_with(".age")).unwrap();
    f.store.put(&object, &"damaged".to_owned().into()).await.unwrap();
    assert!(opens(&f.repo, &other).await);
    f.store.delete(&object).await.unwrap();
    assert!(opens(&f.repo, &other).await);
    // Removing a key leaves no copy that it could open.
    let third = key("a third backup key");
    f.repo.add_backup_key(&f.identity, "third", &third, Some(2)).await.unwrap();
    f.repo.remove_key("third", &Unlock::new(&key(KEY))).await.unwrap();
    assert!(!opens(&f.repo, &third).await);
    assert!(f.keys_under("").await.iter().all(|k| !k.contains("third")));
}

#[tokio::test]
async fn key_objects_that_somebody_added_do_not_keep_the_owner_out() {
    use cloudron_backup::encrypt::{AgePassphrase, Encryptor};
    let f = Fixture::new().await;
    // Encrypting takes as long as decrypting, so the factor is only changed in the header.
    let sealed = AgePassphrase::new(key("nobody knows this one"), 2).seal_bytes(b"x").unwrap();
    let text = String::from_utf8_lossy(&sealed[..80]).into_owned();
    let end = text.find(" 2\n").unwrap();
    for (n, factor) in (0..60).map(|n| (n, if n % 2 == 0 { "22" } else { "30" })) {
        let content = [&sealed[..end], format!(" {factor}\n#{n}").as_bytes(), &sealed[end + 3..]].concat();
        use sha2::Digest;
        let name = format!("keys/aaa{n}-{}.age", &hex::encode(sha2::Sha256::digest(&content))[..16]);
        f.store.put(&name, &content.into()).await.unwrap();
    }
    let began = std::time::Instant::now();
    assert!(opens(&f.repo, &key(KEY)).await);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[tokio::test]
async fn only_a_key_that_was_generated_is_stretched_less() {
    let f = Fixture::new().await;
    let typed = key("thequickbrownfoxjumpsoverthelazydog");
    let info = f.repo.add_backup_key(&f.identity, "typed", &typed, None).await.unwrap();
    assert_eq!(info.work_factor, Some(18));
}
