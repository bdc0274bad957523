//! Checks whether records that differ from the desired ones have the same meaning.

use std::collections::BTreeSet;
use std::time::Duration;

use super::finding::{Finding, Status};
use super::{Expected, diagnose};
use crate::machine::{DkimRecord, tags};
use crate::propagation::{self, Lookup, Report, Resolver, Verdict};
use crate::{Intent, Name, Observed, RecordData, RecordKey, RecordSet, RecordType, Result};

/// Asks every authoritative name server for the records of a zone, and what is expected of a server besides, if anything is.
/// Records of mail count as right when they mean the same as those that are desired.
///
/// # Errors
/// As [`propagation::check`].
pub async fn check_records(
    lookup: &Lookup,
    zone: &Name,
    desired: &[Intent],
    expected: Option<&Expected>,
    limit: Duration,
) -> Result<(Report, Vec<Finding>)> {
    let report = propagation::check(lookup, zone, desired, limit).await?;
    let Some(expected) = expected else { return Ok((report, Vec::new())) };
    let findings = diagnose(&Resolver::authoritative(lookup.clone()), expected).await;
    Ok((by_meaning(report, &findings, expected), findings))
}

/// Corrects the report of a literal comparison: records with the same meaning count as correct. These are keys and
/// policies with additional tags, and records that the findings for the same domain accept, such as an SPF record that
/// allows the server by another mechanism, or a key behind a CNAME. All servers that answer must have the same record.
pub fn by_meaning(mut report: Report, findings: &[Finding], expected: &Expected) -> Report {
    let judged = right(findings, expected);
    for key in &judged {
        let verdicts = || report.servers.iter().flat_map(|server| &server.keys).filter(|k| k.key == *key);
        let mut found: Vec<Option<BTreeSet<RecordData>>> =
            verdicts().filter_map(|k| has(&k.verdict)).collect();
        found.dedup();
        if !matches!(found[..], [Some(_)]) {
            continue;
        }
        for verdict in verdicts_of(&mut report, key) {
            if let Verdict::Differs { found, .. } = verdict {
                *verdict = Verdict::Equivalent { found: std::mem::take(found) };
            }
        }
    }
    for server in &mut report.servers {
        for verdict in server.keys.iter_mut().map(|key| &mut key.verdict) {
            if let Verdict::Differs { found, wanted: Some(wanted) } = verdict
                && same_tags(found, wanted)
            {
                *verdict = Verdict::Equivalent { found: std::mem::take(found) };
            }
        }
    }
    report
}

fn verdicts_of<'a>(report: &'a mut Report, key: &'a RecordKey) -> impl Iterator<Item = &'a mut Verdict> {
    let keys = report.servers.iter_mut().flat_map(|server| &mut server.keys);
    keys.filter(|k| k.key == *key).map(|k| &mut k.verdict)
}

/// Returns the records that a server has instead of the desired ones: `Some(None)` if it has exactly those or none,
/// `None` if it gives no answer.
fn has(verdict: &Verdict) -> Option<Option<BTreeSet<RecordData>>> {
    match verdict {
        Verdict::Differs { found, .. } => {
            let plain = found.iter().filter_map(Observed::plain);
            Some(Some(plain.flat_map(RecordSet::values).cloned().collect()))
        }
        Verdict::NoAnswer(_) | Verdict::NoRoute | Verdict::Refused(_) | Verdict::Lame => None,
        _ => Some(None),
    }
}

/// Returns the sets that the findings accept, with or without a warning.
fn right(findings: &[Finding], expected: &Expected) -> Vec<RecordKey> {
    let domain = &expected.domain;
    let below = |label: &str| domain.below(label).ok();
    let dkim = expected.dkim.as_ref().and_then(|dkim| dkim.name(domain).ok());
    let txt = RecordType::TXT;
    let sets = [
        ("mx", Some(domain.clone()), RecordType::MX),
        ("spf", Some(domain.clone()), txt),
        ("spf-helo", Some(expected.my.clone()), txt),
        ("dkim", dkim, txt),
        ("dmarc", below("_dmarc"), txt),
        ("mta-sts", below("_mta-sts"), txt),
        ("tls-rpt", below("_smtp._tls"), txt),
    ];
    let judged_right = |id: &str| {
        let mut of_check = findings.iter().filter(|finding| finding.id == id).peekable();
        of_check.peek().is_some() && of_check.all(|f| matches!(f.status, Status::Pass | Status::Warn))
    };
    let right = sets.into_iter().filter(|(id, ..)| judged_right(id));
    right.filter_map(|(_, name, rtype)| Some(RecordKey::new(name?, rtype))).collect()
}

/// Returns whether there is one text and one desired text, and their tags have the same meaning: for keys, how
/// receivers interpret them; for policies, each tag, in any order.
fn same_tags(found: &[Observed], wanted: &RecordSet) -> bool {
    let [Observed::Plain(found)] = found else { return false };
    let ([RecordData::Txt(there)], [RecordData::Txt(wanted_text)]) = (found.values(), wanted.values()) else {
        return false;
    };
    let (there, wanted_text) = (there.joined(), wanted_text.joined());
    let mut labels = wanted.name().labels();
    match (labels.next(), labels.next()) {
        (_, Some("_domainkey")) => {
            let read = |text: &[u8]| DkimRecord::parse(text).ok();
            let (Some(there), Some(wanted)) = (read(&there), read(&wanted_text)) else { return false };
            there.is_same_key(&wanted) && there.unusable().is_none()
        }
        (Some("_dmarc" | "_mta-sts"), _) | (Some("_smtp"), Some("_tls")) => {
            let read = |text: &[u8]| {
                let mut tags = tags(std::str::from_utf8(text).ok()?)?;
                tags.sort();
                Some(tags)
            };
            read(&there).is_some_and(|there| Some(there) == read(&wanted_text))
        }
        _ => false,
    }
}
