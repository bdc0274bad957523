//! `server`: the server is installed on the machine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Result, Secret};
use serde_json::{Map, Value};

use super::SetupScript;
use crate::answer;
use crate::steps::{Check, Context, Step, Undo};

/// Builds the installer's input, once the run is known. It may contain secrets.
type Request = Box<dyn Fn(&Context) -> Result<Secret> + Send + Sync>;

/// Runs the program's installer on the machine.
///
/// The installer's response may contain secrets, such as the first setup token. Only the fields named by
/// [`record`](Self::record) are written to the journal and the step's output; [`answer`](Self::answer) returns the
/// whole response.
pub struct InstallServer {
    install: Vec<String>,
    request: Request,
    uninstall: Option<Vec<String>>,
    record: Vec<String>,
    limit: Duration,
    plan: String,
    script: Option<SetupScript>,
    answer: Arc<Mutex<Option<Value>>>,
}

impl InstallServer {
    /// Creates the step, which runs that command with the output of `request` on its standard input. The command
    /// responds with one JSON object.
    pub fn new<S: Into<String>>(
        install: impl IntoIterator<Item = S>,
        request: impl Fn(&Context) -> Result<Secret> + Send + Sync + 'static,
    ) -> Self {
        Self {
            install: install.into_iter().map(Into::into).collect(),
            request: Box::new(request),
            uninstall: None,
            record: Vec::new(),
            limit: Duration::from_secs(300),
            plan: "Install the server".into(),
            script: None,
            answer: Arc::default(),
        }
    }

    /// Sets the command that removes the server; without one, the server is left when the run is undone.
    pub fn uninstall<S: Into<String>>(mut self, command: impl IntoIterator<Item = S>) -> Self {
        self.uninstall = Some(command.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the fields of the response that are recorded. They must not be secret.
    pub fn record<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.record = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Runs a script in place of the installer. Its response must have all the fields that are recorded.
    pub fn by_script(mut self, script: Option<SetupScript>) -> Self {
        self.script = script;
        self
    }

    /// Sets the sentence that says what the step does.
    pub fn described(mut self, plan: impl Into<String>) -> Self {
        self.plan = plan.into();
        self
    }

    /// Sets the time limit of the installer; the default is five minutes.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Returns the slot that contains the whole response after the step was applied. It stays empty if a resumed run
    /// found the step done.
    pub fn answer(&self) -> Arc<Mutex<Option<Value>>> {
        self.answer.clone()
    }
}

#[async_trait]
impl Step for InstallServer {
    fn id(&self) -> &'static str {
        "server"
    }

    fn plan(&self) -> String {
        self.plan.clone()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        // The installer may be run again, and only it knows what is missing.
        Ok(context.previous(self.id()).map_or(Check::Absent, Check::Done))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let request = (self.request)(context)?;
        let value = match &self.script {
            Some(script) => script.run(context, &self.install, &request, &self.record).await?,
            None => {
                let remote = context.remote().await?;
                let command = context.program(&self.install).within(self.limit).stdin_secret(&request);
                answer::json(&*remote, command).await?
            }
        };
        let kept: Map<String, Value> =
            self.record.iter().filter_map(|f| Some((f.clone(), value.get(f)?.clone()))).collect();
        *self.answer.lock().expect("nothing panics while holding this lock") = Some(value);
        Ok(Value::Object(kept))
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        let Some(uninstall) = &self.uninstall else {
            return Ok(Undo::Kept("the server stays installed".into()));
        };
        let remote = context.remote().await?;
        answer::run(&*remote, context.program(uninstall).within(self.limit)).await?;
        Ok(Undo::Undone)
    }
}
