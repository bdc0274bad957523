//! Checks whether the authority may issue certificates (RFC 8659).

use super::Expected;
use super::finding::{Finding, Findings};
use crate::resolve::Resolve;
use crate::{Name, RecordData, RecordType};

/// Tags that an authority knows. It must not issue a certificate if a critical tag is unknown to it.
const KNOWN: [&str; 7] =
    ["issue", "issuewild", "iodef", "contactemail", "contactphone", "issuevmc", "issuemail"];

/// Checks the relevant record set: the closest one at or above the name (RFC 8659, section 3).
pub(super) async fn check(resolver: &dyn Resolve, expected: &Expected) -> Findings {
    let (my, ca) = (&expected.my, &expected.ca);
    let mut at = Some(my.clone());
    while let Some(name) = at.filter(|name| !name.is_root()) {
        let answer = resolver.resolve(&name, RecordType::CAA).await;
        match answer.values() {
            Err(why) => return vec![Finding::not_known("caa", &name, &why)],
            Ok([]) => at = name.parent(),
            Ok(values) => return vec![judged(values, &name, ca)],
        }
    }
    vec![Finding::pass("caa", my, "every authority may issue: there is no CAA record")]
}

fn judged(values: &[RecordData], name: &Name, ca: &str) -> Finding {
    let mut issuers = Vec::new();
    for value in values {
        let RecordData::Caa { flags, tag, value } = value else { continue };
        let text = String::from_utf8_lossy(value).into_owned();
        if flags & 128 != 0 && !KNOWN.contains(&tag.as_str()) {
            let evidence = format!("it has the critical property {tag:?}, which authorities do not know");
            return Finding::fail("caa", name, evidence, "remove that CAA record");
        }
        if tag == "issue" {
            issuers.push(text);
        }
    }
    let evidence = format!("it lets these issue: {}", issuers.join(" and "));
    let ours = issuers.iter().filter(|issuer| {
        let domain = issuer.split(';').next().unwrap_or_default().trim();
        domain.trim_end_matches('.').eq_ignore_ascii_case(ca)
    });
    let ours: Vec<&String> = ours.collect();
    match (issuers.is_empty(), ours.is_empty()) {
        (true, _) => Finding::pass("caa", name, "its CAA records say nothing of who may issue"),
        (_, true) => Finding::fail("caa", name, evidence, format!("add {name} CAA 0 issue \"{ca}\"")),
        _ if ours.iter().all(|issuer| issuer.contains(';')) => {
            // Parameters restrict it to an account or a validation method (RFC 8657).
            let fix = "check that the account and the way of validation are those of this server";
            Finding::warn("caa", name, evidence, fix)
        }
        _ => Finding::pass("caa", name, evidence),
    }
}
