//! Damages every object of a repository in every way, one at a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cloudron_backup::{
    BackupStore, MemoryStore, Repository, RestoreRequest, Summary, VerifyDepth, VerifyReport, codes,
};
use cloudron_core::{BackupId, Cancel, Progress, Secret};
use cloudron_testkit::tree;

use crate::common::{Fixture, KEY, noise};
use crate::world::{Digest, rounds};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    /// Flips a bit at this percentage of the length.
    Flip(u8),
    /// Removes the last byte.
    Short,
    Half,
    Empty,
    Longer,
    Delete,
    /// The content of another object of its kind.
    Swap,
    /// The content of the object in a copy of the repository that diverged.
    Fork,
}

const DAMAGES: [Damage; 11] = [
    Damage::Flip(0),
    Damage::Flip(20),
    Damage::Flip(50),
    Damage::Flip(99),
    Damage::Short,
    Damage::Half,
    Damage::Empty,
    Damage::Longer,
    Damage::Delete,
    Damage::Swap,
    Damage::Fork,
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Config,
    Recover,
    Key,
    Pack,
    Index,
    Manifest,
    Summary,
    /// Objects that are not needed unless others are damaged.
    Spare,
}

fn kind(key: &str) -> Kind {
    match key {
        "cloudron-backup.json" => Kind::Config,
        _ if key.starts_with("copies/") || key.starts_with("writers/") => Kind::Spare,
        _ if key.starts_with("keys/") && key.ends_with(".json") => Kind::Spare,
        _ if key.starts_with("keys/") => Kind::Key,
        _ if key.starts_with("packs/") => Kind::Pack,
        _ if key.starts_with("index/") => Kind::Index,
        _ if key.starts_with("snapshots/") && key.ends_with(".json") => Kind::Summary,
        _ if key.starts_with("snapshots/") => Kind::Manifest,
        _ => Kind::Recover,
    }
}

type Objects = BTreeMap<String, Bytes>;

async fn objects(store: &Arc<dyn BackupStore>) -> Objects {
    let mut found = Objects::new();
    for object in store.list("").await.unwrap() {
        found.insert(object.key.clone(), store.get(&object.key).await.unwrap());
    }
    found
}

async fn store_of(objects: &Objects) -> Arc<dyn BackupStore> {
    let store = MemoryStore::new();
    for (key, content) in objects {
        store.put(key, content).await.unwrap();
    }
    Arc::new(store)
}

/// Returns the objects after the damage, or `None` if it does not apply.
fn damaged(objects: &Objects, fork: &Objects, key: &str, how: Damage) -> Option<Objects> {
    if how == Damage::Short && matches!(kind(key), Kind::Config | Kind::Summary) {
        // The final newline has no meaning.
        return None;
    }
    let mut result = objects.clone();
    let content = &objects[key];
    let length = content.len();
    let changed = match how {
        Damage::Delete => {
            result.remove(key);
            return Some(result);
        }
        Damage::Flip(at) => {
            let mut content = content.to_vec();
            content[(length - 1) * usize::from(at) / 99] ^= 4;
            content.into()
        }
        Damage::Short => content.slice(..length - 1),
        Damage::Half => content.slice(..length / 2),
        Damage::Empty => Bytes::new(),
        Damage::Longer => [content, &b"\0"[..]].concat().into(),
        Damage::Swap => {
            let other = objects.keys().find(|k| *k != key && kind(k) == kind(key))?;
            objects[other].clone()
        }
        Damage::Fork => fork.get(key).filter(|c| *c != content)?.clone(),
    };
    result.insert(key.to_owned(), changed);
    Some(result)
}

struct Trial<'a> {
    f: &'a Fixture,
    key: &'a str,
    how: Damage,
    made: &'a [(Summary, Digest)],
    /// The manifest in the copy that the summary of the second backup names.
    fork: &'a str,
}

#[tokio::test]
async fn any_damage_is_named_and_all_that_is_not_affected_restores() {
    let f = Fixture::on(Arc::new(MemoryStore::new())).await;
    for i in 0..3 {
        f.write(&format!("large{i}"), noise(400_000, i));
    }
    for i in 0..20 {
        f.write(&format!("small/{i}"), noise(2000, i + 10));
    }
    std::fs::hard_link(f.source().join("large0"), f.source().join("small/linked")).unwrap();
    let first = (f.backup().await, tree::digest(&f.source()).unwrap());
    let before = objects(&f.store).await;
    f.write("large1", noise(500_000, 77));
    f.write("small/new", "new");
    let request = f.request();
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let second = f.repo.backup(&f.keys, request.clone(), &progress, &cancel).await.unwrap();
    let made = [first, (second, tree::digest(&f.source()).unwrap())];
    let objects_now = objects(&f.store).await;

    // The same backup made in a copy, with different content.
    f.write("small/new", "other");
    let copy = store_of(&before).await;
    let mut request = request;
    request.cache_dir = None;
    let repo = Repository::open(copy.clone()).await.unwrap();
    let forked = repo.backup(&f.keys, request, &progress, &cancel).await.unwrap();
    let fork = objects(&copy).await;

    let all = rounds(1) > 1;
    for (i, key) in objects_now.keys().enumerate() {
        for (j, how) in DAMAGES.into_iter().enumerate() {
            let is_turn = all || (i + j) % 3 == 0;
            let Some(objects) = damaged(&objects_now, &fork, key, how).filter(|_| is_turn) else { continue };
            let forked = &Fixture::manifest_of(&forked);
            Trial { f: &f, key, how, made: &made, fork: forked }.run(store_of(&objects).await).await;
        }
    }
}

impl Trial<'_> {
    async fn run(&self, store: Arc<dyn BackupStore>) {
        let context = format!("{:?} of {}", self.how, self.key);
        let repo = Repository::open(store.clone()).await.unwrap();
        let is_config = kind(self.key) == Kind::Config;
        assert_eq!(repo.description_problem().is_some(), is_config, "{context}: the second copy is read");
        let listed = repo.snapshots().await.unwrap();
        assert!(listed.summaries.len() + listed.unreadable.len() >= self.made.len() - 1, "{context}");
        let unlocked = repo.unlock(&Secret::new(KEY)).await;
        assert!(unlocked.is_ok(), "{context}: {unlocked:?}");
        let (progress, cancel) = (Progress::none(), Cancel::new());
        let verify = |depth| repo.verify(depth, Some(&self.f.identity), &progress, &cancel);
        let full = verify(VerifyDepth::Full).await.unwrap();
        let quick = verify(VerifyDepth::Quick).await.unwrap();
        self.is_named(&full, &context);
        let same_size = matches!(self.how, Damage::Flip(_));
        if kind(self.key) != Kind::Pack || !same_size {
            self.is_named(&quick, &format!("quick, {context}"));
        }
        for (n, (made, expected)) in self.made.iter().enumerate() {
            self.restore(&repo, n, made, expected, &full, &context).await;
        }
        // A new backup itself is complete. It cannot read packs, and only detects a missing or truncated one.
        let last = self.f.repo_backup(&repo).await;
        if kind(self.key) == Kind::Pack && same_size {
            return;
        }
        let report = verify(VerifyDepth::Full).await.unwrap();
        assert!(report.good.contains(&last.to_string()), "{context}: {:?}", report.problems);
    }

    fn is_named(&self, report: &VerifyReport, context: &str) {
        let newest = self.made.last().unwrap().0.id.to_string();
        if self.how == Damage::Delete && kind(self.key) == Kind::Summary && self.key.contains(&newest) {
            // Looks like the state of an interrupted run.
            return;
        }
        if self.how == Damage::Delete && self.key.starts_with("keys/") && self.key.ends_with(".json") {
            // A key of an earlier format has no statement.
            return;
        }
        let index_gone = self.how == Damage::Delete && kind(self.key) == Kind::Index;
        let object = if index_gone { "index/" } else { self.key };
        let keys_gone = self.how == Damage::Delete && kind(self.key) == Kind::Key;
        let object = if keys_gone { "keys/" } else { object };
        let certificate_gone = self.how == Damage::Delete && self.key.starts_with("writers/");
        let object = if certificate_gone { "writers/" } else { object };
        // A validly signed summary of other content is detected by its missing manifest.
        let fork = self.how == Damage::Fork && kind(self.key) == Kind::Summary;
        let object = if fork { self.fork } else { object };
        let named = report.problems.iter().any(|p| p.object == object);
        assert!(named, "{context}: not named in {:?}", report.problems);
    }

    async fn restore(
        &self,
        repo: &Repository,
        n: usize,
        made: &Summary,
        expected: &Digest,
        report: &VerifyReport,
        context: &str,
    ) {
        let id = &made.id;
        let target = tempfile::tempdir().unwrap();
        let request = RestoreRequest::under(target.path());
        let done = repo.restore(&self.f.identity, id, &request, &Progress::none(), &Cancel::new()).await;
        let own = self.key.contains(id.as_str()) || self.key == Fixture::manifest_of(made);
        let affected = report.damaged.contains(&id.to_string());
        let restored = target.path().join(self.f.source().strip_prefix("/").unwrap());
        match done {
            Err(e) => {
                assert!(own, "{context}: {id} is refused: {e}");
                assert!(affected || e.is(&codes::BACKUP_UNKNOWN), "{context}: {e}");
                assert!(!restored.exists(), "{context}: {id} was refused and written");
            }
            Ok(done) => {
                assert!(!own, "{context}: {id} is restored all the same");
                // A restore reads only the needed parts of a pack, and may not detect damage in the rest.
                let spared = affected && done.is_complete() && kind(self.key) == Kind::Pack;
                assert!(spared || done.is_complete() != affected, "{context}: {id}: {:?}", done.failed);
                let failed: Vec<&Path> = done.failed.iter().map(|f| f.path.as_path()).collect();
                let found = tree::digest(&restored).unwrap();
                self.rest_is_right(expected, &found, &failed, context);
                if !matches!(kind(self.key), Kind::Pack | Kind::Index) {
                    assert!(done.is_complete(), "{context}: {id}");
                }
                if let (Kind::Pack, 0) = (kind(self.key), n) {
                    // Each backup has its own pack, and the first needs nothing of the second.
                    assert!(done.failed.len() < expected.len(), "{context}");
                }
            }
        }
    }

    fn rest_is_right(&self, expected: &Digest, found: &Digest, failed: &[&Path], context: &str) {
        let source = self.f.source();
        let has_failed = |path: &Path| failed.contains(&source.join(path).as_path());
        let mut rest = expected.clone();
        rest.retain(|path, _| !has_failed(path));
        let mut found = found.clone();
        for entries in [&mut rest, &mut found] {
            // If only one of its names exists, a file is no hard link.
            for (path, entry) in entries.iter_mut() {
                if let tree::Kind::File { hard_link, .. } = &mut entry.kind
                    && !path.as_os_str().is_empty()
                {
                    *hard_link = None;
                }
            }
        }
        let differences = tree::compare(&rest, &found);
        assert!(differences.is_empty(), "{context}: {differences:?}");
    }
}

impl Fixture {
    /// Makes a backup into another copy of the repository.
    async fn repo_backup(&self, repo: &Repository) -> BackupId {
        let mut request = self.request();
        request.cache_dir = None;
        repo.backup(&self.keys, request, &Progress::none(), &Cancel::new()).await.unwrap().id
    }
}
