//! `cloudron machine trust`

use cloudron_core::{Domain, Error, Result, codes as core_codes};
use cloudron_machine::access::{LIMIT, known_hosts, target};
use cloudron_machine::{Machine, Machines, Reach, SshReach, StateDir};
use cloudron_provision::Runner;
use cloudron_provision::ssh::{self, HostKey, HostKeyPolicy};
use cloudron_provision::steps::Phase;
use serde_json::json;

use super::Which;
use crate::codes;
use crate::machines;
use crate::output::Output;
use crate::runtime::block_on;
use crate::state::state_dir;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine trust example.com
  cloudron machine trust example.com --host-key SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpKZIDTMczCvj3tD2s

A server gets other host keys when it is installed anew, or when its keys are replaced. Find out why before you trust
the new one: a key that changed without a reason means that another machine answers. The fingerprint is what
`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on the server's console. The question is never answered by
--yes.")]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// The fingerprint of the new host key; without it, it is shown and asked about
    #[arg(long, value_name = "SHA256:…")]
    host_key: Option<String>,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let dirs = state_dir()?;
    let domain = options.which.domain()?;
    let runner = Runner::new(dirs.runs());
    runner.check_idle(domain.as_str())?;
    let unfinished = Unfinished::find(&runner, &dirs, &domain)?;
    let machine = match &unfinished {
        Some(_) => None,
        None => Some(options.which.machine()?),
    };
    let reach = match (&machine, &unfinished) {
        (Some(Machine { reach: Reach::Generic(reach), .. }), _) => reach.clone(),
        (_, Some(unfinished)) => unfinished.reach.clone(),
        _ => {
            let message = format!("{domain} runs on this computer, which has no host key to trust");
            return Err(Error::new(&core_codes::USAGE, message));
        }
    };
    let recorded: Vec<HostKey> = reach.host_keys.iter().map(|key| key.parse()).collect::<Result<_>>()?;
    let shown = block_on(|_| ssh::host_keys(target(&reach), LIMIT))?;
    let key = choose(&shown, &recorded, options.host_key.as_deref(), &domain)?;
    let changed = !recorded.contains(&key);
    if changed && options.host_key.is_none() {
        ask(&reach, &recorded, &key, &domain, out)?;
    }
    let mut server = None;
    if let Some(mut machine) = machine {
        machine.reach = Reach::Generic(SshReach { host_keys: vec![key.to_string()], ..reach });
        let machines = Machines::at(dirs.machines());
        known_hosts(&machines, &machine)?;
        machines.put(&machine)?;
        server = Some(look(&machine, out));
    }
    if let Some(unfinished) = unfinished {
        unfinished.record(&dirs, &key)?;
    }
    report(&domain, &recorded, &key, server, out)
}

/// The key to trust: the one with the fingerprint given, or the recorded one if it is still shown, or one of its kind.
fn choose(
    shown: &[HostKey],
    recorded: &[HostKey],
    fingerprint: Option<&str>,
    domain: &Domain,
) -> Result<HostKey> {
    if let Some(given) = fingerprint {
        let HostKeyPolicy::Fingerprint(wanted) = HostKeyPolicy::fingerprint(given)? else {
            return Err(Error::new(&core_codes::USAGE, format!("{given:?} is not a fingerprint")));
        };
        return shown.iter().find(|key| key.fingerprint() == wanted).cloned().ok_or_else(|| {
            let keys: Vec<String> = shown.iter().map(HostKey::fingerprint).collect();
            let message = format!("{domain} shows the host key {}, not {wanted}", keys.join(", "));
            Error::new(&cloudron_provision::codes::HOST_KEY_MISMATCH, message).with_hint(
                "compare with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on the server's console",
            )
        });
    }
    let of_a_kind = |key: &&HostKey| recorded.iter().any(|old| old.algorithm() == key.algorithm());
    let same = shown.iter().find(|key| recorded.contains(key));
    same.or_else(|| shown.iter().find(of_a_kind)).or_else(|| shown.first()).cloned().ok_or_else(|| {
        Error::new(&cloudron_provision::codes::SSH_PROTOCOL, format!("{domain} shows no host key"))
    })
}

/// Shows both keys and has a person decide.
fn ask(reach: &SshReach, recorded: &[HostKey], key: &HostKey, domain: &Domain, out: &Output) -> Result<()> {
    let one = |key: &HostKey| format!("{} ({})", key.fingerprint(), key.algorithm());
    let old: Vec<String> = recorded.iter().map(one).collect();
    out.say(&format!(
        "{} port {} shows another host key than the one recorded for {domain}:\n  recorded  {}\n  shown     {}\n\
         Compare it with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on the server's console.",
        reach.host,
        reach.ssh_port,
        old.join(", "),
        one(key)
    ));
    if !Output::can_ask() {
        let message = "cannot prompt whether to trust the new host key: standard input is not a terminal";
        return Err(Error::new(&codes::NEEDS_ANSWER, message).with_hint(format!(
            "compare the fingerprint, then give it: `cloudron machine trust {domain} --host-key SHA256:…`"
        )));
    }
    if out.confirm_in_person("Trust the new host key?")? {
        return Ok(());
    }
    let message = format!("the host key {} was not confirmed, and nothing was changed", key.fingerprint());
    Err(Error::new(&cloudron_provision::codes::HOST_KEY_REFUSED, message))
}

/// Whether the machine with that key still runs the server that the record is about.
fn look(machine: &Machine, out: &Output) -> Result<()> {
    block_on(|_| async {
        let status = machines::client(machine, out).await?.status().await?;
        if status.fqdn == machine.fqdn.as_str() {
            return Ok(());
        }
        Err(Error::new(&codes::SERVER_REFUSED, format!("the server that answers is for {}", status.fqdn)))
    })
}

fn report(
    domain: &Domain,
    recorded: &[HostKey],
    key: &HostKey,
    server: Option<Result<()>>,
    out: &Output,
) -> Result<()> {
    if let Some(Err(error)) = &server {
        out.warn(&format!(
            "the host key is recorded, and the server of {domain} could not be asked: {error}"
        ));
    }
    let changed = !recorded.contains(key);
    let json = json!([{
        "fqdn": domain, "changed": changed, "hostKey": key.fingerprint(), "algorithm": key.algorithm(),
        "recorded": recorded.iter().map(HostKey::fingerprint).collect::<Vec<_>>(),
        "serverAnswers": server.map(|answer| answer.is_ok()),
    }]);
    out.data("machines", &json, || match changed {
        true => format!("The host key of {domain} is now {} ({})", key.fingerprint(), key.algorithm()),
        false => format!("The host key of {domain} is unchanged: {}", key.fingerprint()),
    })
}

/// An interrupted creation whose first contact recorded a host key.
struct Unfinished {
    run: String,
    reach: SshReach,
    contact: serde_json::Value,
}

/// The step that records the host key.
const CONTACT: &str = "first-contact";

impl Unfinished {
    fn find(runner: &Runner, dirs: &StateDir, domain: &Domain) -> Result<Option<Self>> {
        let runs = runner.unfinished(Some(domain.as_str()))?;
        let Some(run) = runs.iter().find(|run| run.phase == Phase::Forward) else { return Ok(None) };
        let Ok(Reach::Generic(mut reach)) = serde_json::from_value(run.spec.inputs.clone()) else {
            return Ok(None);
        };
        let state = cloudron_provision::steps::Journal::read(&dirs.runs(), &run.run)?;
        let Some(contact) = state.output(CONTACT).cloned() else { return Ok(None) };
        let Some(key) = contact["host_key"].as_str() else { return Ok(None) };
        reach.host_keys = vec![key.to_owned()];
        let moved = state.output("ssh-port").and_then(|output| output["port"].as_u64());
        reach.ssh_port = moved.and_then(|port| u16::try_from(port).ok()).unwrap_or(reach.ssh_port);
        Ok(Some(Self { run: run.run.clone(), reach, contact }))
    }

    /// Has the run trust that key from now on.
    fn record(mut self, dirs: &StateDir, key: &HostKey) -> Result<()> {
        use cloudron_provision::steps::{Journal, Record};
        self.contact["host_key"] = key.to_string().into();
        let mut journal = Journal::open(&dirs.runs(), &self.run)?;
        journal.write(&Record::Adopted { step: CONTACT.into(), output: self.contact })
    }
}
