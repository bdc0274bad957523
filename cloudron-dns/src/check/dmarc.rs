//! Checks the DMARC policy that receivers find for the domain by the tree walk of RFC 9989.

use super::Expected;
use super::finding::{Finding, Findings};
use crate::resolve::{NotKnown, Resolve};
use crate::{Name, RecordType};

/// Number of labels to which longer names are shortened after the first query (RFC 9989, section 4.10).
const MAX_LABELS: usize = 7;

/// A policy record and the name where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Policy {
    domain: Name,
    tags: Vec<(String, String)>,
    /// Invalid and duplicate tags, which receivers ignore (RFC 7489, section 6.3).
    ignored: Vec<String>,
}

impl Policy {
    fn get(&self, tag: &str) -> Option<&str> {
        self.tags.iter().find(|(name, _)| name == tag).map(|(_, value)| value.as_str())
    }
}

/// The policy records of a name.
enum Here {
    Nothing,
    One(Policy),
    /// A text that is meant as a policy but that receivers do not recognize as one.
    Broken(String),
    /// Several policies; receivers discard all of them.
    Several(usize),
}

pub(super) async fn check(resolver: &dyn Resolve, expected: &Expected) -> Findings {
    let domain = &expected.domain;
    let found = match here(resolver, domain).await {
        Ok(Here::One(policy)) => Some(policy),
        Ok(Here::Several(count)) => {
            let evidence = format!("there are {count} DMARC records, and receivers discard them all");
            return vec![Finding::fail("dmarc", domain, evidence, "keep one of them")];
        }
        Ok(Here::Broken(text)) => {
            let evidence = format!(
                "_dmarc.{domain} has {text:?}, which is no DMARC record: it must begin with v=DMARC1;"
            );
            let fix = format!("correct it, such as to _dmarc.{domain} TXT \"v=DMARC1; p=none\"");
            return vec![Finding::fail("dmarc", domain, evidence, fix)];
        }
        Ok(Here::Nothing) => match inherited(resolver, domain).await {
            Ok(found) => found,
            Err(why) => return vec![Finding::not_known("dmarc", domain, &why)],
        },
        Err(why) => return vec![Finding::not_known("dmarc", domain, &why)],
    };
    let Some(policy) = found else {
        let fix = format!("set _dmarc.{domain} TXT \"v=DMARC1; p=none\"");
        return vec![Finding::warn(
            "dmarc",
            domain,
            "no DMARC policy is found, which large receivers ask for",
            fix,
        )];
    };
    let mut findings = vec![judged(domain, &policy)];
    findings.extend(foreign_reports(resolver, &policy).await);
    findings
}

async fn here(resolver: &dyn Resolve, domain: &Name) -> Result<Here, NotKnown> {
    let Ok(name) = domain.below("_dmarc") else { return Ok(Here::Nothing) };
    let answer = resolver.resolve(&name, RecordType::TXT).await;
    let texts = answer.texts()?;
    let mut records: Vec<_> = texts.iter().filter_map(|text| policy(domain, text)).collect();
    Ok(match records.len() {
        0 => texts.iter().find_map(|text| meant(text)).map_or(Here::Nothing, Here::Broken),
        1 => Here::One(records.remove(0)),
        count => Here::Several(count),
    })
}

/// Parses a record whose first tag is the version. Later syntax errors are ignored, and the affected tags have their
/// defaults (RFC 7489, section 6.3).
fn policy(domain: &Name, text: &[u8]) -> Option<Policy> {
    let text = String::from_utf8_lossy(text);
    let mut parts = text.split(';').map(str::trim);
    let version = parts.next()?.split_once('=')?;
    if (version.0.trim_end(), version.1.trim_start()) != ("v", "DMARC1") {
        return None;
    }
    let (mut tags, mut ignored) = (Vec::<(String, String)>::new(), Vec::new());
    for part in parts.filter(|part| !part.is_empty()) {
        let tag =
            part.split_once('=').map(|(name, value)| (name.trim_end().to_ascii_lowercase(), value.trim()));
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        match tag {
            Some((name, value)) if is_name(&name) && tags.iter().all(|(other, _)| *other != name) => {
                tags.push((name, value.to_owned()));
            }
            _ => ignored.push(part.to_owned()),
        }
    }
    Some(Policy { domain: domain.clone(), tags, ignored })
}

/// Returns a text that looks like a policy but is not one.
fn meant(text: &[u8]) -> Option<String> {
    let text: String = String::from_utf8_lossy(text).chars().take(200).collect();
    text.to_ascii_lowercase().contains("dmarc1").then_some(text)
}

/// Returns the policy of the organizational domain, or else of the public suffix above it.
async fn inherited(resolver: &dyn Resolve, domain: &Name) -> Result<Option<Policy>, NotKnown> {
    let mut at = shortened(domain);
    let mut found: Option<Policy> = None;
    while let Some(name) = at.filter(|name| !name.is_root()) {
        if let Here::One(policy) = here(resolver, &name).await? {
            // `psd=n` marks the organizational domain itself; policies above a public suffix are ignored.
            match policy.get("psd") {
                Some("n") => return Ok(Some(policy)),
                Some("y") => return Ok(found.or(Some(policy))),
                _ => found = Some(policy),
            }
        }
        at = name.parent();
    }
    Ok(found)
}

/// Returns the name with which the walk continues after the first one.
fn shortened(domain: &Name) -> Option<Name> {
    let mut name = domain.parent()?;
    while name.labels().count() > MAX_LABELS {
        name = name.parent()?;
    }
    Some(name)
}

fn judged(domain: &Name, policy: &Policy) -> Finding {
    let own = policy.domain == *domain;
    let from = if own { String::new() } else { format!(", inherited from {}", policy.domain) };
    let wanted = match own {
        true => policy.get("p"),
        false => policy.get("sp").or(policy.get("p")),
    };
    let action = match wanted.map(str::to_ascii_lowercase).as_deref() {
        // Without a usable policy, receivers assume `none` if reports are requested.
        None if policy.get("rua").is_none() => {
            let fix = "add a policy, such as p=none";
            return Finding::fail("dmarc", domain, format!("the record has no policy{from}"), fix);
        }
        None => "none".to_owned(),
        Some(known @ ("none" | "quarantine" | "reject")) => known.to_owned(),
        Some(other) => {
            let fix = "the policy is none, quarantine or reject";
            return Finding::fail("dmarc", domain, format!("the policy {other:?} is none{from}"), fix);
        }
    };
    if !policy.ignored.is_empty() {
        let ignored = policy.ignored.join("; ");
        let evidence = format!("the policy is {action}{from}; receivers ignore {ignored:?} in its record");
        return Finding::warn(
            "dmarc",
            domain,
            evidence,
            "write each tag as NAME=VALUE, once, with `;` between them",
        );
    }
    let gone: Vec<_> = ["pct", "rf", "ri"].into_iter().filter(|tag| policy.get(tag).is_some()).collect();
    if !gone.is_empty() {
        let evidence =
            format!("the policy is {action}{from}, with {} which no longer counts", gone.join(", "));
        return Finding::warn("dmarc", domain, evidence, format!("remove {} (RFC 9989)", gone.join(", ")));
    }
    if action == "none" && policy.get("rua").is_none() {
        let evidence = format!("the policy only watches{from}, and nobody gets the reports");
        return Finding::warn(
            "dmarc",
            domain,
            evidence,
            "add rua=mailto: with an address that reads reports",
        );
    }
    Finding::pass("dmarc", domain, format!("the policy is {action}{from}"))
}

/// Checks report addresses in other domains, which must agree to receive reports (RFC 9990).
async fn foreign_reports(resolver: &dyn Resolve, policy: &Policy) -> Findings {
    let mut findings = Vec::new();
    for uri in policy.get("rua").unwrap_or_default().split(',') {
        let address = uri.trim().strip_prefix("mailto:").unwrap_or_default();
        let Some((_, host)) = address.rsplit_once('@') else { continue };
        let host = host.split('!').next().unwrap_or_default();
        let Ok(host) = Name::parse(host) else { continue };
        if host.is_in(&policy.domain) || policy.domain.is_in(&host) {
            continue;
        }
        let Ok(name) = host.below(&format!("{}._report._dmarc", policy.domain.without_dot())) else {
            continue;
        };
        let answer = resolver.resolve(&name, RecordType::TXT).await;
        match answer.texts() {
            Err(why) => findings.push(Finding::not_known("dmarc", &name, &why)),
            Ok(texts) if texts.iter().any(|text| self::policy(&host, text).is_some()) => {}
            Ok(_) => {
                let evidence = format!("{host} does not agree to get reports about {}", policy.domain);
                let fix = format!(
                    "have {name} TXT \"v=DMARC1\" set there, or name an address of the domain itself"
                );
                findings.push(Finding::warn("dmarc", &name, evidence, fix));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_shortened_to_seven_labels() {
        let next = |text: &str| shortened(&Name::parse(text).unwrap()).unwrap().to_string();
        assert_eq!(next("a.b.c.d.e.f.g.h.i.j.mail.example.com"), "g.h.i.j.mail.example.com.");
        assert_eq!(next("a.example.com"), "example.com.");
    }
}
