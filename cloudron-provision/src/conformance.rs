//! Checks that any [`CloudProvider`] can run (feature `conformance`).
//!
//! They create machines and remove them again, break runs off before every step, and continue them with a new provider,
//! as another process does.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use crate::provider::CloudProvider;
use crate::remote::Command;
use crate::steps::{Check, Context, Outputs, Runner, Spec, Step, Undo};

/// A provider under test, and its resources as the checks see them.
#[async_trait]
pub trait Ground: Send + Sync {
    /// Returns a new provider, which shares no memory with those before.
    fn provider(&self) -> Arc<dyn CloudProvider>;

    /// Returns everything that exists, described in any way. The checks compare it with what existed before.
    async fn existing(&self) -> Vec<String>;

    /// Returns the name of the machine to make.
    fn fqdn(&self) -> &str {
        "conformance.example.com"
    }

    /// Returns the context of a run, with another clock for example.
    fn context(&self, provider: Arc<dyn CloudProvider>) -> Context {
        Context::new(self.fqdn(), provider)
    }

    /// Returns texts that must be in no output and no plan.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The result of the checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The checks that passed.
    pub passed: Vec<String>,
    /// The checks that failed, with the reason.
    pub failed: Vec<String>,
}

/// Runs all checks. The journals are written into a folder, which must be empty.
pub async fn check(ground: &dyn Ground, folder: &Path) -> Report {
    let mut report = Report::default();
    let steps = ground.provider().steps(ground.fqdn()).len();
    report.add("the steps have stable names, and the machine is reached", names(ground));
    report.add("the preflight changes nothing", preflight(ground).await);
    report.add("a machine is made, found again and removed", life(ground, &folder.join("life")).await);
    for at in 0..steps {
        let home = folder.join(format!("broken-{at}"));
        let what = format!("a run that broke off before step {} is finished by another process", at + 1);
        report.add(what, broken_off(ground, &home, at).await);
        let home = folder.join(format!("undone-{at}"));
        let what = format!("a run that failed at step {} is undone", at + 1);
        report.add(what, undone(ground, &home, at).await);
    }
    report
}

type Checked = Result<(), String>;

impl Report {
    fn add(&mut self, what: impl Into<String>, outcome: Checked) {
        match outcome {
            Ok(()) => self.passed.push(what.into()),
            Err(reason) => self.failed.push(format!("{}: {reason}", what.into())),
        }
    }
}

fn names(ground: &dyn Ground) -> Checked {
    let (one, two) = (ground.provider().steps(ground.fqdn()), ground.provider().steps(ground.fqdn()));
    let ids: Vec<&str> = one.iter().map(|step| step.id()).collect();
    let again: Vec<&str> = two.iter().map(|step| step.id()).collect();
    let plans: Vec<String> = one.iter().map(|step| step.plan()).collect();
    let mut different = ids.clone();
    different.sort_unstable();
    different.dedup();
    ensure(ids == again, || format!("the names differ: {ids:?}, {again:?}"))?;
    ensure(different.len() == ids.len(), || format!("a name appears twice: {ids:?}"))?;
    ensure(ids.contains(&"first-contact"), || format!("there is no step `first-contact`: {ids:?}"))?;
    ensure(plans.iter().all(|plan| !plan.is_empty() && plan.lines().count() == 1), || format!("{plans:?}"))?;
    no_secret(ground, &format!("{plans:?}"))
}

async fn preflight(ground: &dyn Ground) -> Checked {
    let before = ground.existing().await;
    ground.provider().preflight(ground.fqdn()).await.map_err(text)?;
    let after = ground.existing().await;
    ensure(before == after, || format!("{before:?} became {after:?}"))
}

async fn life(ground: &dyn Ground, home: &Path) -> Checked {
    let before = ground.existing().await;
    let (context, steps) = begin(ground, None);
    let error = runner(home).keep(true).run(spec(ground), &steps, &context).await;
    ended(error)?;
    no_secret(ground, &format!("{:?}", context.outputs()))?;
    let remote = context.remote().await.map_err(text)?;
    let output = remote.exec(Command::new(["true"])).await.map_err(text)?;
    ensure(output.success(), || "the machine runs no commands".into())?;
    let made = ground.existing().await;
    ensure(made != before, || "the run made nothing".into())?;

    // Another process repeats nothing.
    let (context, steps) = begin(ground, None);
    let run = runner(home).unfinished(None).map_err(text)?.remove(0).run;
    ended(runner(home).keep(true).resume(&run, &steps, &context).await)?;
    let now = ground.existing().await;
    ensure(now == made, || format!("a resumed run changed {made:?} to {now:?}"))?;

    let (context, steps) = begin(ground, None);
    runner(home).rollback(&run, &steps, &context).await.map_err(text)?;
    same(ground, &before).await?;
    // What does not exist is undone.
    for step in steps.iter().rev().skip(1) {
        step.undo(&context, None).await.map_err(|e| format!("{} again: {e}", step.id()))?;
    }
    same(ground, &before).await
}

async fn broken_off(ground: &dyn Ground, home: &Path, at: usize) -> Checked {
    let before = ground.existing().await;
    let (context, steps) = begin(ground, Some(at));
    ended(runner(home).keep(true).run(spec(ground), &steps, &context).await)?;
    let run = runner(home).unfinished(None).map_err(text)?.remove(0).run;
    let (context, steps) = begin(ground, None);
    ended(runner(home).keep(true).resume(&run, &steps, &context).await)?;
    let reached = context.output("first-contact").is_some();
    ensure(reached, || "the run did not get to the end".into())?;
    let (context, steps) = begin(ground, None);
    runner(home).rollback(&run, &steps, &context).await.map_err(text)?;
    same(ground, &before).await
}

async fn undone(ground: &dyn Ground, home: &Path, at: usize) -> Checked {
    let before = ground.existing().await;
    let (context, steps) = begin(ground, Some(at));
    ended(runner(home).run(spec(ground), &steps, &context).await)?;
    same(ground, &before).await
}

async fn same(ground: &dyn Ground, before: &[String]) -> Checked {
    let after = ground.existing().await;
    ensure(after == before, || format!("{before:?} became {after:?}"))
}

/// Returns the context of a new process, and the steps with one that fails at the end, or in place of that one.
fn begin(ground: &dyn Ground, broken: Option<usize>) -> (Context, Vec<Arc<dyn Step>>) {
    let provider = ground.provider();
    let mut steps = provider.steps(ground.fqdn());
    if let Some(at) = broken {
        steps[at] = Arc::new(Broken(Some(steps[at].clone())));
    }
    steps.push(Arc::new(Broken(None)));
    (ground.context(provider), steps)
}

fn spec(ground: &dyn Ground) -> Spec {
    let provider = ground.provider().name().to_owned();
    Spec { op: "create".into(), fqdn: ground.fqdn().into(), provider, inputs: json!({}) }
}

fn runner(home: &Path) -> Runner {
    Runner::new(home)
}

/// A run of these steps ends with the error of the step that always fails.
fn ended(outcome: Result<Outputs>) -> Checked {
    match outcome {
        Err(error) if error.message() == BROKEN => Ok(()),
        Err(error) => Err(text(error)),
        Ok(_) => Err("the run did not end as it was made to".into()),
    }
}

const BROKEN: &str = "broken off by the checks";

/// Fails in place of a step, or at the end.
struct Broken(Option<Arc<dyn Step>>);

#[async_trait]
impl Step for Broken {
    fn id(&self) -> &'static str {
        self.0.as_ref().map_or("conformance", |step| step.id())
    }

    fn plan(&self) -> String {
        "Break off".into()
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, _: &Context) -> Result<Value> {
        Err(Error::new(&cloudron_core::codes::FAILED, BROKEN))
    }

    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        match &self.0 {
            Some(step) => step.undo(context, output).await,
            None => Ok(Undo::Undone),
        }
    }
}

fn no_secret(ground: &dyn Ground, text: &str) -> Checked {
    let found = ground.secrets().iter().any(|secret| text.contains(secret.as_str()));
    ensure(!found, || "a secret is in an output or a plan".into())
}

fn ensure(met: bool, reason: impl FnOnce() -> String) -> Checked {
    if met { Ok(()) } else { Err(reason()) }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: Error) -> String {
    format!("[{}] {error}", error.code().name)
}
