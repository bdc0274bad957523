//! Makes a machine at Hetzner Cloud, says hello from it, and removes it.
//! Run: `cargo run -p cloudron-examples --bin cloud_machine FOLDER PUBLIC-KEY-FILE KEY-FILE TOKEN-FILE [ENDPOINT PORT]`

use std::path::Path;
use std::sync::Arc;

use cloudron_core::{Cancel, Error, Progress, Result, SecretRef, SystemClock, codes};
use cloudron_http::ReqwestTransport;
use cloudron_provision::cloud::{Cloud, Login, remove_all};
use cloudron_provision::hetzner::{Hetzner, Settings};
use cloudron_provision::ssh::Auth;
use cloudron_provision::{CloudProvider, Command, Context, Runner, Spec};

const FQDN: &str = "example.com";

#[tokio::main]
async fn main() -> Result<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [folder, public, key, token, test @ ..] = &given[..] else {
        return Err(Error::new(&codes::USAGE, "give FOLDER PUBLIC-KEY-FILE KEY-FILE TOKEN-FILE"));
    };
    let public = std::fs::read_to_string(public).map_err(|e| Error::io(Path::new(public), e))?;
    // The token comes from a file, so that it is in no argument list and no log.
    let token = SecretRef::parse(&format!("file:{token}")).resolve(&mut std::io::empty())?;
    let (clock, transport) = (Arc::new(SystemClock), Arc::new(ReqwestTransport::from_env()?));
    let mut login = Login::new(Auth::key(key), clock.clone());
    if let [_, port] = test {
        login = login.on_port(port.parse().map_err(|_| Error::new(&codes::USAGE, "PORT is a number"))?);
    }
    let mut hetzner = Hetzner::new(token, Settings::new(public), login, transport, clock)?;
    if let [endpoint, _] = test {
        hetzner = hetzner.at(endpoint)?;
    }
    live(folder, Arc::new(hetzner)).await
}

/// The life of a machine. The journal of its run is in the folder; without it, everything is still found by its marks.
pub async fn live(folder: &str, hetzner: Arc<Hetzner>) -> Result<()> {
    println!("it will cost {:?}", hetzner.plan(FQDN).await?.cost());
    hetzner.preflight(FQDN).await?;
    let inputs = serde_json::Value::Null;
    let spec = Spec { op: "create".into(), fqdn: FQDN.into(), provider: "hetzner".into(), inputs };
    let context = Context::new(FQDN, hetzner.clone());
    let made = Runner::new(folder).run(spec, &hetzner.steps(FQDN), &context).await?;
    println!("made {}", made["machine"]["name"]);
    let hello = context.remote().await?.exec(Command::new(["echo", "hello"])).await?;
    println!("it says {}", hello.text());

    for removed in remove_all(&*hetzner, FQDN, None, &Progress::none(), &Cancel::new()).await? {
        println!("removed the {} {}", removed.kind, removed.name);
    }
    println!("{} machines are left", hetzner.machines().await?.len());
    Ok(())
}
