//! Crashed processes, dropped runs and panicking steps: the journal records what may have been done.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::Result;
use cloudron_provision::steps::{Check, Journal, StepState, Undo};
use cloudron_provision::{Context, Step, codes};
use serde_json::{Value, json};

use crate::bench::{Bench, CALLS, Fault, spec};

#[test]
fn a_run_that_died_at_any_call_is_finished_by_a_resume_with_everything_once() {
    for call in 0..CALLS {
        for fault in [Fault::DieBefore, Fault::DieAfter] {
            let bench = Bench::at(call, fault);
            assert!(
                bench.run_until_it_dies(&bench.runner(), None).is_none(),
                "it did not die at call {call}"
            );
            bench.resume().unwrap();
            bench.everything_exists_once();
            bench.nothing_is_unfinished();
        }
    }
}

#[test]
fn no_step_is_applied_without_a_look_right_before() {
    for call in 0..CALLS {
        for fault in [Fault::DieBefore, Fault::DieAfter, Fault::Lost] {
            let bench = Bench::at(call, fault);
            if bench.run_until_it_dies(&bench.runner(), None).is_none() {
                bench.resume().unwrap();
            }
            let calls = bench.calls();
            for (n, made) in calls.iter().enumerate() {
                if let Some(id) = made.strip_prefix("apply ") {
                    assert_eq!(calls[n - 1], format!("check {id}"), "{calls:#?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_run_that_is_dropped_while_a_call_is_under_way_still_records_how_it_ended() {
    struct Slow;
    #[async_trait]
    impl Step for Slow {
        fn id(&self) -> &'static str {
            "slow"
        }
        fn plan(&self) -> String {
            "Take a while".into()
        }
        async fn check(&self, _: &Context) -> Result<Check> {
            Ok(Check::Absent)
        }
        async fn apply(&self, _: &Context) -> Result<Value> {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(json!("the answer"))
        }
        async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
            Ok(Undo::Undone)
        }
    }
    let bench = Bench::new();
    let steps: Vec<Arc<dyn Step>> = vec![Arc::new(Slow)];
    let (runner, context, runs) =
        (bench.runner(), bench.context(&bench.cancel), bench.folder.path().join("runs"));
    let state = || Journal::list(&runs).ok().and_then(|mut s| s.pop());
    let begun = async {
        while state().is_none_or(|s| s.step_state("slow") != StepState::InDoubt) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = runner.run(spec(), &steps, &context) => panic!("it was to be dropped"),
        () = begun => {}
    }
    let run = state().unwrap().run().to_string();
    // Nobody else may begin while the call is under way.
    assert!(runner.resume(&run, &steps, &context).await.unwrap_err().is(&codes::RUN_BUSY));
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(state().unwrap().output("slow"), Some(&json!("the answer")));
}

#[tokio::test]
async fn a_panic_in_a_step_is_an_error_and_leaves_the_step_in_doubt() {
    struct Panics;
    #[async_trait]
    impl Step for Panics {
        fn id(&self) -> &'static str {
            "panics"
        }
        fn plan(&self) -> String {
            "Panic".into()
        }
        async fn check(&self, _: &Context) -> Result<Check> {
            Ok(Check::Absent)
        }
        async fn apply(&self, _: &Context) -> Result<Value> {
            panic!("a fault in the program")
        }
        async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
            Ok(Undo::Undone)
        }
    }
    let bench = Bench::new();
    let steps: Vec<Arc<dyn Step>> = vec![Arc::new(Panics)];
    let error =
        bench.runner().keep(true).run(spec(), &steps, &bench.context(&bench.cancel)).await.unwrap_err();
    assert!(error.is(&codes::STEP_PANICKED), "{error:?}");
    let states = Journal::list(&bench.folder.path().join("runs")).unwrap();
    assert_eq!(states[0].step_state("panics"), StepState::InDoubt);
}
