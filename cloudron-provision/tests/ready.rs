//! The ready-made steps and the provider `local`, against a fake of the server's program.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Cancel, Error, Event, Progress, Result, Secret};
use cloudron_provision::local::{Local, LocalRemote};
use cloudron_provision::steps::ready::{Health, InstallServer, PlaceProgram, Probe, Restore, StartServer};
use cloudron_provision::steps::{Check, Undo};
use cloudron_provision::{CloudProvider, Command, Context, Remote, Runner, Spec, Stdin, Step, answer, codes};
use cloudron_testkit::canary::{self, Canary};
use serde_json::{Value, json};

/// A fake of the server's program: records its arguments and answers like the real one.
const PROGRAM: &str = r#"#!/bin/sh
set -eu
root=$2
case $1 in
install) cat >"$root/request"; echo '{"fqdn":"example.com"}' >"$root/machine.json"
  echo 'some noise'; echo '{"port":4711,"setup_token":"canary-token"}' ;;
uninstall) rm -f "$root"/* ;;
start) echo up >"$root/running" ;;
stop) rm -f "$root/running" ;;
restore) cat >"$root/key"
  echo '{"event":"started","task":0,"label":"Restoring","unit":"bytes","total":10}'
  echo '{"event":"finished","task":0,"done":10,"ok":true}'
  echo '{"result":{"files":3}}' ;;
refuse) cat >/dev/null; echo '{"error":{"code":"no-space","message":"the disk is full","hint":"free some"}}'; exit 1 ;;
esac
"#;

struct Bench {
    folder: tempfile::TempDir,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), events: Arc::default() };
        std::fs::write(bench.source(), PROGRAM).unwrap();
        bench
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    fn program(&self) -> String {
        self.folder.path().join("bin/v1/program").to_str().unwrap().into()
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn command(&self, verb: &str) -> Vec<String> {
        vec![self.program(), verb.into(), self.root().to_str().unwrap().into()]
    }

    fn context(&self) -> Context {
        let sink = self.events.clone();
        let progress = Progress::to(move |e| sink.lock().unwrap().push(e.clone()));
        Context::new("example.com", Arc::new(Local::new(self.root()))).progress(&progress)
    }

    fn install(&self) -> InstallServer {
        InstallServer::new(self.command("install"), |context: &Context| {
            Ok(Secret::new(format!(r#"{{"run":"{}","key":"canary-key"}}"#, context.run())))
        })
        .uninstall(self.command("uninstall"))
        .record(["port"])
    }

    fn steps(&self, install: Arc<InstallServer>, restore: &str, probe: Arc<dyn Probe>) -> Vec<Arc<dyn Step>> {
        let link = self.folder.path().join("bin/program").to_str().unwrap().to_string();
        let mut steps = Local::new(self.root()).steps("example.com");
        steps.push(Arc::new(PlaceProgram::new(self.source(), self.program()).linked_from(link)));
        steps.push(install);
        steps.push(Arc::new(Restore::new(self.command(restore), Secret::new("canary-backup"))));
        steps.push(Arc::new(StartServer::new(self.command("start"), self.command("stop"))));
        steps.push(Arc::new(Health::new(probe, Duration::from_secs(2))));
        steps
    }
}

fn spec() -> Spec {
    Spec { op: "create".into(), fqdn: "example.com".into(), provider: "local".into(), inputs: json!({}) }
}

/// Healthy at the third probe, or never.
struct Looks(Mutex<u32>);

#[async_trait]
impl Probe for Looks {
    async fn probe(&self, context: &Context) -> Result<Value> {
        let mut looks = self.0.lock().unwrap();
        *looks = looks.saturating_sub(1);
        if *looks > 0 {
            return Err(Error::new(&codes::SSH_REFUSED, "not yet"));
        }
        Ok(json!({ "port": context.output("server").unwrap()["port"] }))
    }
}

#[tokio::test]
async fn a_machine_is_made_from_nothing_to_healthy_and_no_secret_is_recorded() {
    let bench = Bench::new();
    let install = Arc::new(bench.install());
    let steps = bench.steps(install.clone(), "restore", Arc::new(Looks(Mutex::new(3))));
    let runs = bench.folder.path().join("runs");
    let context = bench.context();
    let outputs = Runner::new(&runs).run(spec(), &steps, &context).await.unwrap();
    assert_eq!(outputs["server"], json!({ "port": 4711 }));
    assert_eq!(outputs["restore"], json!({ "files": 3 }));
    assert_eq!(outputs["health"], json!({ "port": 4711 }));
    let answer = install.answer().lock().unwrap().clone().unwrap();
    assert_eq!(answer["setup_token"], "canary-token");
    let request = std::fs::read_to_string(bench.root().join("request")).unwrap();
    assert_eq!(request, format!(r#"{{"run":"{}","key":"canary-key"}}"#, context.run()));
    assert_eq!(std::fs::read(bench.root().join("key")).unwrap(), b"canary-backup");
    assert!(bench.root().join("running").exists());
    let link = bench.folder.path().join("bin/program");
    assert_eq!(std::fs::read_link(link).unwrap(), Path::new(&bench.program()));
    let told = bench.events.lock().unwrap();
    assert!(told.iter().any(|e| matches!(e, Event::Started { label, .. } if label == "Restoring")));
    let mut secrets = Canary::new();
    for secret in ["canary-key", "canary-token", "canary-backup"] {
        secrets = secrets.secret(secret, secret);
    }
    canary::assert_none(&secrets.in_tree(&runs).unwrap());
    canary::assert_none(&secrets.in_bytes("events", serde_json::to_string(&*told).unwrap().as_bytes()));
}

#[tokio::test]
async fn an_error_of_the_program_keeps_its_code_and_everything_is_taken_back() {
    let bench = Bench::new();
    let steps = bench.steps(Arc::new(bench.install()), "refuse", Arc::new(Looks(Mutex::new(1))));
    let runs = bench.folder.path().join("runs");
    let error = Runner::new(runs).run(spec(), &steps, &bench.context()).await.unwrap_err();
    assert!(error.is(&cloudron_core::codes::NO_SPACE), "{error:?}");
    assert_eq!((error.message(), error.hint()), ("the disk is full", Some("free some")));
    assert!(!bench.root().exists() && !Path::new(&bench.program()).exists());
    assert!(std::fs::symlink_metadata(bench.folder.path().join("bin/program")).is_err());
}

#[tokio::test]
async fn a_file_that_is_another_program_is_refused_before_it_is_linked() {
    for (script, good) in
        [("echo 'cloudron 1.2.3'", true), ("echo hello", false), ("echo 'no such option' >&2; exit 2", false)]
    {
        let bench = Bench::new();
        std::fs::write(bench.source(), format!("#!/bin/sh\n{script}\n")).unwrap();
        let link = bench.folder.path().join("link");
        let step = PlaceProgram::new(bench.source(), bench.program()).linked_from(link.to_str().unwrap());
        let applied = step.proven_by("version", "cloudron ").apply(&bench.context()).await;
        assert_eq!((applied.is_ok(), link.exists()), (good, good), "{applied:?}");
        if let Err(error) = applied {
            assert!(error.is(&codes::NOT_A_PROGRAM), "{error}");
        }
    }
}

/// A step that succeeds, but whose goal needs another action.
struct Awaits;

#[async_trait]
impl Step for Awaits {
    fn id(&self) -> &'static str {
        "awaits"
    }

    fn plan(&self) -> String {
        "See that it is there".into()
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, _: &Context) -> Result<Value> {
        Ok(json!({ "there": false }))
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Undone)
    }

    fn reached(&self, output: &Value) -> bool {
        output["there"] == true
    }
}

#[tokio::test]
async fn what_is_not_there_yet_is_not_reported_as_done() {
    let bench = Bench::new();
    let steps: Vec<Arc<dyn Step>> = vec![Arc::new(Awaits)];
    Runner::new(bench.folder.path().join("runs")).run(spec(), &steps, &bench.context()).await.unwrap();
    let told = bench.events.lock().unwrap();
    assert!(matches!(told[..], [Event::Started { .. }, Event::Left { .. }]), "{told:?}");
}

cloudron_core::codes! {
    /// A code that only the caller defines.
    LAMP_OFF = ("lamp-off", Corrupt, "The lamp is off.");
}

#[tokio::test]
async fn an_error_code_of_the_callers_keeps_its_kind() {
    let bench = Bench::new();
    let told = Command::sh(r#"echo '{"error":{"code":"lamp-off","message":"dark"}}'; exit 1"#, [""; 0]);
    let error = answer::events(&LocalRemote::new(), told.knowing(ALL), &Progress::none()).await.unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("lamp-off", 6));
    let script = bench.folder.path().join("script");
    std::fs::write(
        &script,
        "cat >/dev/null\necho '{\"error\":{\"code\":\"lamp-off\",\"message\":\"dark\"}}'\nexit 1\n",
    )
    .unwrap();
    let command = ["sh", script.to_str().unwrap()];
    let restore: Arc<dyn Step> = Arc::new(Restore::new(command, Secret::new("")));
    let install: Arc<dyn Step> = Arc::new(InstallServer::new(command, |_: &Context| Ok(Secret::new(""))));
    for step in [restore, install] {
        assert!(step.apply(&bench.context().knowing(ALL.iter().copied())).await.unwrap_err().is(&LAMP_OFF));
    }
}

#[tokio::test]
async fn a_server_that_does_not_become_healthy_is_said_after_the_deadline() {
    let bench = Bench::new();
    let steps = bench.steps(Arc::new(bench.install()), "restore", Arc::new(Looks(Mutex::new(u32::MAX))));
    let begun = std::time::Instant::now();
    let runs = bench.folder.path().join("runs");
    let error = Runner::new(runs).keep(true).run(spec(), &steps, &bench.context()).await.unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("unhealthy", 8));
    assert!(error.message().contains("2 s") && error.message().contains("not yet"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn a_folder_that_holds_another_server_is_refused_and_left() {
    let bench = Bench::new();
    std::fs::create_dir(bench.root()).unwrap();
    std::fs::write(bench.root().join("machine.json"), r#"{"fqdn":"other.org"}"#).unwrap();
    std::fs::write(bench.root().join("config.json"), "{}").unwrap();
    let steps = bench.steps(Arc::new(bench.install()), "restore", Arc::new(Looks(Mutex::new(1))));
    let runs = bench.folder.path().join("runs");
    let error = Runner::new(runs).run(spec(), &steps, &bench.context()).await.unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("machine-taken", 5));
    assert!(bench.root().join("machine.json").exists());
}

#[tokio::test]
async fn commands_on_this_machine_keep_the_contract_of_a_remote() {
    let here = LocalRemote::new();
    let output = here
        .exec(Command::sh("cat; echo err >&2; exit 3", [""; 0]).stdin(Stdin::Bytes(b"in".to_vec().into())))
        .await
        .unwrap();
    assert_eq!((output.status, &*output.stdout, &*output.stderr), (3, &b"in"[..], &b"err\n"[..]));
    assert_eq!(here.exec(Command::sh("kill -KILL $$", [""; 0])).await.unwrap().status, 137);
    let missing = here.exec(Command::new(["no-such-program"])).await.unwrap_err();
    assert_eq!(missing.kind().exit_code(), 3);
    let late = here.exec(Command::new(["sleep", "9"]).within(Duration::from_millis(100))).await.unwrap_err();
    assert_eq!(late.kind().exit_code(), 8);
    let cancel = Cancel::new();
    cancel.cancel();
    let stopped = here.exec(Command::new(["sleep", "9"]).cancelled_by(&cancel)).await.unwrap_err();
    assert_eq!(stopped.kind().exit_code(), 130);
    let failed = answer::run(&here, Command::sh("echo why >&2; exit 1", [""; 0])).await.unwrap_err();
    assert!(failed.message().ends_with("status 1: why"), "{failed}");
}

#[tokio::test]
async fn a_file_put_on_this_machine_is_whole_and_has_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("a/b/to"));
    std::fs::write(&from, "content").unwrap();
    let here = LocalRemote::new();
    for mode in [0o755, 0o700] {
        here.upload(&from, to.to_str().unwrap(), mode, &Progress::none(), &Cancel::new()).await.unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"content");
        assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, mode);
    }
    let missing = folder.path().join("missing");
    let error =
        here.upload(&missing, "/nowhere/x", 0o755, &Progress::none(), &Cancel::new()).await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 3);
    assert_eq!(std::fs::read_dir(to.parent().unwrap()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_said_before_anything_is_done() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Local::new(file.path().join("root")).preflight("example.com").await.unwrap_err();
    assert!(error.message().contains(file.path().to_str().unwrap()), "{error}");
    let folder = tempfile::tempdir().unwrap();
    Local::new(folder.path().join("not/yet/there")).preflight("example.com").await.unwrap();
}
