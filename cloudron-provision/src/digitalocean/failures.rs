//! What the refusals of DigitalOcean mean: <https://docs.digitalocean.com/reference/api/>.

use cloudron_core::{Code, Error};
use cloudron_http::Response;
use cloudron_http::rest::{Codes, Failure, Said, Vendor, parse};
use http::{Method, StatusCode};

use super::messages::Problem;
use crate::cloud::codes;

pub(super) static CODES: Codes = Codes {
    credentials: &codes::CREDENTIALS,
    not_found: &codes::NOT_FOUND,
    rate_limited: &codes::RATE_LIMITED,
    down: &codes::DOWN,
    refused: &codes::REFUSED,
};

pub(super) static VENDOR: Vendor = Vendor {
    name: "DigitalOcean",
    endpoint: "https://api.digitalocean.com",
    header: ("authorization", "Bearer "),
    agent: concat!("cloudron-provision/", env!("CARGO_PKG_VERSION")),
    codes: &CODES,
    said,
};

fn said(answer: &Response) -> Said {
    let problem = parse::<Problem>(answer).unwrap_or_default();
    let header = answer.headers().get("x-request-id").and_then(|v| v.to_str().ok().map(str::to_owned));
    Said {
        code: meaning(answer.status(), &problem.message),
        message: problem.message,
        hint: None,
        request_id: problem.request_id.or(header),
    }
}

/// Returns the meaning of a refusal. A 422 has no code of its own, only a text.
fn meaning(status: StatusCode, message: &str) -> Option<&'static Code> {
    match status {
        StatusCode::FORBIDDEN => return Some(&codes::PERMISSION),
        StatusCode::CONFLICT => return Some(&codes::TAKEN),
        StatusCode::UNPROCESSABLE_ENTITY => {}
        _ => return None,
    }
    let text = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    Some(match () {
        () if has(&["pending event"]) => &codes::STATE,
        () if has(&["already in use", "already exists", "duplicate name"]) => &codes::TAKEN,
        () if has(&["limit"]) => &codes::QUOTA,
        () if has(&["not available in", "unavailable", "capacity"]) => &codes::CAPACITY,
        () if has(&["specified an invalid"]) => &codes::NOT_FOUND,
        () => return None,
    })
}

/// Adds to a refusal for lack of permission which scopes the token needs for that call.
pub(super) fn explained(method: &Method, path: &str, failure: Failure) -> Failure {
    match scopes(method, path) {
        Some(scopes) if failure.error.is(&codes::PERMISSION) => {
            Failure { error: failure.error.with_hint(format!("give the token {scopes}")), ..failure }
        }
        _ => failure,
    }
}

/// Another attempt of the whole step does not help where the attempts of the request did not.
pub(super) fn once(error: Error) -> Error {
    let retryable = error.is_retryable() && !error.is(&codes::CAPACITY);
    error.retryable(retryable)
}

/// Returns the scopes that a call needs, as the description of the interface names them.
fn scopes(method: &Method, path: &str) -> Option<&'static str> {
    let path = path.strip_prefix("/v2/")?.split('?').next()?;
    let parts: Vec<&str> = path.split('/').collect();
    Some(match (method.as_str(), &parts[..]) {
        ("GET", ["sizes", ..]) => "the scopes sizes:read and regions:read",
        ("GET", ["regions", ..]) => "the scope regions:read",
        ("GET", ["actions", ..]) => "the scope actions:read",
        ("GET", ["account", "keys", ..]) => "the scope ssh_key:read",
        ("POST", ["account", "keys"]) => "the scope ssh_key:create",
        ("DELETE", ["account", "keys", ..]) => "the scope ssh_key:delete",
        ("GET", ["tags", ..]) => "the scope tag:read",
        ("POST", ["tags", _, ..]) => "the scopes tag:create and droplet:update",
        ("POST", ["tags"]) => "the scope tag:create",
        ("DELETE", ["tags", ..]) => "the scope tag:delete",
        ("GET", ["firewalls", ..]) => "the scope firewall:read",
        ("POST", ["firewalls", ..]) => "the scopes firewall:create and tag:read",
        ("DELETE", ["firewalls", ..]) => "the scope firewall:delete",
        ("GET", ["droplets", ..]) => "the scopes droplet:read and tag:read",
        ("POST", ["droplets", ..]) => "the scopes droplet:create, image:read, ssh_key:read and tag:create",
        ("DELETE", ["droplets", ..]) => "the scope droplet:delete",
        ("GET", ["reserved_ips", ..]) => "the scopes reserved_ip:read and droplet:read",
        ("POST", ["reserved_ips", ..]) => "the scope reserved_ip:create",
        ("DELETE", ["reserved_ips", ..]) => "the scope reserved_ip:delete",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_understood_by_its_text() {
        let name = |message| meaning(StatusCode::UNPROCESSABLE_ENTITY, message).map(|code| code.name);
        assert_eq!(name("Droplet already has a pending event."), Some("cloud-state"));
        assert_eq!(name("SSH Key is already in use on your account"), Some("cloud-name-taken"));
        let limit = "creating this/these droplet(s) will exceed your droplet limit";
        assert_eq!(name(limit), Some("cloud-quota"));
        assert_eq!(name("Size is not available in this region."), Some("cloud-capacity"));
        let image = "You specified an invalid image for Droplet creation.";
        assert_eq!(name(image), Some("cloud-not-found"));
        assert_eq!(name("Name is invalid"), None);
    }
}
