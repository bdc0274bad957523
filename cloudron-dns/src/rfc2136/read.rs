//! Reads zones: by transfer (RFC 5936), or by a query for each name and type.

use std::collections::BTreeSet;

use super::client::{Client, Connection, Request};
use super::code::Code;
use super::failure::Problem;
use super::message::{ANY, ANY_TYPE, AXFR, Message, Record, name, wire};
use super::steps::TYPES;
use super::tsig::Distrust;
use crate::{Name, RecordType};

const SOA: u16 = RecordType::SOA.0;
const CNAME: u16 = RecordType::CNAME.0;

/// The result of a transfer.
pub(super) enum Transfer {
    /// Every record of the zone.
    Whole(Vec<Record>),
    /// The server refuses the transfer; its code.
    Refused(Code),
}

/// Transfers the whole zone. An incomplete transfer is an error and never returns a part of the zone.
pub(super) async fn transfer(client: &Client, apex: &Name) -> Result<Transfer, Problem> {
    let mut connection = client.connect().await?;
    let mut asked = connection.send(&Request::question(apex, AXFR)).await?;
    let (mut records, mut serial): (Vec<Record>, Option<Vec<u8>>) = (Vec::new(), None);
    loop {
        let message = match connection.receive(&mut asked).await {
            // Knot's response for a known key that may not transfer.
            Err(Problem::Distrust(Distrust::Key(Code::BADKEY), code)) => return Ok(Transfer::Refused(code)),
            other => other?,
        };
        match message.code() {
            Code::OK => {}
            code if records.is_empty() => return Ok(Transfer::Refused(code)),
            _ => return Err(Problem::Garbled("the transfer was broken off by the server")),
        }
        let mut ended = false;
        for record in message.answers {
            if ended {
                return Err(Problem::Garbled("records follow the end of the transfer"));
            }
            let start = record.rtype == SOA && record.owner.to_ascii_lowercase() == wire(apex);
            match &serial {
                None if start => serial = Some(record.rdata.clone()),
                None => return Err(Problem::Garbled("the transfer does not begin with the zone's SOA")),
                Some(first) if start && *first == record.rdata => {
                    ended = true;
                    continue;
                }
                Some(_) if start => return Err(Problem::Garbled("the zone changed during the transfer")),
                Some(_) => {}
            }
            records.push(record);
        }
        if ended && !asked.settled() {
            return Err(Problem::Garbled("the end of the transfer is not signed"));
        }
        if ended {
            return Ok(Transfer::Whole(records));
        }
        if records.is_empty() {
            return Err(Problem::Garbled("the transfer is empty"));
        }
    }
}

/// The result of the search for a zone.
pub(super) enum Found {
    /// The zone with this apex contains the name.
    Zone(Name),
    /// The server gives no authoritative answer; its code.
    No(Code),
}

/// Returns the zone that contains a name, at this server (RFC 1035, section 4.3.2). For a delegated name, it returns
/// the zone above its delegation.
pub(super) async fn zone_of(client: &Client, wanted: &Name) -> Result<Found, Problem> {
    let mut connection = client.connect().await?;
    let (mut asked, mut code) = (Some(wanted.clone()), Code::REFUSED);
    while let Some(question) = asked {
        let [answer] = &connection.ask(&[Request::question(&question, SOA)]).await?[..] else { break };
        code = answer.code();
        let soa = answer.answers.iter().chain(&answer.authorities).find(|r| r.rtype == SOA);
        let enclosing = soa.and_then(|r| name(&r.owner)).filter(|apex| question.is_in(apex));
        match enclosing.filter(|_| answer.authoritative()) {
            Some(apex) => return Ok(Found::Zone(apex)),
            // A server that refuses a name has no zone above it either.
            None if !matches!(code, Code::OK | Code::NXDOMAIN) => break,
            None => asked = question.parent(),
        }
    }
    Ok(Found::No(code))
}

/// Returns the records of some names of a zone, or the code with which the server reports that it has no such zone.
/// Types not in [`TYPES`] are not seen.
pub(super) async fn names(
    client: &Client,
    apex: &Name,
    names: &[Name],
) -> Result<Result<Vec<Record>, Code>, Problem> {
    let mut connection = client.connect().await?;
    let top = connection.ask(&[Request::question(apex, SOA)]).await?;
    let top = top.into_iter().next().ok_or(Problem::Garbled("it is missing"))?;
    let of_apex = |record: &Record| record.rtype == SOA && name(&record.owner).as_ref() == Some(apex);
    if !top.authoritative() || top.code() != Code::OK || !top.answers.iter().any(of_apex) {
        let code = if top.code() == Code::OK { Code::NOTAUTH } else { top.code() };
        return Ok(Err(code));
    }
    let mut records: Vec<Record> = top.answers.into_iter().filter(of_apex).collect();
    let names: BTreeSet<&Name> = names.iter().filter(|name| name.is_in(apex)).collect();
    let first: Vec<Request> = names.iter().map(|name| Request::question(name, RecordType::A.0)).collect();
    let mut further = Vec::new();
    for (asked, answer) in first.iter().zip(connection.ask(&first).await?) {
        let owner = &asked.about;
        match judge(apex, &asked.about, asked.rtype, answer)? {
            Answer::Nothing => {}
            Answer::Alias(found) => records.extend(found),
            Answer::Cut(servers, glue) => {
                records.extend(glue);
                let here = servers.into_iter().filter(|r| name(&r.owner).as_ref() == Some(owner));
                let before = records.len();
                records.extend(here);
                if records.len() > before {
                    further.push(Request::question(owner, RecordType::DS.0));
                }
            }
            Answer::Data(found) => {
                records.extend(found);
                let others = TYPES.iter().filter(|t| !matches!(**t, CNAME) && **t != RecordType::A.0);
                further.extend(others.map(|rtype| Request::question(owner, *rtype)));
            }
        }
    }
    for (asked, answer) in further.iter().zip(connection.ask(&further).await?) {
        if let Answer::Data(found) = judge(apex, &asked.about, asked.rtype, answer)? {
            records.extend(found);
        }
    }
    without_synthesized(&mut connection, apex, &mut records).await?;
    Ok(Ok(records))
}

enum Answer {
    /// The name does not exist.
    Nothing,
    /// The name exists; its records of that type, possibly none.
    Data(Vec<Record>),
    /// The name has a CNAME, which excludes other sets.
    Alias(Vec<Record>),
    /// The name is delegated, or is below a delegation: the name servers, and the name's own addresses if it is one of
    /// them.
    Cut(Vec<Record>, Vec<Record>),
}

/// Interprets a response about a name. An inconclusive response is an error.
fn judge(apex: &Name, owner: &Name, rtype: u16, answer: Message) -> Result<Answer, Problem> {
    let of_owner = |record: &Record, rtype: u16| {
        record.rtype == rtype
            && record.class == super::message::IN
            && name(&record.owner).as_ref() == Some(owner)
    };
    let servers: Vec<Record> =
        answer.authorities.iter().filter(|r| r.rtype == RecordType::NS.0).cloned().collect();
    let below =
        |record: &Record| name(&record.owner).is_some_and(|cut| cut.is_below(apex) && owner.is_in(&cut));
    if answer.code() == Code::OK && !answer.authoritative() && answer.answers.is_empty() {
        return match servers.iter().all(below) && !servers.is_empty() {
            true => {
                let glue =
                    |record: &Record| [RecordType::A, RecordType::AAAA].iter().any(|t| of_owner(record, t.0));
                let glue = answer.additionals.iter().filter(|record| glue(record)).cloned().collect();
                Ok(Answer::Cut(servers, glue))
            }
            false => Err(Problem::Garbled("it is not authoritative")),
        };
    }
    if !answer.authoritative() {
        return Err(Problem::Garbled("it is not authoritative"));
    }
    let cname: Vec<Record> = answer.answers.iter().filter(|r| of_owner(r, CNAME)).cloned().collect();
    // The code is that of the name where the chain of CNAMEs ends.
    if !cname.is_empty() {
        return Ok(Answer::Alias(cname));
    }
    match answer.code() {
        Code::OK => Ok(Answer::Data(answer.answers.into_iter().filter(|r| of_owner(r, rtype)).collect())),
        Code::NXDOMAIN => Ok(Answer::Nothing),
        code => Err(Problem::Silent(format!("it cannot answer about {owner} now ({code})"))),
    }
}

/// Removes records that were synthesized from a wildcard (RFC 4592) or a DNAME: an update without changes, which
/// requires that the name is in use, is answered from the actual contents of the zone.
async fn without_synthesized(
    connection: &mut Connection<'_>,
    apex: &Name,
    records: &mut Vec<Record>,
) -> Result<(), Problem> {
    let owners: BTreeSet<Name> =
        records.iter().filter_map(|r| name(&r.owner)).filter(|n| n != apex).collect();
    let in_use = |owner: &Name| {
        let owner = wire(owner);
        let record = Record { owner, rtype: ANY_TYPE, class: ANY, ttl: 0, rdata: Vec::new() };
        Request::update(apex, vec![record], Vec::new())
    };
    let asked: Vec<Request> = owners.iter().map(in_use).collect();
    for (owner, answer) in owners.iter().zip(connection.ask(&asked).await?) {
        match answer.code() {
            Code::OK => {}
            Code::NXDOMAIN => records.retain(|r| name(&r.owner).as_ref() != Some(owner)),
            code => {
                let why =
                    format!("it does not say whether {owner} is a name of its own or a wildcard's ({code})");
                return Err(Problem::Undecided(why));
            }
        }
    }
    Ok(())
}
