//! A compromised server: with its keys, and credentials that can only add objects, the attacker claims that
//! every chunk is in a pack of random data.

use cloudron_testkit::forge::{Object, frame, hash, line};
use serde_json::Value;

use crate::repo::{Repo, noise};

/// Returns a pack of random data, and an index object that sorts first and locates every chunk in it with
/// this length.
fn rubbish(repo: &Repo, length: u64) -> [Object; 2] {
    let thief = repo.thief();
    let lines: Vec<Value> =
        repo.objects("index").iter().flat_map(|(_, content)| thief.read_index(content)).collect();
    let chunks = lines.iter().flat_map(|l| l["chunks"].as_array().unwrap());
    let chunks: Vec<_> =
        chunks.map(|c| (c[0].as_str().unwrap().to_owned(), 0, length, c[3].as_u64().unwrap())).collect();
    assert!(!chunks.is_empty(), "a writer's keys open the index");
    let pack = thief.pack(&frame(b"rubbish"));
    let line = line(&hash(&pack.1), pack.1.len() as u64, &chunks);
    let others = repo.objects("index");
    let sorts_first = |object: &Object| others.iter().all(|other| object.0 < other.0);
    let index =
        std::iter::repeat_with(|| thief.index("index", std::slice::from_ref(&line))).find(sorts_first);
    [pack, index.unwrap()]
}

fn attacked(length: u64) {
    let repo = Repo::new();
    let ours = repo.packs();
    repo.put(rubbish(&repo, length));
    // The real content is still found.
    repo.restores();
    // The next backup of an honest machine does not rely on the random data.
    repo.write("next", &noise(200_000, 5));
    repo.create();
    for _ in 0..3 {
        let run = repo.owner(&["prune", "--keep-last", "10"]);
        assert!([0, 10].contains(&run.code), "{}", run.stderr);
        repo.a_day_passes();
    }
    for pack in ours {
        assert!(repo.packs().contains(&pack), "a pack that is needed was deleted");
    }
    repo.restores();
    let verified = repo.owner(&["verify"]);
    let good = verified.code == 0 || verified.stdout.contains("index/") || verified.stderr.contains("index/");
    assert!(good, "{}\n{}", verified.stdout, verified.stderr);
}

#[test]
fn a_pack_of_rubbish_with_believable_lengths_loses_nothing() {
    attacked(16);
}

#[test]
fn a_pack_of_rubbish_with_huge_lengths_loses_nothing() {
    attacked(1 << 31);
}

#[test]
fn later_backups_of_a_machine_do_not_rely_on_what_another_one_says() {
    let repo = Repo::new();
    // The thief names the chunks of a content that an honest machine will have later.
    let thief = repo.thief();
    let tomorrow = noise(100_000, 6);
    let claimed = |content: &[u8]| (thief.chunk_id(content), 0, 16, content.len() as u64);
    let pack = thief.pack(&frame(b"rubbish"));
    let whole = claimed(&tomorrow);
    let line = line(&hash(&pack.1), pack.1.len() as u64, &[whole]);
    let index = thief.index("index", &[line]);
    repo.put([pack, index]);
    std::fs::remove_dir_all(repo.home.path("files")).unwrap();
    std::fs::create_dir(repo.home.path("files")).unwrap();
    repo.write("tomorrow", &tomorrow);
    let made = repo.create();
    assert!(made["added_bytes"].as_u64().unwrap() > 100_000, "{made}");
    let run = repo.owner(&["restore", made["id"].as_str().unwrap(), "--target", "back"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}
