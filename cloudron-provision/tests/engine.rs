//! The step engine, killed and failed at every point.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Cancel, Error, Progress, Result, RetryPolicy};
use cloudron_provision::local::Local;
use cloudron_provision::steps::{Check, Journal, Phase, StepState, Undo};
use cloudron_provision::{Context, Runner, Spec, Step, codes};
use serde_json::{Value, json};

/// The world that steps change: what exists, and every call that was made.
#[derive(Default)]
struct World {
    exists: BTreeMap<&'static str, u32>,
    calls: Vec<String>,
    /// The number of the call at which something happens.
    at: Option<(usize, Fault)>,
    /// The process died.
    dead: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    /// The process dies before the call changed anything.
    DieBefore,
    /// The process dies after the call changed the world.
    DieAfter,
    /// The call fails for good.
    Fail,
    /// The call fails for a passing reason, after it changed the world.
    Lost,
    /// The user stops the run during the call.
    Cancel,
}

type Shared = Arc<Mutex<World>>;

struct Thing {
    id: &'static str,
    world: Shared,
    cancel: Cancel,
    final_step: bool,
}

impl Thing {
    /// Counts a call, and says what is to happen at it.
    fn call(&self, what: &str) -> Option<Fault> {
        let mut world = self.world.lock().unwrap();
        world.calls.push(format!("{what} {}", self.id));
        let now = world.calls.len() - 1;
        world.at.filter(|(n, _)| *n == now).map(|(_, fault)| fault)
    }

    async fn die(&self) -> Result<()> {
        self.world.lock().unwrap().dead = true;
        std::future::pending().await
    }

    async fn change(&self, what: &str, change: impl FnOnce(&mut World)) -> Result<()> {
        match self.call(what) {
            Some(Fault::DieBefore) => return self.die().await,
            Some(Fault::Fail) => return Err(Error::new(&codes::REMOTE_COMMAND, "it failed")),
            Some(fault) => {
                change(&mut self.world.lock().unwrap());
                match fault {
                    Fault::DieAfter => return self.die().await,
                    Fault::Lost => return Err(Error::new(&codes::SSH_LOST, "cut")),
                    _ => self.cancel.cancel(),
                }
            }
            None => change(&mut self.world.lock().unwrap()),
        }
        Ok(())
    }
}

#[async_trait]
impl Step for Thing {
    fn id(&self) -> &'static str {
        self.id
    }

    fn plan(&self) -> String {
        format!("Make {}", self.id)
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        self.change("check", |_| {}).await?;
        let exists = self.world.lock().unwrap().exists.get(self.id).copied().unwrap_or(0);
        Ok(if exists > 0 { Check::Done(json!({ "id": self.id })) } else { Check::Absent })
    }

    async fn apply(&self, _: &Context) -> Result<Value> {
        let id = self.id;
        self.change("apply", |world| *world.exists.entry(id).or_default() += 1).await?;
        Ok(json!({ "id": self.id }))
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        let id = self.id;
        self.change("undo", |world| {
            world.exists.remove(id);
        })
        .await?;
        Ok(Undo::Undone)
    }

    fn point_of_no_return(&self) -> bool {
        self.final_step
    }
}

struct Bench {
    folder: tempfile::TempDir,
    world: Shared,
    cancel: Cancel,
}

const IDS: [&str; 4] = ["one", "two", "three", "four"];

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), world: Shared::default(), cancel: Cancel::new() }
    }

    fn at(call: usize, fault: Fault) -> Self {
        let bench = Self::new();
        bench.world.lock().unwrap().at = Some((call, fault));
        bench
    }

    fn steps(&self, cancel: &Cancel) -> Vec<Arc<dyn Step>> {
        let thing = |id| Thing { id, world: self.world.clone(), cancel: cancel.clone(), final_step: false };
        IDS.into_iter().map(|id| Arc::new(thing(id)) as Arc<dyn Step>).collect()
    }

    fn runner(&self) -> Runner {
        let quick = RetryPolicy::attempts(3).waits(Duration::from_millis(1), Duration::from_millis(1));
        Runner::new(self.folder.path().join("runs")).retries(quick)
    }

    fn context(&self, cancel: &Cancel) -> Context {
        Context::new("example.com", Arc::new(Local::new(self.folder.path()))).cancelled_by(cancel)
    }

    async fn run(&self, runner: &Runner) -> Result<()> {
        let context = self.context(&self.cancel);
        runner.run(spec(), &self.steps(&self.cancel), &context).await.map(|_| ())
    }

    /// As a process that dies: the run is dropped where it stands, and so is its runtime.
    fn run_until_it_dies(&self, runner: &Runner, resume: Option<&str>) -> Option<Result<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let context = self.context(&self.cancel);
        let steps = self.steps(&self.cancel);
        runtime.block_on(async {
            let work = async {
                match resume {
                    Some(run) => runner.resume(run, &steps, &context).await.map(|_| ()),
                    None => runner.run(spec(), &steps, &context).await.map(|_| ()),
                }
            };
            self.until_death(work).await
        })
    }

    /// The outcome, unless the process dies before.
    async fn until_death<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let dead = async {
            while !self.world.lock().unwrap().dead {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            outcome = work => Some(outcome),
            () = dead => None,
        }
    }

    /// Goes on in a new process, without any fault.
    fn resume(&self) -> Result<()> {
        {
            let mut world = self.world.lock().unwrap();
            (world.at, world.dead) = (None, false);
        }
        let open = self.runner().unfinished(Some("example.com")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cancel = Cancel::new();
        let steps = self.steps(&cancel);
        runtime.block_on(self.runner().resume(&open[0].run, &steps, &self.context(&cancel))).map(|_| ())
    }

    fn calls(&self) -> Vec<String> {
        self.world.lock().unwrap().calls.clone()
    }

    fn everything_exists_once(&self) {
        let world = self.world.lock().unwrap();
        let expected: BTreeMap<_, _> = IDS.into_iter().map(|id| (id, 1)).collect();
        assert_eq!(world.exists, expected, "{:#?}", world.calls);
    }

    fn nothing_exists(&self) {
        let world = self.world.lock().unwrap();
        assert!(world.exists.is_empty(), "{:?} is left: {:#?}", world.exists, world.calls);
    }

    fn nothing_is_unfinished(&self) {
        assert_eq!(self.runner().unfinished(None).unwrap(), []);
    }
}

fn spec() -> Spec {
    Spec {
        op: "create".into(),
        fqdn: "example.com".into(),
        provider: "local".into(),
        inputs: json!({ "key": "file:k" }),
    }
}

/// The calls of a run without faults: a check and an apply for each step.
const CALLS: usize = IDS.len() * 2;

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
    /// Steps whose last fails, and that die at a later call.
    fn steps_failing_last(&self, dies_at: usize, fault: Fault) -> Vec<Arc<dyn Step>> {
        struct FailsThenArms(Thing, usize, Fault);
        #[async_trait]
        impl Step for FailsThenArms {
            fn id(&self) -> &'static str {
                self.0.id()
            }
            fn plan(&self) -> String {
                self.0.plan()
            }
            async fn check(&self, context: &Context) -> Result<Check> {
                self.0.check(context).await
            }
            async fn apply(&self, context: &Context) -> Result<Value> {
                let outcome = self.0.apply(context).await;
                self.0.world.lock().unwrap().at = Some((self.1, self.2));
                outcome
            }
            async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
                self.0.undo(context, output).await
            }
        }
        let mut steps = self.steps(&self.cancel);
        let last =
            Thing { id: IDS[3], world: self.world.clone(), cancel: self.cancel.clone(), final_step: false };
        steps[3] = Arc::new(FailsThenArms(last, dies_at, fault));
        steps
    }
}

#[test]
fn a_lost_connection_is_tried_again_after_a_look_and_nothing_is_made_twice() {
    for call in 0..CALLS {
        let bench = Bench::at(call, Fault::Lost);
        bench.run_until_it_dies(&bench.runner(), None).unwrap().unwrap();
        bench.everything_exists_once();
    }
}

#[test]
fn a_connection_that_stays_lost_leaves_the_run_to_be_resumed_when_asked_for() {
    let bench = Bench::at(3, Fault::Lost);
    let once = bench.runner().retries(RetryPolicy::attempts(1)).leave_unfinished(true);
    let error = bench.run_until_it_dies(&once, None).unwrap().unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("run-unfinished", 9));
    assert!(error.hint().unwrap().contains("--resume"));
    let open = bench.runner().unfinished(Some("example.com")).unwrap();
    assert_eq!((open[0].done, open[0].steps, open[0].next.as_deref()), (1, 4, Some("two")));
    assert_eq!(bench.runner().unfinished(Some("example.org")).unwrap(), []);
    bench.resume().unwrap();
    bench.everything_exists_once();
}

#[test]
fn a_failed_run_is_kept_when_asked_for() {
    let bench = Bench::at(3, Fault::Fail);
    let error = bench.run_until_it_dies(&bench.runner().keep(true), None).unwrap().unwrap_err();
    assert!(error.is(&codes::REMOTE_COMMAND) && error.hint().unwrap().contains("--resume"));
    assert_eq!(bench.world.lock().unwrap().exists.len(), 1);
    bench.resume().unwrap();
    bench.everything_exists_once();
}

#[test]
fn a_run_that_is_stopped_takes_nothing_back_and_can_be_resumed_or_rolled_back() {
    for call in 0..CALLS {
        let bench = Bench::at(call, Fault::Cancel);
        let outcome = bench.run_until_it_dies(&bench.runner(), None).unwrap();
        if call == CALLS - 1 {
            outcome.unwrap();
            continue;
        }
        assert_eq!(outcome.unwrap_err().kind().exit_code(), 130);
        assert!(!bench.calls().iter().any(|c| c.starts_with("undo")));
        assert_eq!(bench.calls().len(), call + 1, "a call was made after the stop");
        let run = bench.runner().unfinished(None).unwrap()[0].run.clone();
        if call % 2 == 0 {
            bench.resume().unwrap();
            bench.everything_exists_once();
        } else {
            bench.world.lock().unwrap().at = None;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let cancel = Cancel::new();
            runtime
                .block_on(bench.runner().rollback(&run, &bench.steps(&cancel), &bench.context(&cancel)))
                .unwrap();
            bench.nothing_exists();
            bench.nothing_is_unfinished();
        }
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
    steps[1] = Arc::new(Thing {
        id: "two",
        world: bench.world.clone(),
        cancel: bench.cancel.clone(),
        final_step: true,
    });
    let error = bench.runner().run(spec(), &steps, &bench.context(&bench.cancel)).await.unwrap_err();
    assert!(error.is(&codes::RUN_UNFINISHED), "{error:?}");
    assert_eq!(bench.world.lock().unwrap().exists.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_undone_is_told_and_the_rest_is_undone() {
    struct Stubborn(Thing);
    #[async_trait]
    impl Step for Stubborn {
        fn id(&self) -> &'static str {
            self.0.id()
        }
        fn plan(&self) -> String {
            self.0.plan()
        }
        async fn check(&self, context: &Context) -> Result<Check> {
            self.0.check(context).await
        }
        async fn apply(&self, context: &Context) -> Result<Value> {
            self.0.apply(context).await
        }
        async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
            Err(Error::new(&codes::REMOTE_COMMAND, "it stays"))
        }
    }
    let bench = Bench::at(CALLS - 1, Fault::Fail);
    let mut steps = bench.steps(&bench.cancel);
    let thing =
        Thing { id: "two", world: bench.world.clone(), cancel: bench.cancel.clone(), final_step: false };
    steps[1] = Arc::new(Stubborn(thing));
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

#[tokio::test]
async fn a_second_run_of_the_same_name_is_refused_while_the_first_runs_and_after_it_died() {
    let bench = Bench::at(3, Fault::DieBefore);
    let (runner, context, steps) = (bench.runner(), bench.context(&bench.cancel), bench.steps(&bench.cancel));
    let first = runner.run(spec(), &steps, &context);
    tokio::pin!(first);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut first).await.is_err());
    let run = runner.unfinished(None).unwrap()[0].run.clone();
    let error = runner.resume(&run, &steps, &context).await.unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("run-busy", 5));
    let error = bench.run(&runner).await.unwrap_err();
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
