//! Installing a server in a place, also over an earlier one, and removing it.

mod account;
mod again;
mod check;
mod earlier;
mod folders;
mod front;
mod give;
mod program;
mod remove;
mod store;

pub use again::reinstall;
pub use cloudron_api::install::{InstallAnswer, InstallRequest, RepositoryObject, Supervisor};
pub use remove::uninstall;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::SystemTime;

use cloudron_core::{Secret, Version, random};
use jiff::Timestamp;
use serde_json::json;

use crate::db::tokens::fresh_setup_token;
use crate::db::{Db, events, includes, settled, users};
use crate::include::checked;
use crate::settings::{Machine, Settings, WorkerSettings};
use crate::system::files;
use crate::system::owner::{Owner, as_owner, as_user, as_worker, other_owner};
use crate::system::port::port_error;
use crate::time::millis;
use crate::{Error, Layout, Result, service, tls};

/// Installs a server: user, folders, database, certificate authority, settings, systemd unit. Does not start
/// it. The same run may install again, and then gets a new setup token.
///
/// # Errors
/// `machine-exists` for another domain or run, `install-request`, `store-other`, `install-unsupported`,
/// `install-command`, `port-in-use`, and file errors.
pub fn install(layout: &Layout, request: &InstallRequest) -> Result<InstallAnswer> {
    let existing = as_owner(layout, || Settings::load(layout))?;
    check::request(layout, request)?;
    if let Some(existing) = &existing {
        check::same_machine(existing, request)?;
    }
    put(layout, request, existing.as_ref(), true)
}

/// Puts a checked installation in its place. The store is only made if `with_store` is true.
fn put(
    layout: &Layout,
    request: &InstallRequest,
    existing: Option<&Settings>,
    with_store: bool,
) -> Result<InstallAnswer> {
    if layout.is_system() {
        front::check()?;
    }
    let users = account::prepare(layout)?;
    let other = other_owner(layout)?;
    let (owner, worker) = (users.map(|u| u.interface).or(other), users.map(|u| u.worker).or(other));
    program::place(layout)?;
    let settings = settings(layout, request, existing)?;
    files::private_folder(layout.state())?;
    if let Some(owner) = owner {
        give::state(layout, owner)?;
    }
    if let Some(users) = users {
        files::private_folder(&layout.worker_state())?;
        give::tree(&layout.worker_state(), users.worker)?;
        front::prepare(layout, users)?;
        front::tell(layout, &settings)?;
    }
    if with_store {
        store::prepare(layout, &settings, request, worker)?;
    }
    by(worker, || fill_worker(layout, request, &settings))?;
    if layout.is_system() {
        folders::list(layout, request, &settings, existing.is_none())?;
    }
    let answer = by(owner, || fill(layout, request, &settings, existing.is_none()))?;
    if layout.is_system() {
        by(owner, || earlier::remove(layout))?;
        service::write_units(layout, &settings)?;
    }
    Ok(answer)
}

/// Runs `work` as another user, if there is one.
fn by<T: Send>(owner: Option<Owner>, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    match owner {
        Some(owner) => as_user(owner, work),
        None => work(),
    }
}

/// Creates everything in the worker's state.
fn fill_worker(layout: &Layout, request: &InstallRequest, settings: &Settings) -> Result<()> {
    for folder in [layout.worker_secrets(), layout.worker_cache()] {
        files::private_folder(&folder)?;
    }
    match &request.store_access {
        Some(access) => files::write_json(&layout.store_access(), access)?,
        None => files::remove_file(&layout.store_access())?,
    }
    files::write_private(&layout.writer_keys(), request.writer_keys.expose().as_bytes())?;
    match layout.worker_config() {
        Some(file) => files::write_json(&file, &WorkerSettings::of(settings)),
        None => Ok(()),
    }
}

/// Creates everything in the state folder.
fn fill(
    layout: &Layout,
    request: &InstallRequest,
    settings: &Settings,
    first: bool,
) -> Result<InstallAnswer> {
    let now = SystemTime::now();
    for folder in [layout.secrets(), layout.data(), layout.logs(), layout.cache(), layout.run()] {
        files::private_folder(&folder)?;
    }
    tls::ensure(layout, request.fqdn.as_str(), now)?;
    tls::leave_for_front(layout)?;
    let setup = fill_database(layout, request, settings, first, millis(now))?;
    let version = Version::current();
    let machine = Machine { fqdn: request.fqdn.clone(), run: request.run.clone(), version: version.clone() };
    files::write_json(&layout.machine(), &machine)?;
    // The settings are written last: a place with settings contains a machine.
    files::write_json(&layout.config(), settings)?;
    let ca_pem = std::fs::read_to_string(layout.authority()).map_err(|e| Error::io(layout.authority(), e))?;
    let (setup_token, setup_expires_at) = setup.unzip();
    Ok(InstallAnswer {
        ca_fingerprint: tls::fingerprint(&ca_pem)?,
        ca_pem,
        port: settings.port(),
        setup_token,
        setup_expires_at,
        version,
    })
}

/// Returns the folder of a machine's backup store, even if an installation was interrupted before it wrote
/// settings. Returns `None` if the store is a bucket.
///
/// # Errors
/// `config-corrupt`.
pub fn store_folder(layout: &Layout) -> Result<Option<PathBuf>> {
    Ok(match as_owner(layout, || Settings::load(layout))? {
        Some(settings) => worker_settings(layout, &settings)?.store_folder(),
        None => Some(layout.default_store()),
    })
}

/// Returns the worker's settings. An installation of an earlier version has them with the others.
fn worker_settings(layout: &Layout, settings: &Settings) -> Result<WorkerSettings> {
    Ok(as_worker(layout, || WorkerSettings::load(layout))?.unwrap_or_else(|| WorkerSettings::of(settings)))
}

fn settings(layout: &Layout, request: &InstallRequest, existing: Option<&Settings>) -> Result<Settings> {
    let before = existing.map(Settings::port);
    let running = existing.is_some()
        && (service::status(layout).is_ok_and(|s| s.running) || layout.is_system() && service::holds_ports());
    let hour = request.backup_hour.or(existing.map(|e| e.backup_hour));
    Ok(Settings {
        fqdn: request.fqdn.clone(),
        provider: request.provider.clone(),
        run: request.run.clone(),
        supervisor: request.supervisor,
        listen: request.listen.iter().map(|a| listen_address(*a, before, running)).collect::<Result<_>>()?,
        store: request.store.clone(),
        // Between one and five in the morning, spread over the machines.
        backup_hour: hour.unwrap_or_else(|| 1 + random::bytes::<1>()[0] % 4),
    })
}

/// Returns the address with a port: for port 0 a free one, or the previous one if there was one.
fn listen_address(wanted: SocketAddr, before: Option<u16>, running: bool) -> Result<SocketAddr> {
    let address = match (wanted.port(), before) {
        (0, Some(port)) => SocketAddr::new(wanted.ip(), port),
        _ => wanted,
    };
    if running && before == Some(address.port()) {
        return Ok(address);
    }
    // Otherwise port 0 could be free on one address and taken on another.
    let probe =
        if address.port() == 0 { SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0) } else { address };
    let listener = TcpListener::bind(probe).map_err(|e| port_error(address, &e))?;
    let port = listener.local_addr().map_err(|e| port_error(address, &e))?.port();
    Ok(SocketAddr::new(address.ip(), port))
}

fn fill_database(
    layout: &Layout,
    request: &InstallRequest,
    settings: &Settings,
    first: bool,
    now: i64,
) -> Result<Option<(Secret, Timestamp)>> {
    let db = match first {
        true => Db::open(&layout.database())?,
        false => settled::open(layout, settings)?,
    };
    let setup = db.transaction(|c| {
        // On a machine of its own, they are in root's list.
        for include in request.includes.iter().filter(|_| !layout.is_system()) {
            includes::put(c, &checked(include.clone(), layout, None)?)?;
        }
        if first {
            let data =
                json!({"version": Version::current(), "provider": request.provider, "fqdn": request.fqdn});
            events::add(c, now, "cloudron.install", &events::system("installer"), &data)?;
        }
        if users::any(c)? { Ok(None) } else { fresh_setup_token(c, now).map(Some) }
    })?;
    settled::note(layout, &db)?;
    Ok(setup)
}
