//! A sweep over the states in which a machine's life cycle can be interrupted, and over the commands typed
//! then.
//!
//! For each state, a command is typed, and after every error one of the commands in its `next:` hint, until a
//! command succeeds. Then either there is a healthy machine that makes backups, or there is none and one can
//! be created. No backup is lost unless its removal was requested. The short form covers a part; with
//! `CLOUDRON_TEST_ROUNDS=1` every command is typed in every state, and higher values try more of the hints.

#[path = "../common/mod.rs"]
mod common;
mod scene;

use std::time::Duration;

use cloudron_testkit::hints::{hints, next};
use scene::{Cut, DEMO, Scene, State};

/// Maximum number of errors in a row, after which the hints are taken to be circular.
const PATIENCE: usize = 5;

/// The steps of a local machine.
const STEPS: [&str; 6] = ["first-contact", "program", "server", "start", "health", "record"];

fn states() -> Vec<State> {
    let mut states = vec![
        State::Clean,
        State::Made { backups: 0 },
        State::Made { backups: 1 },
        State::MadeWithGeneratedKey,
        State::Destroyed { backups: 0 },
        State::Destroyed { backups: 2 },
        State::Lost { backups: 0 },
        State::Lost { backups: 1 },
        State::RollbackCut,
    ];
    for step in ["program", "server", "start", "record"] {
        states.push(State::Failed { step, keep: false });
        if step != "record" {
            states.push(State::Failed { step, keep: true });
        }
    }
    for step in STEPS {
        states.push(State::CreateCut { kind: "intent", step, cut: Cut::Kill });
        states.push(State::CreateCut { kind: "done", step, cut: Cut::Kill });
        states.push(State::CreateCut { kind: "intent", step, cut: Cut::Interrupt });
    }
    for step in ["server", "restore", "start"] {
        states.push(State::RestoreCut { step, cut: Cut::Kill });
        states.push(State::RestoreCut { step, cut: Cut::Interrupt });
    }
    for millis in [10, 30, 60, 120] {
        states.push(State::DestroyCut { after: Duration::from_millis(millis) });
    }
    states
}

/// Returns the commands typed first.
fn actions() -> Vec<Vec<&'static str>> {
    let create = ["machine", "create", "local", "--fqdn", DEMO, "--yes"];
    let key = ["--backup-key", "file:key"];
    vec![
        [&create[..], &key].concat(),
        create.to_vec(),
        [&create[..], &key, &["--resume"]].concat(),
        [&create[..], &key, &["--backup", "latest"]].concat(),
        [&create[..], &key, &["--discard-backups"]].concat(),
        vec!["machine", "destroy", DEMO, "--yes"],
        vec!["machine", "destroy", DEMO, "--delete-backups", "--yes"],
        vec!["machine", "adopt", DEMO, "--yes"],
        vec!["machine", "status", DEMO],
        vec!["machine", "backup", "list", DEMO],
    ]
}

/// Types a command and then the commands in the hints of its errors, choosing hint number `turn` of each,
/// until one succeeds.
fn typed(scene: &Scene, action: &[&str], turn: usize, story: &mut String) {
    let mut command: Vec<String> = action.iter().map(ToString::to_string).collect();
    for n in 0..PATIENCE {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let run = scene.home.run(&words);
        let line = command.join(" ");
        story.push_str(&format!("$ cloudron {line}   [{}]\n{}\n", run.code, run.stderr.trim_end()));
        if run.code == 0 {
            return;
        }
        let ways = hints(&run.stderr, "file:key");
        assert!(!ways.is_empty(), "an error names no way on: {story}");
        command = next(&command, &ways[(turn + n) % ways.len()]);
    }
    panic!("the hints lead nowhere: {story}");
}

/// Types a command in a state, and checks the result.
fn out_of_trouble(state: State, action: &[&str], turn: usize) {
    let scene = Scene::new(state);
    scene.clear();
    let before = scene.backups();
    let mut story = format!("{state:?}, turn {turn}, typed:\n");
    typed(&scene, action, turn, &mut story);
    if !machine(&scene) {
        // There is no machine, so that one can be created.
        typed(&scene, &scene.create(&[]), turn, &mut story);
    }
    if !machine(&scene) {
        typed(&scene, &scene.create(&[]), turn + 1, &mut story);
    }
    for command in [&["machine", "backup", "create", DEMO], &["machine", "status", DEMO][..]] {
        let run = scene.home.run(command);
        assert_eq!(run.code, 0, "the machine is not healthy: {}\n{story}", run.stderr);
    }
    // The typed commands, without hints.
    let mut typed = story.lines().filter(|line| line.starts_with("$ "));
    let asked = typed.any(|line| line.contains("--delete-backups") || line.contains("--discard-backups"));
    let after = scene.backups();
    assert!(asked || before.iter().all(|id| after.contains(id)), "backups were lost: {story}");
}

/// Returns true if there is a machine.
fn machine(scene: &Scene) -> bool {
    let machines = scene.home.json(&["machine", "list"]);
    let state = machines["machines"][0]["state"].as_str().unwrap_or_default();
    !state.is_empty() && !state.starts_with("unfinished")
}

#[test]
fn every_error_names_a_way_that_leads_out_of_the_trouble() {
    let (states, actions) = (states(), actions());
    // The number of hints tried per error, for every state and command.
    let rounds: usize = std::env::var("CLOUDRON_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let only = std::env::var("CLOUDRON_TEST_STATE").ok();
    let mut cases = Vec::new();
    for (s, state) in states.iter().enumerate() {
        for (a, action) in actions.iter().enumerate() {
            // The short form types one command in every third state.
            let short = rounds == 0 && s % 3 == 0 && a == s % actions.len();
            cases.extend(
                (0..rounds.max(usize::from(short))).map(|turn| (*state, action.clone(), turn + s + a)),
            );
        }
    }
    if let Some(only) = only {
        cases.retain(|(state, _, _)| format!("{state:?}").contains(&only));
    }
    let cases = std::sync::Mutex::new(cases);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // The lock is not held while a case runs.
                let next = || cases.lock().unwrap().pop();
                while let Some((state, action, turn)) = next() {
                    let run = std::panic::catch_unwind(|| out_of_trouble(state, &action, turn));
                    if let Err(panic) = run {
                        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                        failures.lock().unwrap().push(format!("{}\nturn {turn}: {text}", action.join(" ")));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} cases fail:\n\n{}", failures.len(), failures.join("\n\n"));
}
