//! Backups and restores killed at any point.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::child::{Die, outcome};
use crate::world::{World, rounds, seed, temporary_files};

/// The number of rounds in one world, since backups add up.
const ROUNDS_OF_A_WORLD: u64 = 12;

#[tokio::test]
async fn a_backup_that_is_killed_harms_none_and_leaves_nothing_behind() {
    let rounds = rounds(6);
    let (mut killed, mut round) = (0, 0);
    while round < rounds {
        let seed = seed() + round;
        let mut world = World::new(seed).await;
        let (calls, time) = unharmed(&mut world).await;
        for _ in 0..ROUNDS_OF_A_WORLD.min(rounds - round) {
            killed += u64::from(killed_once(&mut world, round, calls, time).await);
            round += 1;
        }
        world.all_restore(&format!("seed {seed}")).await;
    }
    assert!(killed * 2 > rounds, "only {killed} of {rounds} were killed in time");
}

/// Returns the approximate number of store calls of a backup, and its duration.
async fn unharmed(world: &mut World) -> (u64, Duration) {
    let begun = Instant::now();
    let spec = world.backup_spec(None);
    let status = spec.command(&world.folder(), &[]).status().unwrap();
    assert!(outcome(&world.folder(), status).is_some_and(|o| o.is_ok()));
    world.made.insert(spec.id, world.source());
    (14, begun.elapsed())
}

/// Kills one backup, checks the state, and makes the next one. Returns whether it was killed before its end.
async fn killed_once(world: &mut World, round: u64, calls: u64, time: Duration) -> bool {
    world.change();
    let by_call = round % 3 != 2;
    let die = Die { at_call: world.rng.below(calls), after: world.rng.below(2) == 0 };
    let spec = world.backup_spec(by_call.then_some(die));
    let mut process = spec.command(&world.folder(), &[]).spawn().unwrap();
    let wait = Duration::from_micros(world.rng.below(time.as_micros() as u64));
    if !by_call {
        std::thread::sleep(wait);
        let _ = process.kill();
    }
    let status = process.wait().unwrap();
    let ended = outcome(&world.folder(), status);
    let context = match by_call {
        true => format!("round {round}, {die:?}"),
        false => format!("round {round}, killed after {wait:?}"),
    };
    assert!(ended.as_ref().is_none_or(|o| o.is_ok()), "{context}: {ended:?}");
    world.check(Some(&spec.id), &context).await;
    if ended.is_some() {
        assert!(world.made.contains_key(&spec.id), "{context}: it is not listed");
    }
    world.change();
    a_day_passes(&world.cache());
    world.backup().await;
    world.check(None, &context).await;
    assert_eq!(world.orphans().await, Vec::<String>::new(), "{context}");
    ended.is_none()
}

/// Makes temporary files a day old, so that those without a lock are removed: the record of backups seen has
/// one for a moment.
fn a_day_passes(cache: &Path) {
    for file in temporary_files(cache) {
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(25 * 3600)).unwrap();
    }
}

#[tokio::test]
async fn a_restore_that_is_killed_leaves_no_half_file_under_its_name_and_can_be_repeated() {
    let mut world = World::new(seed()).await;
    world.backup().await;
    let id = world.made.keys().next().unwrap().clone();
    let mut spec = world.backup_spec(None);
    spec.id = id.clone();
    let target = world.f.target("killed");
    spec.work =
        crate::child::Work::Restore { identity: world.f.identity.to_secret(), target: target.clone() };
    let begun = Instant::now();
    assert!(spec.command(&world.folder(), &[]).status().unwrap().success());
    let time = begun.elapsed();
    for round in 0..rounds(4) {
        std::fs::remove_dir_all(&target).unwrap();
        let mut process = spec.command(&world.folder(), &[]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(world.rng.below(time.as_micros() as u64)));
        let _ = process.kill();
        let status = process.wait().unwrap();
        let ended = outcome(&world.folder(), status);
        assert!(ended.is_none_or(|o| o.is_ok()));
        let found = cloudron_testkit::tree::digest(&world.f.restored("killed")).unwrap_or_default();
        for (path, entry) in &found {
            let is_file = matches!(entry.kind, cloudron_testkit::tree::Kind::File { .. });
            let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
            if is_file && !hidden {
                assert_eq!(Some(entry), world.made[&id].get(path), "round {round}: {path:?}");
            }
        }
        // The next one completes it.
        assert!(spec.command(&world.folder(), &[]).status().unwrap().success(), "round {round}");
        let found = cloudron_testkit::tree::digest(&world.f.restored("killed")).unwrap();
        let left = temporary_files(&target);
        let differences = cloudron_testkit::tree::compare(&world.made[&id], &found);
        assert!(differences.is_empty(), "round {round}: {differences:?}, {left:?}");
    }
}
