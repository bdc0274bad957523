//! Runs without faults, and the exclusion of concurrent runs.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudron_core::Progress;
use cloudron_provision::codes;
use serde_json::json;

use crate::bench::{Bench, Fault, IDS, spec};

#[tokio::test]
async fn a_run_does_its_steps_in_order_and_gives_their_outputs() {
    let bench = Bench::new();
    let context = bench.context(&bench.cancel);
    let outputs = bench.runner().run(spec(), &bench.steps(&bench.cancel), &context).await.unwrap();
    assert_eq!(outputs["three"], json!({ "id": "three" }));
    let expected: Vec<String> =
        IDS.iter().flat_map(|id| [format!("check {id}"), format!("apply {id}")]).collect();
    assert_eq!(bench.calls(), expected);
    bench.nothing_is_unfinished();
}

#[tokio::test]
async fn progress_tells_each_step_by_its_plan() {
    let bench = Bench::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = told.clone();
    let progress = Progress::to(move |event| {
        if let cloudron_core::Event::Started { label, .. } = event {
            sink.lock().unwrap().push(label.clone());
        }
    });
    let context = bench.context(&bench.cancel).progress(&progress);
    bench.runner().run(spec(), &bench.steps(&bench.cancel), &context).await.unwrap();
    assert_eq!(*told.lock().unwrap(), ["Make one", "Make two", "Make three", "Make four"]);
}

#[tokio::test]
async fn journals_are_private_files() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    bench.run(&bench.runner()).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = bench.folder.path().join("runs");
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[tokio::test]
async fn a_second_run_of_the_same_name_is_told_to_wait_while_the_first_runs() {
    let bench = Bench::at(3, Fault::DieBefore);
    let (runner, context, steps) = (bench.runner(), bench.context(&bench.cancel), bench.steps(&bench.cancel));
    let first = runner.run(spec(), &steps, &context);
    tokio::pin!(first);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut first).await.is_err());
    let run = runner.unfinished(None).unwrap()[0].run.clone();
    let error = runner.resume(&run, &steps, &context).await.unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("run-busy", 5));
    // Not that it is unfinished, with the advice to resume or to destroy what somebody works on.
    let error = bench.run(&runner).await.unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("run-busy", 5));
    assert!(runner.check_idle(&spec().fqdn).unwrap_err().is(&codes::RUN_BUSY));
    runner.check_idle("other.org").unwrap();
}

#[tokio::test]
async fn a_second_run_of_the_same_name_is_refused_after_the_first_stopped() {
    let bench = Bench::at(3, Fault::Fail);
    bench.run(&bench.runner().keep(true)).await.unwrap_err();
    bench.runner().check_idle(&spec().fqdn).unwrap();
    let error = bench.run(&bench.runner()).await.unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("run-exists", 5));
}

#[tokio::test]
async fn a_run_is_resumed_only_with_the_steps_it_was_begun_with() {
    let bench = Bench::at(3, Fault::Fail);
    bench.run(&bench.runner().keep(true)).await.unwrap_err();
    let run = bench.runner().unfinished(None).unwrap()[0].run.clone();
    let fewer = &bench.steps(&bench.cancel)[..2];
    let error = bench.runner().resume(&run, fewer, &bench.context(&bench.cancel)).await.unwrap_err();
    assert!(error.is(&codes::RUN_PLAN_CHANGED), "{error:?}");
    let error = bench
        .runner()
        .resume("01arz3ndektsv4rrffq69g5fav", fewer, &bench.context(&bench.cancel))
        .await
        .unwrap_err();
    assert_eq!(error.kind().exit_code(), 3);
    bench.runner().abandon(&run).unwrap();
    bench.nothing_is_unfinished();
}
