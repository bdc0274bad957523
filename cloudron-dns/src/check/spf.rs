//! Checks how receivers evaluate mail from each address (RFC 7208).

use std::net::IpAddr;

use super::Expected;
use super::finding::{Finding, Findings};
use crate::Name;
use crate::resolve::Resolve;
use crate::spf::{Evaluation, MAX_LOOKUPS, Outcome, Sender, check_host};

pub(super) async fn check(resolver: &dyn Resolve, expected: &Expected) -> Findings {
    let mut findings = Vec::new();
    for address in &expected.addresses {
        let evaluation = evaluate(resolver, expected, *address, &expected.domain).await;
        findings.push(judged(expected, *address, &evaluation));
    }
    for address in &expected.addresses {
        let evaluation = evaluate(resolver, expected, *address, &expected.my).await;
        findings.extend(helo(expected, *address, &evaluation));
    }
    findings
}

async fn evaluate(resolver: &dyn Resolve, expected: &Expected, address: IpAddr, domain: &Name) -> Evaluation {
    let sender = Sender {
        address,
        mail_from: format!("postmaster@{}", domain.without_dot()),
        helo: expected.my.without_dot().to_owned(),
    };
    check_host(resolver, &sender, domain).await
}

fn judged(expected: &Expected, address: IpAddr, evaluation: &Evaluation) -> Finding {
    let my = expected.my.without_dot();
    let subject = format!("{} from {address}", expected.domain);
    let record = evaluation.record.as_ref().map(|r| format!(" ({r:?})")).unwrap_or_default();
    let evidence = format!("{}: {}{record}", evaluation.outcome, evaluation.reason);
    let add = format!("add a:{my} to the SPF record of {}, in front of `all`", expected.domain);
    match evaluation.outcome {
        Outcome::Pass if evaluation.lookups + 1 >= MAX_LOOKUPS => {
            let evidence = format!("{evidence}, with {} of {MAX_LOOKUPS} look-ups", evaluation.lookups);
            Finding::warn("spf", subject, evidence, "remove an include: that is no longer in use")
        }
        Outcome::Pass => Finding::pass("spf", subject, evidence),
        Outcome::TempError => Finding::unknown("spf", subject, evidence),
        Outcome::None => {
            let fix = format!("set {} TXT \"v=spf1 a:{my} ~all\"", expected.domain);
            Finding::fail("spf", subject, evidence, fix)
        }
        Outcome::PermError => {
            let fix = "correct the record: receivers treat all mail of the domain as unauthenticated";
            Finding::fail("spf", subject, evidence, fix)
        }
        Outcome::Fail | Outcome::SoftFail | Outcome::Neutral => Finding::fail("spf", subject, evidence, add),
    }
}

/// Evaluates the greeting name: one without a record is common; one whose record rejects the server is an error.
fn helo(expected: &Expected, address: IpAddr, evaluation: &Evaluation) -> Option<Finding> {
    let subject = format!("{} from {address}", expected.my);
    let evidence = format!("{}: {}", evaluation.outcome, evaluation.reason);
    match evaluation.outcome {
        Outcome::None => None,
        Outcome::Pass => Some(Finding::pass("spf-helo", subject, evidence)),
        Outcome::TempError => Some(Finding::unknown("spf-helo", subject, evidence)),
        _ => {
            let fix = format!("set {} TXT \"v=spf1 a -all\"", expected.my);
            Some(Finding::fail("spf-helo", subject, evidence, fix))
        }
    }
}
