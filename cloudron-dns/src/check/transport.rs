//! Checks the policy for encrypted mail (RFC 8461), and reports about it (RFC 8460).

use super::Expected;
use super::addresses::addresses;
use super::finding::{Finding, Findings};
use crate::machine::tags;
use crate::resolve::{NotKnown, Resolve};
use crate::{Name, RecordType};

/// Returns the tags of the records of one version at a name.
async fn records(
    resolver: &dyn Resolve,
    name: &Name,
    version: &str,
) -> Result<Vec<Option<Vec<(String, String)>>>, NotKnown> {
    let answer = resolver.resolve(name, RecordType::TXT).await;
    let texts = answer.texts()?;
    let ours = texts.iter().filter_map(|text| std::str::from_utf8(text).ok());
    let ours = ours.filter(|text| text.split(';').next().is_some_and(|first| first.trim() == version));
    Ok(ours.map(tags).collect())
}

/// Checks whether the record names the policy. The policy itself, which is fetched over HTTPS, is not checked.
pub(super) async fn mta_sts(resolver: &dyn Resolve, expected: &Expected) -> Findings {
    let (Ok(name), Ok(host)) = (expected.domain.below("_mta-sts"), expected.domain.below("mta-sts")) else {
        return Vec::new();
    };
    let id = "mta-sts";
    let wanted = expected.mta_sts.as_ref();
    let fix = wanted.map_or("remove it, or correct it".into(), |w| format!("set {name} TXT {}", w.record()));
    let records = match records(resolver, &name, "v=STSv1").await {
        Ok(records) => records,
        Err(why) => return vec![Finding::not_known(id, &name, &why)],
    };
    let fail = |evidence: &str| vec![Finding::fail(id, &name, evidence, fix.clone())];
    let tags = match (&records[..], wanted) {
        ([], None) => return Vec::new(),
        ([], Some(_)) => return fail("there is no MTA-STS record"),
        ([Some(tags)], _) => tags,
        ([None], _) => return fail("the record is no list of tags"),
        _ => return fail("there are several MTA-STS records, which senders take for none"),
    };
    let found = tags.iter().find(|(tag, _)| tag == "id").map_or("", |(_, value)| value);
    if !(1..=32).contains(&found.len()) || !found.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return fail("its id is not 1 to 32 letters and digits");
    }
    if wanted.is_some_and(|wanted| wanted.id() != found) {
        return fail("its id is not that of the policy");
    }
    match addresses(resolver, &host).await {
        Err(why) => vec![Finding::not_known(id, &host, &why)],
        Ok(found) if found.is_empty() => {
            let fix = format!("give {host} the addresses of the server that has the policy");
            vec![Finding::fail(id, &host, "the host of the policy has no address", fix)]
        }
        Ok(_) => {
            vec![Finding::pass(id, &name, format!("it names the policy at {host}, which was not fetched"))]
        }
    }
}

pub(super) async fn tls_reports(resolver: &dyn Resolve, expected: &Expected) -> Findings {
    let Ok(name) = expected.domain.below("_smtp._tls") else { return Vec::new() };
    let id = "tls-rpt";
    let records = match records(resolver, &name, "v=TLSRPTv1").await {
        Ok(records) => records,
        Err(why) => return vec![Finding::not_known(id, &name, &why)],
    };
    let fix = format!("set {name} TXT \"v=TLSRPTv1; rua=mailto:ADDRESS\"");
    let tags = match &records[..] {
        [] if !expected.tls_reports => return Vec::new(),
        [] => return vec![Finding::fail(id, &name, "there is no record", fix)],
        [Some(tags)] => tags,
        _ => return vec![Finding::fail(id, &name, "there is not one record that can be read", fix)],
    };
    let to = tags.iter().find(|(tag, _)| tag == "rua").map_or("", |(_, value)| value);
    let valid = !to.is_empty()
        && to.split(',').all(|uri| ["mailto:", "https:"].iter().any(|scheme| uri.trim().starts_with(scheme)));
    if valid {
        vec![Finding::pass(id, &name, format!("reports go to {to}"))]
    } else {
        vec![Finding::fail(id, &name, format!("reports cannot go to {to:?}"), fix)]
    }
}
