//! The names that the front of a machine of its own passes on to programs there. They are root's to say.

use std::net::SocketAddr;

use cloudron_api::ProxyRoute;
use cloudron_core::escape;
use serde_json::{Value, json};

use super::{folders, now};
use crate::db::events;
use crate::front::FrontSettings;
use crate::settings::Settings;
use crate::system::owner::as_owner;
use crate::{Error, Layout, Result, codes};

/// Maximum number of names.
const MOST: usize = 200;

/// Passes a name on to a program from now on, or to another one.
///
/// # Errors
/// `proxy-host`, `no-front`, `machine-missing`, and errors of the database.
pub fn proxy_add(layout: &Layout, route: ProxyRoute) -> Result<Vec<ProxyRoute>> {
    let (settings, mut front) = open(layout)?;
    let route = checked(&front, route)?;
    front.routes.retain(|other| other.host != route.host);
    if front.routes.len() >= MOST {
        return Err(Error::new(&codes::PROXY_HOST, format!("there are {MOST} names already")));
    }
    let data = json!({"host": route.host, "to": route.to});
    front.routes.push(route);
    front.routes.sort_by(|a, b| a.host.cmp(&b.host));
    write(layout, &settings, front, "proxy.add", &data)
}

/// Gives a name up.
///
/// # Errors
/// `proxy-missing`, `no-front`, `machine-missing`, and errors of the database.
pub fn proxy_remove(layout: &Layout, host: &str) -> Result<Vec<ProxyRoute>> {
    let (settings, mut front) = open(layout)?;
    let (host, before) = (plain(host), front.routes.len());
    front.routes.retain(|route| route.host != host);
    if front.routes.len() == before {
        let text = format!("{} is not passed on", shown(&host));
        return Err(Error::new(&codes::PROXY_MISSING, text));
    }
    write(layout, &settings, front, "proxy.remove", &json!({ "host": host }))
}

/// Returns the names, sorted.
///
/// # Errors
/// `no-front`, `machine-missing`, `config-corrupt`.
pub fn proxy_list(layout: &Layout) -> Result<Vec<ProxyRoute>> {
    Ok(open(layout)?.1.routes)
}

/// Adds the names of a backup to those that the machine has. One that the machine cannot pass on, as after a restore under
/// another domain, is left out.
pub(crate) fn restore_routes(layout: &Layout, routes: Vec<ProxyRoute>) -> Result<()> {
    let Some(mut front) = FrontSettings::load(layout)? else { return Ok(()) };
    for route in routes.into_iter().take(MOST) {
        match checked(&front, route) {
            Ok(route) if front.routes.iter().all(|own| own.host != route.host) => front.routes.push(route),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "A name of the backup is left out"),
        }
    }
    front.routes.sort_by(|a, b| a.host.cmp(&b.host));
    front.write(layout)
}

fn open(layout: &Layout) -> Result<(Settings, FrontSettings)> {
    let settings = as_owner(layout, || Settings::require(layout))?;
    if !layout.is_system() {
        let text = "a server that is a process of a person has no ports 80 and 443 to share";
        return Err(Error::new(&codes::NO_FRONT, text));
    }
    let none = || {
        Error::new(&codes::NO_FRONT, "the server of this machine was installed by a version without a front")
    };
    let front = FrontSettings::load(layout)?.ok_or_else(none)?;
    Ok((settings, front))
}

/// The list is written first: it is what counts, and an event of something that was not done would be wrong.
fn write(
    layout: &Layout,
    settings: &Settings,
    front: FrontSettings,
    action: &str,
    data: &Value,
) -> Result<Vec<ProxyRoute>> {
    front.write(layout)?;
    folders::note(layout, settings, |c| events::add(c, now(), action, &events::system("cli"), data))?;
    Ok(front.routes)
}

/// Checks a route, and returns it with its host as the front compares it.
fn checked(front: &FrontSettings, route: ProxyRoute) -> Result<ProxyRoute> {
    let host = plain(&route.host);
    let refused = |why: String| {
        let text = format!("{} cannot be passed on: {why}", shown(&host));
        Err(Error::new(&codes::PROXY_HOST, text).with_detail("domain", front.fqdn.as_str()))
    };
    let label = host.strip_suffix(front.fqdn.as_str()).and_then(|rest| rest.strip_suffix('.'));
    // The machine's own certificate has the names of this level.
    let Some(label) = label.filter(|label| is_label(label)) else {
        return refused(format!("it is not one label and {}", front.fqdn));
    };
    if label == "my" {
        return refused("it is the name of the server itself".to_owned());
    }
    if !may_be_asked(route.to) {
        return refused(format!("{} is not the address of one program", route.to));
    }
    Ok(ProxyRoute { host, ..route })
}

fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn shown(host: &str) -> String {
    escape::line(host).chars().take(260).collect()
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn may_be_asked(to: SocketAddr) -> bool {
    to.port() != 0 && !to.ip().is_unspecified() && !to.ip().is_multicast()
}

#[cfg(test)]
mod tests {
    use cloudron_core::Domain;

    use super::*;

    fn check(host: &str, to: &str) -> Result<ProxyRoute> {
        let front = FrontSettings { fqdn: Domain::parse("example.com").unwrap(), routes: Vec::new() };
        checked(&front, ProxyRoute { host: host.to_owned(), to: to.parse().unwrap(), h2c: false })
    }

    #[test]
    fn a_name_one_label_below_the_domain_is_passed_on_as_the_front_compares_it() {
        assert_eq!(check("Blog.Example.COM.", "127.0.0.1:8080").unwrap().host, "blog.example.com");
        assert_eq!(check("blog.example.com", "[::1]:80").unwrap().to.port(), 80);
    }

    #[test]
    fn the_servers_own_name_other_domains_and_addresses_of_nobody_are_refused() {
        for host in [
            "my.example.com",
            "MY.example.com.",
            "example.com",
            "a.b.example.com",
            "*.example.com",
            "blog.example.org",
            "blogexample.com",
            "localhost",
            "-a.example.com",
            "a b.example.com",
            "\u{1b}[31m.example.com",
            "",
        ] {
            let error = check(host, "127.0.0.1:8080").unwrap_err();
            assert!(error.is(&codes::PROXY_HOST) && !error.to_string().contains('\u{1b}'), "{host}: {error}");
        }
        for to in ["0.0.0.0:80", "[::]:80", "127.0.0.1:0", "224.0.0.1:80"] {
            assert!(check("blog.example.com", to).unwrap_err().is(&codes::PROXY_HOST), "{to}");
        }
    }

    #[test]
    fn a_server_of_a_person_has_no_names_to_pass_on() {
        let home = tempfile::tempdir().unwrap();
        let error = proxy_list(&Layout::rooted(home.path())).unwrap_err();
        assert!(error.is(&codes::MACHINE_MISSING), "{error}");
    }
}
