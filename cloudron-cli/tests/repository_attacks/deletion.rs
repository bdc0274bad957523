//! An attacker without keys who can add one object tries to make the owner's prune delete packs.

use cloudron_testkit::forge::Object;

use crate::repo::Repo;

/// Seals an object until its name sorts before those of all index objects.
fn first(repo: &Repo) -> Object {
    let lines = repo.empty_lines();
    let others = repo.objects("index");
    let sorts_first = |object: &Object| others.iter().all(|other| object.0 < other.0);
    std::iter::repeat_with(|| repo.stranger().index("index", &lines)).find(sorts_first).unwrap()
}

#[test]
fn a_record_of_the_condemned_that_the_owner_did_not_write_deletes_no_pack() {
    let repo = Repo::new();
    let packs = repo.packs();
    repo.put([repo.stranger().index("condemned", &repo.empty_lines())]);
    repo.a_day_passes();
    let run = repo.prune(&[]);
    assert!(run.stderr.contains("condemned/"), "the object is named: {}", run.stderr);
    assert_eq!(repo.packs(), packs);
    repo.restores();
}

#[test]
fn a_line_without_chunks_condemns_no_pack() {
    let repo = Repo::new();
    let packs = repo.packs();
    repo.put([first(&repo)]);
    for _ in 0..3 {
        repo.prune(&[]);
        repo.a_day_passes();
    }
    assert_eq!(repo.packs(), packs);
    repo.restores();
}

#[test]
fn a_line_without_chunks_deletes_no_pack_in_one_run_without_grace() {
    let repo = Repo::new();
    let packs = repo.packs();
    repo.put([first(&repo)]);
    repo.prune(&["--grace", "0"]);
    repo.prune(&["--grace", "0"]);
    assert_eq!(repo.packs(), packs);
    repo.restores();
}

#[test]
fn a_forged_record_makes_no_backup_upload_everything_again() {
    let repo = Repo::new();
    repo.put([repo.stranger().index("condemned", &repo.empty_lines())]);
    for _ in 0..2 {
        let added = repo.create()["added_bytes"].as_u64().unwrap();
        assert!(added < 100_000, "{added} bytes of unchanged files were added");
    }
    repo.restores();
}

#[test]
fn what_a_prune_deleted_and_somebody_put_back_harms_nothing() {
    let repo = Repo::new();
    repo.write("large", &crate::repo::noise(4_000_000, 7));
    let newest = repo.create()["id"].as_str().unwrap().to_owned();
    let mut before = Vec::new();
    for _ in 0..3 {
        before.extend(
            ["index", "condemned", "snapshots", "packs", "forgotten"].map(|f| repo.objects(f)).concat(),
        );
        let run = repo.owner(&["prune", "--keep-last", "1"]);
        if run.code != 0 {
            assert_eq!(
                repo.owner(&["prune", "--keep-last", "1", "--allow-removals"]).code,
                0,
                "{}",
                run.stderr
            );
        }
        repo.a_day_passes();
    }
    before.sort();
    before.dedup();
    before.retain(|(key, _)| !repo.store().join(key).exists());
    assert!(!before.is_empty(), "the prunes deleted something");
    repo.put(before);
    for _ in 0..3 {
        let _ = repo.owner(&["prune"]);
        repo.a_day_passes();
    }
    let latest = repo.owner(&["restore", "latest", "--target", "back"]);
    assert_eq!(latest.code, 0, "{}", latest.stderr);
    assert!(
        latest.stdout.contains(&newest) || latest.stderr.contains(&newest) || repo.ids().contains(&newest)
    );
    let back = repo.home.path("back").join(repo.home.path("files/large").strip_prefix("/").unwrap());
    assert_eq!(std::fs::read(back).unwrap(), crate::repo::noise(4_000_000, 7));
}

#[test]
fn a_machines_prune_believes_no_forged_record() {
    let home = crate::common::Home::new();
    let created = home.create("example.com", &[]);
    assert_eq!(created.code, 0, "{}", created.stderr);
    home.ok(&["machine", "backup", "create", "example.com"]);
    let store = home.store("example.com");
    let repo = Repo { home };
    std::os::unix::fs::symlink(&store, repo.store()).unwrap();
    let packs = repo.packs();
    assert!(!packs.is_empty());
    repo.put([repo.stranger().index("condemned", &repo.empty_lines())]);
    repo.a_day_passes();
    let prune = ["machine", "backup", "prune", "example.com", "--backup-key", "file:key", "--keep-last", "9"];
    let run = repo.home.run(&prune);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(repo.packs(), packs);
    repo.home.ok(&["machine", "backup", "verify", "example.com"]);
}
