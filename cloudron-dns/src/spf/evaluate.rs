//! SPF evaluation by a receiver: the function `check_host` of RFC 7208, section 4.

use super::Record;
use super::ask::{Asker, Broken, MAX_NAMES, is_in};
use super::macros::{self, Values};
use super::outcome::{Evaluation, Outcome, Sender};
use super::term::{self, Mechanism, Prefix};
use crate::resolve::Resolve;
use crate::{Name, RecordData, RecordType};

/// Evaluates a sender for `domain` as a receiver does. The text behind `exp=` is not looked up.
///
/// An IPv4-mapped IPv6 address is treated as IPv4 (RFC 7208, section 5).
pub async fn check_host(resolver: &dyn Resolve, sender: &Sender, domain: &Name) -> Evaluation {
    let mail_from = match sender.mail_from.rsplit_once('@') {
        // Without a local part it is `postmaster` (section 4.3).
        Some(("", domain)) => format!("postmaster@{domain}"),
        Some(_) => sender.mail_from.clone(),
        None => format!("postmaster@{}", sender.mail_from),
    };
    let sender = Sender { address: sender.address.to_canonical(), mail_from, helo: sender.helo.clone() };
    let mut check = Check { sender: &sender, asker: Asker::new(resolver, sender.address), record: None };
    let domain_text = domain.without_dot().to_owned();
    let (outcome, reason) = match check.domain(&domain_text).await {
        Ok(decided) => decided,
        Err(Broken { temporary: true, why }) => (Outcome::TempError, why),
        Err(Broken { temporary: false, why }) => (Outcome::PermError, why),
    };
    Evaluation { outcome, record: check.record, reason, lookups: check.asker.lookups }
}

struct Check<'a> {
    sender: &'a Sender,
    asker: Asker<'a>,
    /// The record of the first domain.
    record: Option<String>,
}

impl Check<'_> {
    /// Evaluates one domain's record, and the records that it refers to.
    async fn domain(&mut self, domain: &str) -> Result<(Outcome, String), Broken> {
        let Some(name) = host_name(domain) else {
            return Ok((Outcome::None, format!("{domain:?} is no domain name")));
        };
        let Some(record) = self.record_of(&name).await? else {
            return Ok((Outcome::None, format!("{name} has no SPF record")));
        };
        let shown = String::from_utf8_lossy(&record).into_owned();
        self.record.get_or_insert(shown);
        let terms =
            term::read(&record).map_err(|why| Broken::permanent(format!("the record of {name}: {why}")))?;
        for (qualifier, mechanism, text) in &terms.mechanisms {
            if self.matches(mechanism, domain, text).await? {
                return Ok(((*qualifier).into(), format!("{text} in the record of {name}")));
            }
        }
        let Some(redirect) = terms.redirect else {
            return Ok((Outcome::Neutral, format!("no term of the record of {name} matches")));
        };
        self.asker.count("redirect")?;
        let target = self.expanded(&redirect, domain).await?;
        match Box::pin(self.domain(&target)).await? {
            (Outcome::None, why) => Err(Broken::permanent(format!("redirect={redirect}: {why}"))),
            decided => Ok(decided),
        }
    }

    async fn record_of(&self, name: &Name) -> Result<Option<Vec<u8>>, Broken> {
        let answer = self.asker.resolver.resolve(name, RecordType::TXT).await;
        let texts = answer.texts().map_err(|e| Broken::temporary(format!("{name} TXT: {e}")))?;
        let mut records = texts.into_iter().filter(|text| Record::is_spf(text));
        let first = records.next();
        match records.count() {
            0 => Ok(first),
            more => Err(Broken::permanent(format!("{name} has {} SPF records", more + 1))),
        }
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str, text: &str) -> Result<bool, Broken> {
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip(network, bits) => Ok(is_in(self.sender.address, *network, *bits)),
            Mechanism::Include(spec) => {
                self.asker.count(text)?;
                let target = self.expanded(spec, domain).await?;
                match Box::pin(self.domain(&target)).await? {
                    (Outcome::Pass, _) => Ok(true),
                    (Outcome::None, why) => Err(Broken::permanent(format!("{text}: {why}"))),
                    _ => Ok(false),
                }
            }
            Mechanism::A(spec, prefix) => {
                self.asker.count(text)?;
                let target = self.target(spec.as_ref(), domain).await?;
                let Some(name) = host_name(&target) else { return Ok(false) };
                self.asker.has_sender(&name, *prefix, true).await
            }
            Mechanism::Mx(spec, prefix) => {
                self.asker.count(text)?;
                let target = self.target(spec.as_ref(), domain).await?;
                self.mx(&target, *prefix, text).await
            }
            Mechanism::Exists(spec) => {
                self.asker.count(text)?;
                let target = self.expanded(spec, domain).await?;
                let Some(name) = host_name(&target) else { return Ok(false) };
                // An IPv4 address is queried for any family of the sender's address (section 5.7).
                Ok(!self.asker.values(&name, RecordType::A).await?.is_empty())
            }
            Mechanism::Ptr(spec) => {
                self.asker.count(text)?;
                let target = self.target(spec.as_ref(), domain).await?;
                let Some(target) = host_name(&target) else { return Ok(false) };
                let names = self.asker.validated_names().await?;
                Ok(names.iter().any(|name| name.is_in(&target)))
            }
        }
    }

    async fn mx(&mut self, target: &str, prefix: Prefix, text: &str) -> Result<bool, Broken> {
        let Some(name) = host_name(target) else { return Ok(false) };
        let servers = self.asker.values(&name, RecordType::MX).await?;
        if servers.len() > MAX_NAMES {
            return Err(Broken::permanent(format!("{text}: {name} has more than {MAX_NAMES} mail servers")));
        }
        for server in servers {
            let RecordData::Mx { exchange, .. } = server else { continue };
            if self.asker.has_sender(&exchange, prefix, false).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn target(&mut self, spec: Option<&String>, domain: &str) -> Result<String, Broken> {
        match spec {
            Some(spec) => self.expanded(spec, domain).await,
            None => Ok(domain.to_owned()),
        }
    }

    async fn expanded(&mut self, spec: &str, domain: &str) -> Result<String, Broken> {
        let validated = match macros::needs_validated_name(spec) {
            true => self.best_name(domain).await?,
            false => String::new(),
        };
        let values = Values {
            sender: &self.sender.mail_from,
            domain,
            address: self.sender.address,
            helo: &self.sender.helo,
            validated: &validated,
        };
        Ok(macros::expand(spec, values))
    }

    /// Returns the value of the macro `p`: the domain itself, else a name below it, else any (section 7.3).
    async fn best_name(&mut self, domain: &str) -> Result<String, Broken> {
        let names = self.asker.validated_names().await?;
        let domain = host_name(domain);
        let rank = |name: &&Name| match &domain {
            Some(domain) if *name == domain => 0,
            Some(domain) if name.is_below(domain) => 1,
            _ => 2,
        };
        let best = names.iter().min_by_key(rank);
        Ok(best.map_or("unknown", |name| name.without_dot()).to_owned())
    }
}

/// Parses a domain name of at least two labels. Bytes that are not valid in host names are kept, since a macro may
/// produce them.
fn host_name(text: &str) -> Option<Name> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let labels: Vec<&[u8]> = text.split('.').map(str::as_bytes).collect();
    Name::from_labels(labels.iter().copied()).ok().filter(|_| labels.len() > 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MAX_LOOKUPS;
    use super::*;
    use crate::resolve::Table;
    use crate::{RecordSet, Ttl};

    /// Returns the result of a future that never waits.
    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            std::task::Poll::Ready(done) => done,
            std::task::Poll::Pending => panic!("a list answers at once"),
        }
    }

    fn evaluated(record: &[u8], address: &str) -> Evaluation {
        let domain = Name::parse("example.com").unwrap();
        let text = RecordSet::new(domain.clone(), Ttl::DEFAULT, [RecordData::txt(record)]).unwrap();
        let a = RecordSet::parse(domain.clone(), Ttl::DEFAULT, RecordType::A, ["192.0.2.1"]).unwrap();
        let sender = Sender {
            address: address.parse().unwrap(),
            mail_from: "a.b-c+d@example.com".into(),
            helo: "my.example.com".into(),
        };
        now(check_host(&Table::new([text, a]), &sender, &domain))
    }

    proptest! {
        #[test]
        fn no_input_makes_a_parser_panic_or_look_up_without_end(
            terms in prop::collection::vec(
                prop_oneof![
                    "[-+~?]?(a|mx|ptr|include|exists|ip4|ip6|all|redirect=|exp=)[:/=]?[a-z0-9.:/%{}+_-]{0,20}",
                    "[-+~?]?(include|a|mx|exists|ptr):(example.com|x.example.com|%\\{[slodiphv][0-9]{0,2}r?[.+_-]?\\}.com)",
                    "\\PC{0,12}",
                ],
                0..14,
            ),
            address in prop::sample::select(vec!["192.0.2.1", "198.51.100.1", "2001:db8::1", "::ffff:192.0.2.1"]),
        ) {
            let record = format!("v=spf1 {}", terms.join(" "));
            let evaluation = evaluated(record.as_bytes(), address);
            prop_assert!(evaluation.lookups <= MAX_LOOKUPS + 1, "{}", evaluation.lookups);
        }

        #[test]
        fn no_bytes_are_more_than_an_outcome(tail in prop::collection::vec(any::<u8>(), 0..60)) {
            evaluated(&[b"v=spf1 ", &tail[..]].concat(), "192.0.2.1");
        }
    }
}
