//! The first contact with a machine: its facts and its requirements.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Error, Event, Progress, Result};
use cloudron_provision::facts::{self, Facts, Requirements};
use cloudron_provision::steps::ready::FirstContact;
use cloudron_provision::steps::{Check, Outputs};
use cloudron_provision::{
    CloudProvider, Command, Context, Output, Remote, Runner, Spec, Step, Stream, codes,
};
use serde_json::json;

const DEBIAN: &str = "kernel=Linux\nmachine=x86_64\nuid=0\nboot_id=b\nclock=0\nsystemd=yes\n\
                      free_root=9000000\nfree_var=9000000\nos=Debian GNU/Linux 12 (bookworm)\n";

/// A machine with fixed responses.
#[derive(Clone)]
struct Fake {
    facts: Output,
    cloud_init: Option<Output>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn saying(facts: &str) -> Self {
        Self {
            facts: Output::new(0, facts, ""),
            cloud_init: Some(Output::new(0, "", "")),
            asked: Arc::default(),
        }
    }
}

#[async_trait]
impl Remote for Fake {
    fn describe(&self) -> String {
        "root@fake (port 22)".into()
    }

    async fn exec(&self, command: Command) -> Result<Output> {
        self.asked.lock().unwrap().push(command.argv[0].clone());
        match command.argv[0].as_str() {
            "cloud-init" => match &self.cloud_init {
                Some(output) => Ok(output.clone()),
                None => Err(Error::new(&cloudron_core::codes::TIMED_OUT, "late")),
            },
            _ => Ok(self.facts.clone()),
        }
    }

    async fn forward(&self, _: u16) -> Result<Box<dyn Stream>> {
        Err(Error::new(&codes::SSH_REFUSED, "no"))
    }
}

struct Provider(Fake);

#[async_trait]
impl CloudProvider for Provider {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn preflight(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn steps(&self, _: &str) -> Vec<Arc<dyn Step>> {
        let requirements = Requirements::default();
        vec![Arc::new(FirstContact::new("fake", requirements))]
    }

    async fn connect(&self, _: &Outputs) -> Result<Arc<dyn Remote>> {
        Ok(Arc::new(self.0.clone()))
    }
}

async fn contact(fake: Fake) -> (Result<Outputs>, Vec<String>) {
    let provider = Arc::new(Provider(fake.clone()));
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = told.clone();
    let progress = Progress::to(move |event| {
        if let Event::Warning { text } = event {
            sink.lock().unwrap().push(text.clone());
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let context = Context::new("example.com", provider.clone()).progress(&progress);
    let spec =
        Spec { op: "create".into(), fqdn: "example.com".into(), provider: "fake".into(), inputs: json!({}) };
    let outcome = Runner::new(folder.path()).run(spec, &provider.steps("example.com"), &context).await;
    let told = told.lock().unwrap().clone();
    (outcome, told)
}

#[tokio::test]
async fn what_the_machine_is_is_recorded_and_a_wrong_clock_is_told() {
    let (outcome, told) = contact(Fake::saying(DEBIAN)).await;
    assert_eq!(outcome.unwrap()["first-contact"]["facts"]["machine"], json!("x86_64"));
    assert!(told[0].contains("clock"), "{told:?}");
}

#[tokio::test]
async fn a_machine_that_will_not_do_is_refused_after_one_question() {
    for (facts, code) in [
        (DEBIAN.replace("Linux\nmachine", "Darwin\nmachine"), "machine-not-linux"),
        (DEBIAN.replace("systemd=yes\n", ""), "machine-no-systemd"),
        (DEBIAN.replace("free_root=9", "free_root=0"), "machine-disk"),
        (format!("{DEBIAN}server={{\"fqdn\":\"other.org\"}}\n"), "machine-taken"),
        (format!("{DEBIAN}server={{\"fqdn\":\"example.com\",\"run\":\"old\"}}\n"), "machine-carries-server"),
    ] {
        let facts = facts.replace("free_root=0000000", "free_root=1000");
        let fake = Fake::saying(&facts);
        let error = contact(fake.clone()).await.0.unwrap_err();
        assert_eq!(error.code().name, code, "{error:?}");
        assert_eq!(fake.asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_login_that_may_not_become_root_is_told_so() {
    let fake = Fake { facts: Output::new(1, "", "sudo: a password is required\n"), ..Fake::saying("") };
    let error = Facts::ask(&fake).await.unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("machine-no-root", 4));
}

#[tokio::test]
async fn the_first_boot_is_waited_for_where_cloud_init_is() {
    let with = format!("{DEBIAN}cloud_init=yes\n");
    let fake = Fake::saying(&with);
    contact(fake.clone()).await.0.unwrap();
    assert_eq!(*fake.asked.lock().unwrap(), ["sh", "cloud-init"]);
    // Degraded is good enough, and said.
    let degraded = Fake { cloud_init: Some(Output::new(2, "status: done", "")), ..Fake::saying(&with) };
    let (outcome, told) = contact(degraded).await;
    outcome.unwrap();
    assert!(told[0].contains("recoverable"), "{told:?}");
    let failed = Fake { cloud_init: Some(Output::new(1, "status: error", "")), ..Fake::saying(&with) };
    assert!(contact(failed).await.0.unwrap_err().is(&codes::CLOUD_INIT));
    let late = Fake { cloud_init: None, ..Fake::saying(&with) };
    let error =
        facts::wait_for_cloud_init(&late, Duration::from_secs(7), &Progress::none()).await.unwrap_err();
    assert!(error.is_retryable() && error.message().contains("7 s"), "{error:?}");
}

#[tokio::test]
async fn a_resumed_run_connects_again_and_asks_nothing() {
    let fake = Fake::saying(DEBIAN);
    let context = Context::new("example.com", Arc::new(Provider(fake.clone())));
    let step = FirstContact::new("fake", Requirements::default());
    assert_eq!(step.check(&context).await.unwrap(), Check::Absent);
    assert!(fake.asked.lock().unwrap().is_empty());
}

#[cfg(feature = "ssh")]
mod generic {
    use cloudron_provision::generic::Generic;
    use cloudron_provision::ssh::{Auth, HostKeyPolicy, SshTarget};
    use cloudron_testkit::sshd::Sshd;

    use super::*;

    fn generic(server: &Sshd, policy: HostKeyPolicy) -> Generic {
        let mut target = SshTarget::new("127.0.0.1").on_port(server.port()).as_user(server.user());
        target.known_hosts.clear();
        Generic::new(target, Auth::key(server.key_path().to_str().unwrap()).without_agent(), policy)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_host_key_of_the_first_contact_is_the_only_one_trusted_afterwards() {
        let Some(mut server) = Sshd::start() else { return };
        let asked = Arc::new(Mutex::new(0));
        let count = asked.clone();
        let policy = HostKeyPolicy::KnownHostsThenAsk(Some(Arc::new(move |_| {
            *count.lock().unwrap() += 1;
            true
        })));
        let provider = generic(&server, policy.clone());
        provider.preflight("example.com").await.unwrap();
        let remote = provider.connect(&Outputs::new()).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), 1);
        let outputs = Outputs::from([("first-contact".to_string(), remote.identity().unwrap())]);
        assert_eq!(outputs["first-contact"]["port"], json!(server.port()));
        // Another process, with the journal.
        generic(&server, policy.clone()).connect(&outputs).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), 1, "the user was asked again");
        server.change_host_key();
        let error = generic(&server, policy).connect(&outputs).await.err().unwrap();
        assert!(error.is(&codes::HOST_KEY_CHANGED), "{error:?}");
        assert_eq!(*asked.lock().unwrap(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_machine_whose_ssh_moved_before_the_run_died_is_found_on_the_new_port() {
        let Some(server) = Sshd::start() else { return };
        let old = cloudron_provision::local::free_port(None).unwrap();
        let mut target = SshTarget::new("127.0.0.1").on_port(old).as_user(server.user());
        target.known_hosts.clear();
        let auth = Auth::key(server.key_path().to_str().unwrap()).without_agent();
        let provider =
            Generic::new(target, auth, HostKeyPolicy::KnownHostsThenAsk(None)).may_move_to(server.port());
        let outputs =
            Outputs::from([("first-contact".to_string(), json!({ "host_key": server.host_public_key() }))]);
        let remote = provider.connect(&outputs).await.unwrap();
        assert!(remote.describe().contains(&server.port().to_string()));
    }
}
