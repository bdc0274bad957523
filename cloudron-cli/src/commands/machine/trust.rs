//! `cloudron machine trust`

use cloudron_core::{Domain, Error, Result};
use cloudron_machine::trust::ShownKey;
use cloudron_provision::ssh::HostKey;
use serde_json::json;

use super::{Which, advise};
use crate::output::Output;
use crate::runtime::block_on;
use crate::{codes, hints, machines};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// The fingerprint of the new host key; without it, it is shown and asked about
    #[arg(long, value_name = "SHA256:…")]
    host_key: Option<String>,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let (manager, domain) = (machines::manager(out)?, options.which.domain()?);
    let shown = block_on(|_| async { manager.shown_key(&domain, options.host_key.as_deref()).await });
    let shown = shown.map_err(|e| advise(e, &manager, &domain))?;
    if shown.is_new() && options.host_key.is_none() {
        ask(&shown, &domain, out)?;
    }
    let (recorded, key) = (shown.recorded.clone(), shown.key.clone());
    let server = manager.trust(shown)?;
    let server = server.map(|machine| {
        let asked = block_on(|_| async { manager.check_server(&machine).await });
        asked.map_err(|e| hints::of_machine(e, &machine))
    });
    report(&domain, &recorded, &key, server, out)
}

/// Shows both keys and asks the user to decide.
fn ask(ShownKey { reach, recorded, key, .. }: &ShownKey, domain: &Domain, out: &Output) -> Result<()> {
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
