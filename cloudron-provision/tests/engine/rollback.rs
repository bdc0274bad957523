//! A failure rolls back the changes of the run, and nothing else.

use std::sync::Arc;

use cloudron_core::{Error, Result};
use cloudron_provision::steps::{Outputs, Phase};
use cloudron_provision::{CloudProvider, Context, Remote, Step, codes};

use crate::bench::{Bench, CALLS, Fault, IDS, Thing, spec};

#[test]
fn a_failure_at_any_step_takes_back_what_the_run_made_in_reverse() {
    for call in 0..CALLS {
        let bench = Bench::at(call, Fault::Fail);
        let error = bench.run_until_it_dies(&bench.runner(), None).unwrap().unwrap_err();
        assert!(error.is(&codes::REMOTE_COMMAND), "{error:?}");
        bench.nothing_exists();
        bench.nothing_is_unfinished();
        let undone: Vec<String> = bench.calls().into_iter().filter(|c| c.starts_with("undo")).collect();
        let applied: Vec<String> = bench.calls().into_iter().filter(|c| c.starts_with("apply")).collect();
        let mirrored: Vec<String> = applied.iter().rev().map(|c| c.replace("apply", "undo")).collect();
        assert_eq!(undone, mirrored);
    }
}

#[test]
fn a_rollback_that_died_at_any_call_is_finished_by_a_resume() {
    // The last apply fails; then four undos follow.
    for undo in 0..IDS.len() {
        for fault in [Fault::DieBefore, Fault::DieAfter] {
            let bench = Bench::at(CALLS - 1, Fault::Fail);
            let dies_at = CALLS + undo;
            let steps = bench.steps_failing_last(dies_at, fault);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (runner, context) = (bench.runner(), bench.context(&bench.cancel));
            let died = runtime.block_on(bench.until_death(runner.run(spec(), &steps, &context)));
            assert!(died.is_none(), "it did not die at call {dies_at}");
            drop(runtime);
            let error = bench.resume().unwrap_err();
            assert!(error.is(&codes::RUN_ROLLED_BACK), "{error:?}");
            bench.nothing_exists();
            bench.nothing_is_unfinished();
        }
    }
}

impl Bench {
    /// Returns steps of which the last fails, and that crash at a later call.
    fn steps_failing_last(&self, dies_at: usize, fault: Fault) -> Vec<Arc<dyn Step>> {
        let mut steps = self.steps(&self.cancel);
        steps[3] = Arc::new(Thing { arms: Some((dies_at, fault)), ..self.thing(IDS[3], &self.cancel) });
        steps
    }
}

#[tokio::test]
async fn what_was_there_before_is_adopted_and_not_taken_back() {
    let bench = Bench::at(CALLS - 2, Fault::Fail);
    bench.world.lock().unwrap().exists.insert("two", 1);
    bench.run(&bench.runner()).await.unwrap_err();
    let left: Vec<_> = bench.world.lock().unwrap().exists.keys().copied().collect();
    assert_eq!(left, ["two"]);
}

#[tokio::test]
async fn past_the_point_of_no_return_nothing_is_taken_back() {
    let bench = Bench::at(CALLS - 1, Fault::Fail);
    let mut steps = bench.steps(&bench.cancel);
    steps[1] = Arc::new(Thing { final_step: true, ..bench.thing("two", &bench.cancel) });
    let error = bench.runner().run(spec(), &steps, &bench.context(&bench.cancel)).await.unwrap_err();
    assert!(error.is(&codes::RUN_UNFINISHED), "{error:?}");
    assert_eq!(bench.world.lock().unwrap().exists.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_undone_is_told_and_the_rest_is_undone() {
    let bench = Bench::at(CALLS - 1, Fault::Fail);
    let mut steps = bench.steps(&bench.cancel);
    steps[1] = Arc::new(Thing { stubborn: true, ..bench.thing("two", &bench.cancel) });
    let error = bench.runner().run(spec(), &steps, &bench.context(&bench.cancel)).await.unwrap_err();
    assert!(error.is(&codes::UNDO_FAILED) && error.message().contains("two: it stays"), "{error:?}");
    assert_eq!(bench.world.lock().unwrap().exists.keys().copied().collect::<Vec<_>>(), ["two"]);
    // The run is still there, and going back again finishes it.
    let open = bench.runner().unfinished(None).unwrap();
    assert_eq!(open[0].phase, Phase::Back);
    std::thread::scope(|scope| scope.spawn(|| bench.resume().unwrap_err()).join().map(drop)).unwrap();
    bench.nothing_exists();
    bench.nothing_is_unfinished();
}

/// A provider whose machine refuses every login.
struct Locked;

#[async_trait::async_trait]
impl CloudProvider for Locked {
    fn name(&self) -> &'static str {
        "locked"
    }

    async fn preflight(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn steps(&self, _: &str) -> Vec<Arc<dyn Step>> {
        Vec::new()
    }

    async fn connect(&self, _: &Outputs) -> Result<Arc<dyn Remote>> {
        Err(Error::new(&codes::HOST_KEY_CHANGED, "another key"))
    }
}

#[tokio::test]
async fn a_machine_that_cannot_be_logged_in_to_leaves_the_run_able_to_go_on() {
    let bench = Bench::at(3, Fault::Fail);
    let locked = Context::new("example.com", Arc::new(Locked)).cancelled_by(&bench.cancel);
    let steps = bench.steps(&bench.cancel);
    let error = bench.runner().run(spec(), &steps, &locked).await.unwrap_err();
    assert!(error.is(&codes::HOST_KEY_CHANGED), "{error:?}");
    assert_eq!(error.detail("domain"), Some("example.com"));
    let run = bench.runner().unfinished(None).unwrap().remove(0);
    assert_eq!(run.phase, Phase::Forward);

    // Nor does the wish to undo it change that.
    let error = bench.runner().rollback(&run.run, &steps, &locked).await.unwrap_err();
    assert!(error.is(&codes::HOST_KEY_CHANGED), "{error:?}");
    assert_eq!(bench.runner().unfinished(None).unwrap()[0].phase, Phase::Forward);
    assert!(!bench.calls().iter().any(|call| call.starts_with("undo")));

    bench.runner().resume(&run.run, &steps, &bench.context(&bench.cancel)).await.unwrap();
    bench.everything_exists_once();
    bench.nothing_is_unfinished();
}
