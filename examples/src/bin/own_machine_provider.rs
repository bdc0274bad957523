//! A provider of machines written from scratch: servers that stand on a shelf and wait. Its test runs the conformance kit.
//! Run: `cargo run -p cloudron-examples --bin own_machine_provider SHELF SSH-KEY`
//!
//! Each server that is free is a file `free/NAME` on the shelf, with one line: address, port, user and host key, as in
//! `192.0.2.7 22 root ssh-ed25519 AAAA…`. A machine takes one by renaming the file to `taken/DOMAIN RUN NAME`, which can
//! succeed only once for each file. The name says who took it, so that a run that was broken off is continued or undone by
//! any program that sees the shelf. Not implemented here: a server is not erased before it is put back.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_provision::ssh::{self, Auth, HostKeyPolicy, SshTarget};
use cloudron_provision::steps::{Check, Outputs, Undo};
use cloudron_provision::{CloudProvider, Command, Context, Error, Remote, Result, Runner, Spec, Step, codes};
use serde_json::{Value, json};

/// Servers on a shelf, and the key with which to log in.
#[derive(Clone)]
pub struct Shelf {
    folder: PathBuf,
    key: String,
}

impl Shelf {
    pub fn new(folder: impl Into<PathBuf>, key: impl Into<String>) -> Self {
        Self { folder: folder.into(), key: key.into() }
    }

    /// Returns the names of the files in a folder of the shelf, sorted.
    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.folder.join(folder);
        let entries = fs::read_dir(&path).map_err(|e| Error::io(&path, e))?;
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Returns the server that a run took, if any.
    fn taken(&self, context: &Context) -> Result<Option<String>> {
        let ours = format!("{} {} ", context.fqdn(), context.run());
        Ok(self.names("taken")?.into_iter().find(|name| name.starts_with(&ours)))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let path = self.folder.join(from);
        fs::rename(&path, self.folder.join(to)).map_err(|e| Error::io(&path, e))
    }
}

#[async_trait]
impl CloudProvider for Shelf {
    fn name(&self) -> &'static str {
        "shelf"
    }

    async fn preflight(&self, _: &str) -> Result<()> {
        if self.names("free")?.is_empty() {
            return Err(Error::new(&codes::STEP_FOREIGN, "all servers on the shelf are taken"));
        }
        Ok(())
    }

    fn steps(&self, _: &str) -> Vec<Arc<dyn Step>> {
        vec![Arc::new(Take(self.clone())), Arc::new(Greet)]
    }

    /// Connects to the server that was taken, and trusts only the host key that is written on the shelf.
    async fn connect(&self, outputs: &Outputs) -> Result<Arc<dyn Remote>> {
        let line = outputs.get("machine").and_then(|output| output["server"].as_str()).unwrap_or_default();
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let [address, port, user, key] = words[..] else {
            return Err(Error::new(&codes::SSH_UNREACHABLE, "no server was taken from the shelf"));
        };
        let port = port.parse().map_err(|_| Error::new(&codes::SSH_PORT, format!("{port:?} is no port")))?;
        let target = SshTarget::new(address).on_port(port).as_user(user);
        let policy = HostKeyPolicy::Pinned(vec![key.parse()?]);
        Ok(Arc::new(ssh::connect(target, &Auth::key(&self.key), policy, Duration::from_secs(30)).await?))
    }

    fn undone_by_login(&self) -> bool {
        false
    }
}

/// `machine`: a server is taken from the shelf.
struct Take(Shelf);

#[async_trait]
impl Step for Take {
    fn id(&self) -> &'static str {
        "machine"
    }

    fn plan(&self) -> String {
        "Take a server from the shelf".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        let Some(taken) = self.0.taken(context)? else { return Ok(Check::Absent) };
        let path = self.0.folder.join("taken").join(&taken);
        let line = fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        Ok(Check::Done(json!({ "server": line.trim() })))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        for name in self.0.names("free")? {
            let taken = format!("taken/{} {} {name}", context.fqdn(), context.run());
            // If another program took it in between, the next one is tried.
            if self.0.rename(&format!("free/{name}"), &taken).is_ok()
                && let Check::Done(output) = self.check(context).await?
            {
                return Ok(output);
            }
        }
        Err(Error::new(&codes::STEP_FOREIGN, "all servers on the shelf are taken"))
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        if let Some(taken) = self.0.taken(context)? {
            let name = taken.rsplit(' ').next().unwrap_or_default();
            self.0.rename(&format!("taken/{taken}"), &format!("free/{name}"))?;
        }
        Ok(Undo::Undone)
    }
}

/// `first-contact`: the server runs commands. A machine that gets the cloudron server has
/// [`FirstContact`](cloudron_provision::steps::ready::FirstContact) here, which also checks what it is.
struct Greet;

#[async_trait]
impl Step for Greet {
    fn id(&self) -> &'static str {
        "first-contact"
    }

    fn plan(&self) -> String {
        "Connect to the server".into()
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let output = context.remote().await?.exec(Command::new(["uname", "-s"])).await?;
        Ok(json!({ "system": String::from_utf8_lossy(&output.stdout).trim() }))
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Undone)
    }
}

/// Takes a server, shows it, and puts it back.
#[tokio::main]
async fn main() -> Result<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [folder, key] = &given[..] else {
        return Err(Error::new(&cloudron_core::codes::USAGE, "give SHELF SSH-KEY"));
    };
    let shelf = Arc::new(Shelf::new(folder, key));
    let steps = shelf.steps("example.com");
    let context = Context::new("example.com", shelf.clone());
    // Kept, so that it is there to be put back; if this program dies before, `Runner::resume` or `rollback` goes on.
    let runner = Runner::new(Path::new(folder).join("runs")).keep(true);
    shelf.preflight("example.com").await?;
    let spec = Spec {
        op: "create".into(),
        fqdn: "example.com".into(),
        provider: "shelf".into(),
        inputs: Value::Null,
    };
    let outputs = runner.run(spec, &steps, &context).await?;
    println!("took {}", outputs["machine"]["server"].as_str().unwrap_or_default());
    for step in steps.iter().rev() {
        step.undo(&context, outputs.get(step.id())).await?;
    }
    println!("and put it back");
    Ok(())
}
