//! Creates a server on this computer, backs it up, destroys it and restores it.
//! Run: `cargo run -p cloudron-examples --bin local_machine FOLDER PROGRAM KEY-FILE`, where PROGRAM is `cloudron`.

use std::time::Duration;

use cloudron_core::{Cancel, Domain, Error, Progress, Result, SecretRef, codes};
use cloudron_machine::destroy::DestroyOptions;
use cloudron_machine::{CreateRequest, Manager, StateDir};

#[tokio::main]
async fn main() -> Result<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [folder, program, key_file] = &given[..] else {
        return Err(Error::new(&codes::USAGE, "give FOLDER PROGRAM KEY-FILE"));
    };
    live(folder, program, key_file).await
}

/// The life of a machine. What is known of it, and its files, are below one folder; its backups outlive it.
pub async fn live(folder: &str, program: &str, key_file: &str) -> Result<()> {
    let state = StateDir::new(format!("{folder}/state"), format!("{folder}/data"));
    let manager = Manager::new(state).installing(program);

    // The key opens the backups; it comes from a file, so that it is in no argument list and no log.
    let mut request = CreateRequest::local(Domain::parse("demo.localhost")?);
    request.backup_key = Some(SecretRef::parse(&format!("file:{key_file}")).resolve(&mut std::io::empty())?);
    let machine = manager.creation(request.clone())?.run().await?.machine;
    println!("{} runs in {}", machine.url(), machine.reach.place());

    // The server's interface, reached with its pinned certificate and a token that lives for some minutes.
    let client = manager.client(&machine).await?;
    client.back_up(Duration::from_secs(600), &Progress::none(), &Cancel::new()).await?;
    println!("{} backup", client.backups().await?.len());

    let destroyed = manager.destroy(&machine, &[], None, &DestroyOptions::default()).await?;
    println!("destroyed; its backups stay {}", destroyed.kept.map(|kept| kept.place()).unwrap_or_default());

    request.backup = Some("latest".into());
    let created = manager.creation(request)?.run().await?;
    println!("restored {} entries", created.restored.map_or(0, |restored| restored.compared));
    let everything = DestroyOptions { delete_backups: true, ..DestroyOptions::default() };
    manager.destroy(&created.machine, &[], None, &everything).await.map(drop)
}
