//! Steps that change a simulated world, with crashes and failures of calls on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Cancel, Error, Result, RetryPolicy};
use cloudron_provision::local::Local;
use cloudron_provision::steps::{Check, Undo};
use cloudron_provision::{Context, Runner, Spec, Step, codes};
use serde_json::{Value, json};

/// The world that steps change: what exists, and every call that was made.
#[derive(Default)]
pub struct World {
    pub exists: BTreeMap<&'static str, u32>,
    pub calls: Vec<String>,
    /// The number of the call at which a fault occurs.
    pub at: Option<(usize, Fault)>,
    /// True if the process has crashed.
    pub dead: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fault {
    /// The process crashes before the call changed anything.
    DieBefore,
    /// The process crashes after the call changed the world.
    DieAfter,
    /// The call fails permanently.
    Fail,
    /// The call fails transiently, after it changed the world.
    Lost,
    /// The user stops the run during the call.
    Cancel,
}

pub type Shared = Arc<Mutex<World>>;

pub struct Thing {
    pub id: &'static str,
    pub world: Shared,
    pub cancel: Cancel,
    pub final_step: bool,
    /// True if its undo fails.
    pub stubborn: bool,
    /// The call at which a fault occurs, once the step was applied.
    pub arms: Option<(usize, Fault)>,
}

impl Thing {
    /// Counts a call, and returns the fault that occurs at it.
    pub fn call(&self, what: &str) -> Option<Fault> {
        let mut world = self.world.lock().unwrap();
        world.calls.push(format!("{what} {}", self.id));
        let now = world.calls.len() - 1;
        world.at.filter(|(n, _)| *n == now).map(|(_, fault)| fault)
    }

    pub async fn die(&self) -> Result<()> {
        self.world.lock().unwrap().dead = true;
        std::future::pending().await
    }

    pub async fn change(&self, what: &str, change: impl FnOnce(&mut World)) -> Result<()> {
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
        let applied = self.change("apply", |world| *world.exists.entry(id).or_default() += 1).await;
        if self.arms.is_some() {
            self.world.lock().unwrap().at = self.arms;
        }
        applied.map(|()| json!({ "id": id }))
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        if self.stubborn {
            return Err(Error::new(&codes::REMOTE_COMMAND, "it stays"));
        }
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

pub const IDS: [&str; 4] = ["one", "two", "three", "four"];

/// The number of calls of a run without faults: a check and an apply for each step.
pub const CALLS: usize = IDS.len() * 2;

pub struct Bench {
    pub folder: tempfile::TempDir,
    pub world: Shared,
    pub cancel: Cancel,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), world: Shared::default(), cancel: Cancel::new() }
    }

    pub fn at(call: usize, fault: Fault) -> Self {
        let bench = Self::new();
        bench.world.lock().unwrap().at = Some((call, fault));
        bench
    }

    pub fn steps(&self, cancel: &Cancel) -> Vec<Arc<dyn Step>> {
        IDS.into_iter().map(|id| Arc::new(self.thing(id, cancel)) as Arc<dyn Step>).collect()
    }

    pub fn thing(&self, id: &'static str, cancel: &Cancel) -> Thing {
        let (world, cancel) = (self.world.clone(), cancel.clone());
        Thing { id, world, cancel, final_step: false, stubborn: false, arms: None }
    }

    pub fn runner(&self) -> Runner {
        let quick = RetryPolicy::attempts(3).waits(Duration::from_millis(1), Duration::from_millis(1));
        Runner::new(self.folder.path().join("runs")).retries(quick)
    }

    pub fn context(&self, cancel: &Cancel) -> Context {
        Context::new("example.com", Arc::new(Local::new(self.folder.path()))).cancelled_by(cancel)
    }

    pub async fn run(&self, runner: &Runner) -> Result<()> {
        let context = self.context(&self.cancel);
        runner.run(spec(), &self.steps(&self.cancel), &context).await.map(|_| ())
    }

    /// Simulates a crash: drops the run and its runtime at the current point.
    pub fn run_until_it_dies(&self, runner: &Runner, resume: Option<&str>) -> Option<Result<()>> {
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

    /// Returns the outcome, unless the process crashes before.
    pub async fn until_death<T>(&self, work: impl Future<Output = T>) -> Option<T> {
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

    /// Resumes in a new process, without faults.
    pub fn resume(&self) -> Result<()> {
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

    pub fn calls(&self) -> Vec<String> {
        self.world.lock().unwrap().calls.clone()
    }

    pub fn everything_exists_once(&self) {
        let world = self.world.lock().unwrap();
        let expected: BTreeMap<_, _> = IDS.into_iter().map(|id| (id, 1)).collect();
        assert_eq!(world.exists, expected, "{:#?}", world.calls);
    }

    pub fn nothing_exists(&self) {
        let world = self.world.lock().unwrap();
        assert!(world.exists.is_empty(), "{:?} is left: {:#?}", world.exists, world.calls);
    }

    pub fn nothing_is_unfinished(&self) {
        assert_eq!(self.runner().unfinished(None).unwrap(), []);
    }
}

pub fn spec() -> Spec {
    Spec {
        op: "create".into(),
        fqdn: "example.com".into(),
        provider: "local".into(),
        inputs: json!({ "key": "file:k" }),
    }
}
