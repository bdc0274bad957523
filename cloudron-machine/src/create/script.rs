//! The setup script: where it comes from, and that a run that is resumed has the same one.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use cloudron_core::{Error, Result, escape};
use cloudron_http::{HttpOptions, HttpTransport, ReqwestTransport, is_endpoint};
use cloudron_provision::codes;
use cloudron_provision::steps::ready::SetupScript;
use serde_json::{Value, json};

use super::ready::{program_copy, program_paths};
use super::{Creation, On};

/// Time limit for the answer to its address.
const PATIENCE: Duration = Duration::from_secs(60);

/// A setup script. `Display` gives its source and its SHA-256.
#[derive(Clone)]
pub(super) struct Script {
    source: String,
    /// None in a plan that does not ask its address.
    pub(super) on_machine: Option<SetupScript>,
}

impl Script {
    /// Returns what the journal stores.
    pub(super) fn to_json(&self) -> Value {
        json!({ "source": self.source, "sha256": self.sha256() })
    }

    fn sha256(&self) -> Option<&str> {
        self.on_machine.as_ref().map(SetupScript::sha256)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the setup script {}", escape::line(&self.source))?;
        self.sha256().map_or(Ok(()), |hash| write!(f, " (SHA-256 {hash})"))
    }
}

impl Creation {
    /// Reads a setup script that is a file of this computer, and checks the address of one that is not.
    pub(super) fn with_script_file(mut self) -> Result<Self> {
        let Some(source) = self.request.setup_script.clone() else {
            self.check_script()?;
            return Ok(self);
        };
        let on_machine = match is_address(&source) {
            true => {
                check_address(&source)?;
                None
            }
            false => Some(self.script_of(read(&source)?)?),
        };
        self.script = Some(Script { source, on_machine });
        self.check_script()?;
        Ok(self)
    }

    /// Fetches a setup script from its address, and shows which script will be run.
    pub(super) async fn read_script(&mut self) -> Result<()> {
        let Some(mut script) = self.script.take() else { return Ok(()) };
        if script.on_machine.is_none() {
            script.on_machine = Some(self.script_of(fetch(&script.source).await?)?);
        }
        self.script = Some(script);
        self.check_script()?;
        if let Some(script) = &self.script {
            self.manager.progress().note(format!("The server is installed by {script}."));
        }
        Ok(())
    }

    /// Refuses another script than the one with which the run was begun.
    fn check_script(&self) -> Result<()> {
        let Some(begun) = &self.begun else { return Ok(()) };
        let now = match &self.script {
            // Its address was not asked yet.
            Some(script) if script.on_machine.is_none() => return Ok(()),
            script => script.as_ref().and_then(Script::sha256),
        };
        if now == begun.script.as_deref() {
            return Ok(());
        }
        let named = |hash: Option<&str>| {
            hash.map_or_else(|| "no setup script".to_owned(), |hash| format!("the setup script {hash}"))
        };
        let (then, now) = (named(begun.script.as_deref()), named(now));
        let text = format!("the run was begun with {}, and now there is {}", escape::line(&then), now);
        Err(Error::new(&codes::SETUP_SCRIPT_CHANGED, text)
            .with_detail("domain", self.request.domain.as_str()))
    }

    /// Returns the script with this content. On the machine, it is next to the program.
    fn script_of(&self, content: Vec<u8>) -> Result<SetupScript> {
        let program = match &self.request.on {
            On::Local(_) => program_copy(&self.manager.state().local_root(&self.request.domain)),
            On::Generic(_) | On::Cloud(_) => program_paths()?.0,
        };
        let folder = program.rsplit_once('/').map_or(".", |(folder, _)| folder);
        SetupScript::new(content, folder)
    }
}

fn is_address(source: &str) -> bool {
    source.contains("://")
}

/// Refuses an address through which another could change the script, or that may contain a secret, which would be kept.
fn check_address(source: &str) -> Result<()> {
    let refused = |text: &str| Err(Error::new(&codes::SETUP_SCRIPT_INVALID, text));
    if !is_endpoint(source) {
        return refused(
            "the address of a setup script begins with https:// and has no user name, password or parameters",
        );
    }
    let authority = source.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    match authority.is_none_or(is_loopback) {
        true => Ok(()),
        false => refused("a setup script is fetched by https only, except from this computer"),
    }
}

fn is_loopback(authority: &str) -> bool {
    if authority.parse::<std::net::SocketAddr>().is_ok_and(|address| address.ip().is_loopback()) {
        return true;
    }
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// Reads a script's file, up to a byte more than it may have.
fn read(path: &str) -> Result<Vec<u8>> {
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    let mut content = Vec::new();
    let limit = SetupScript::LIMIT as u64 + 1;
    file.take(limit).read_to_end(&mut content).map_err(|e| Error::io(path, e))?;
    Ok(content)
}

/// Fetches a script. A redirect is not followed, since it would lead to another address than the one that is trusted.
async fn fetch(source: &str) -> Result<Vec<u8>> {
    let mut options = HttpOptions::from_env()?.within(PATIENCE);
    options.longest_answer = SetupScript::LIMIT + 1;
    let transport: Arc<dyn HttpTransport> = Arc::new(ReqwestTransport::new(options)?);
    let no_address = |e| {
        Error::new(&codes::SETUP_SCRIPT_INVALID, format!("the setup script's address is no address: {e}"))
    };
    let request = http::Request::get(source).body(bytes::Bytes::new()).map_err(no_address)?;
    let answer = transport.send(request).await?;
    match answer.status().as_u16() {
        200 => Ok(answer.into_body().to_vec()),
        status => {
            let text =
                format!("{} answered with status {status} in place of a setup script", escape::line(source));
            Err(Error::new(&codes::SETUP_SCRIPT_INVALID, text))
        }
    }
}
