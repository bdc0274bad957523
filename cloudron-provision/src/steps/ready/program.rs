//! `program`: this program, or another build of it, is on the machine.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use crate::steps::{Check, Context, Step, Undo};
use crate::{Command, Remote, answer, codes};

/// Time limit for the program to identify itself.
const PROOF_LIMIT: Duration = Duration::from_secs(30);

/// Copies the program to the machine and creates a link to it.
///
/// Output: `{"path": …}`.
pub struct PlaceProgram {
    local: PathBuf,
    remote: String,
    link: Option<String>,
    proof: Option<(String, String)>,
}

impl PlaceProgram {
    /// Copies the file `local` to the absolute path `remote` on the machine, with mode 0755.
    pub fn new(local: impl Into<PathBuf>, remote: impl Into<String>) -> Self {
        Self { local: local.into(), remote: remote.into(), link: None, proof: None }
    }

    /// Also creates a symbolic link to it and replaces an existing one: for example `/usr/local/bin/cloudron` to a file
    /// named by its version.
    pub fn linked_from(mut self, link: impl Into<String>) -> Self {
        self.link = Some(link.into());
        self
    }

    /// Also runs it once with that argument, before anything relies on it: its output must begin with `answer`.
    pub fn proven_by(mut self, argument: impl Into<String>, answer: impl Into<String>) -> Self {
        self.proof = Some((argument.into(), answer.into()));
        self
    }

    async fn prove(&self, remote: &dyn Remote) -> Result<()> {
        let Some((argument, answer)) = &self.proof else { return Ok(()) };
        let output = remote.exec(Command::new([&self.remote, argument]).within(PROOF_LIMIT)).await?;
        if output.success() && output.text().starts_with(answer) {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last =
            said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed something else");
        let message =
            format!("{} is not the program of a server: `{argument}` failed: {last}", self.local.display());
        Err(Error::new(&codes::NOT_A_PROGRAM, message))
    }
}

#[async_trait]
impl Step for PlaceProgram {
    fn id(&self) -> &'static str {
        "program"
    }

    fn plan(&self) -> String {
        format!("Copy the program to {}", self.remote)
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        Ok(context.previous(self.id()).map_or(Check::Absent, Check::Done))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let remote = context.remote().await?;
        remote.upload(&self.local, &self.remote, 0o755, &context.progress, &context.cancel).await?;
        self.prove(&*remote).await?;
        if let Some(link) = &self.link {
            // Renames a new link over the old one, so that a link always exists.
            const SCRIPT: &str = r#"set -eu; ln -sfn "$1" "$2.new"; mv -fT "$2.new" "$2""#;
            let output = remote.exec(Command::sh(SCRIPT, [&self.remote, link]).as_root()).await?;
            answer::check(&format!("ln -s {} {link}", self.remote), output)?;
        }
        Ok(json!({ "path": self.remote }))
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        const SCRIPT: &str = r#"set -eu
rm -f "$1"
for part in "$(dirname "$1")"/.*.part; do
  name=${part##*/}
  if [ ${#name} -eq 70 ] && [ -f "$part" ]; then rm -f "$part"; fi
done
if [ -n "$2" ] && [ "$(readlink "$2" || true)" = "$1" ]; then rm -f "$2"; fi
rmdir "$(dirname "$1")" 2>/dev/null || true"#;
        let remote = context.remote().await?;
        let link = self.link.as_deref().unwrap_or_default();
        answer::run(&*remote, Command::sh(SCRIPT, [&self.remote, link]).as_root()).await?;
        Ok(Undo::Undone)
    }
}
