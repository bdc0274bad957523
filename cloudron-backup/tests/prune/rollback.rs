//! Backups removed by others are distinguished from those that the owner removed.

use std::sync::{Arc, Mutex};

use cloudron_backup::{VerifyDepth, codes};
use cloudron_core::{Cancel, Event, Progress};

use crate::common::Fixture;
use crate::steps::{DAY, keep_last, prune, three, verify};

#[tokio::test]
async fn a_removed_backup_is_told_from_one_that_was_taken_away() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let _ = prune(&f, &keep_last(2, DAY)).await;
    assert!(verify(&f).await.is_good(), "the owner removed it");
    f.store.delete(&format!("snapshots/{}.json", made[1].id)).await.unwrap();
    f.store.delete(&Fixture::manifest_of(&made[1])).await.unwrap();
    let report = verify(&f).await;
    assert!(report.problems.iter().any(|p| p.text.contains("numbers 2")), "{:?}", report.problems);
}

#[tokio::test]
async fn a_writer_cannot_make_a_removal_look_like_the_owners() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let _ = prune(&f, &keep_last(2, DAY)).await;
    let key = f.keys_under("forgotten/").await.remove(0);
    let text = String::from_utf8(f.store.get(&key).await.unwrap().to_vec()).unwrap();
    let forged = text.replacen('1', "2", text.matches('1').count());
    f.store.put("forgotten/forged.json", &forged.into()).await.unwrap();
    f.store.delete(&format!("snapshots/{}.json", made[1].id)).await.unwrap();
    let report = verify(&f).await;
    assert!(report.ignored.iter().any(|(key, _)| key == "forgotten/forged.json"), "{:?}", report.ignored);
    assert!(report.problems.iter().any(|p| p.text.contains("numbers 2")), "{:?}", report.problems);
}

#[tokio::test]
async fn an_older_list_than_was_seen_is_noticed_by_backup_and_verify() {
    let f = Fixture::new().await;
    let made = three(&f).await;
    let repo = f.repo.clone().with_cache_dir(f.dir.path().join("laptop"));
    let verify = async || {
        repo.verify(VerifyDepth::Quick, Some(&f.identity), &Progress::none(), &Cancel::new()).await.unwrap()
    };
    assert!(verify().await.is_good());
    // Removing only the newest leaves no trace in the store.
    for key in f.keys_under(&format!("snapshots/{}", made[2].id)).await {
        f.store.delete(&key).await.unwrap();
    }
    let report = verify().await;
    assert_eq!(report.rolled_back, [made[2].id.to_string()]);
    assert!(report.good().unwrap_err().is(&codes::REPOSITORY_ROLLED_BACK));
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = said.clone();
    let progress = Progress::to(move |e| {
        if let Event::Warning { text } = e {
            sink.lock().unwrap().push(text.clone());
        }
    });
    let next = f.repo.backup(&f.keys, f.request(), &progress, &Cancel::new()).await.unwrap();
    assert_eq!(next.sequence, 4, "the number of the one that is gone is not used again");
    assert!(said.lock().unwrap().iter().any(|t| t.contains(made[2].id.as_str())), "{said:?}");
}

#[tokio::test]
async fn what_the_owner_removed_is_no_rollback() {
    let f = Fixture::new().await;
    three(&f).await;
    let repo = f.repo.clone().with_cache_dir(f.dir.path().join("laptop"));
    for _ in 0..2 {
        let (depth, progress) = (VerifyDepth::Quick, Progress::none());
        let report = repo.verify(depth, Some(&f.identity), &progress, &Cancel::new()).await.unwrap();
        assert!(report.is_good(), "{:?}", report.problems);
        let _ = prune(&f, &keep_last(1, DAY)).await;
    }
}
