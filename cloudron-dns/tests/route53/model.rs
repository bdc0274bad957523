//! A strict model of Route 53, by its API reference: atomic batches, limits, error codes, pages, and faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use cloudron_dns::conformance::{self, Calls, Injection};

const NS: &str = r#"xmlns="https://route53.amazonaws.com/doc/2013-04-01/""#;

/// What goes wrong with the next request that writes or reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Throttled,
    Busy,
    ServerError,
    /// The connection ends after the request was carried out.
    CutAfter,
    DeniedByName,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    pub ttl: String,
    pub values: Vec<String>,
    /// Anything beyond a plain set, as XML that follows the type.
    pub more: String,
}

/// By the name with its labels turned around, the type, and the set's identifier.
type Key = (String, String, String);

#[derive(Debug, Clone)]
pub(crate) struct HostedZone {
    pub id: String,
    pub name: String,
    pub private: bool,
    pub sets: BTreeMap<Key, Set>,
}

#[derive(Default)]
pub(crate) struct State {
    pub zones: Vec<HostedZone>,
    pub requests: Vec<String>,
    pub faults: VecDeque<Fault>,
    pub injection: Option<Injection>,
    pub calls: Calls,
    /// How often a change is still pending when asked.
    pub pending: usize,
    /// The most items in a page, where less than what is asked for.
    pub page: usize,
    changes: usize,
}

#[derive(Clone)]
pub(crate) struct Model {
    pub state: Arc<Mutex<State>>,
    pub endpoint: String,
}

pub(crate) fn turned(name: &str) -> String {
    let mut labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    labels.reverse();
    labels.join(".") + "."
}

impl HostedZone {
    pub(crate) fn new(id: &str, name: &str) -> Self {
        let mut zone = Self { id: id.into(), name: name.into(), private: false, sets: BTreeMap::new() };
        zone.put(name, "NS", "172800", &["ns-1.awsdns-01.org."], "");
        let soa = "ns-1.awsdns-01.org. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400";
        zone.put(name, "SOA", "900", &[soa], "");
        zone
    }

    pub(crate) fn put(&mut self, name: &str, rtype: &str, ttl: &str, values: &[&str], more: &str) {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        let identifier = between(more, "SetIdentifier").unwrap_or_default();
        let set = Set { ttl: ttl.into(), values, more: more.into() };
        self.sets.insert((turned(name), rtype.into(), identifier), set);
    }
}

impl Model {
    pub(crate) fn start(zones: Vec<HostedZone>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { zones, page: usize::MAX, ..State::default() }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { state, endpoint }
    }

    /// How many requests there were since the last time.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    pub(crate) fn fault(&self, faults: &[Fault]) {
        self.state.lock().unwrap().faults.extend(faults);
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some((method, path, body)) = request(&mut reader) {
        let mut state = state.lock().unwrap();
        let (status, answer) = match answer(&mut state, &method, &path, &body) {
            Some(answer) => answer,
            None => return,
        };
        drop(state);
        let text = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<(String, String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let (method, rest) = line.split_once(' ')?;
    let (method, path) = (method.to_owned(), rest.split(' ').next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        match header.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, String::from_utf8(body).ok()?))
}

fn error(status: u16, code: &str, message: &str) -> (u16, String) {
    let message = escape(message);
    let text = format!(
        "<ErrorResponse {NS}><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>request-1</RequestId></ErrorResponse>"
    );
    (status, text)
}

fn answer(state: &mut State, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let query: BTreeMap<String, String> =
        query.split('&').filter_map(|p| p.split_once('=')).map(|(k, v)| (k.into(), percent(v))).collect();
    let parts: Vec<&str> = path.trim_start_matches("/2013-04-01/").split('/').collect();
    let action = match (method, &parts[..]) {
        ("GET", ["hostedzone"]) => "ListHostedZones",
        ("GET", ["hostedzonesbyname"]) => "ListHostedZonesByName",
        ("GET", ["hostedzone", _]) => "GetHostedZone",
        ("GET", ["hostedzone", _, "rrset"]) => "ListResourceRecordSets",
        ("POST", ["hostedzone", _, "rrset" | "rrset/"]) | ("POST", ["hostedzone", _, "rrset", ""]) => {
            "ChangeResourceRecordSets"
        }
        ("GET", ["change", _]) => "GetChange",
        _ => return Some(error(404, "InvalidAction", path)),
    };
    state.requests.push(action.to_owned());
    let injected = state.count(action == "ChangeResourceRecordSets");
    match injected {
        Some(conformance::Fault::Refused) => return Some(error(403, "AccessDenied", "not authorized")),
        Some(conformance::Fault::Busy) => return Some(error(400, "Throttling", "Rate exceeded")),
        Some(conformance::Fault::CutBefore) => return None,
        _ => {}
    }
    let fault = match state.faults.front() {
        Some(Fault::DeniedByName) if action != "ListHostedZonesByName" => None,
        Some(Fault::CutAfter | Fault::Busy) if action != "ChangeResourceRecordSets" => None,
        _ => state.faults.pop_front(),
    };
    match fault {
        Some(Fault::Throttled) => return Some(error(400, "Throttling", "Rate exceeded")),
        Some(Fault::Busy) => {
            let text = "The request was rejected because Route 53 was still processing a prior request.";
            return Some(error(400, "PriorRequestNotComplete", text));
        }
        Some(Fault::ServerError) => return Some(error(500, "InternalFailure", "")),
        Some(Fault::DeniedByName) => return Some(error(403, "AccessDenied", "not authorized")),
        _ => {}
    }
    let answered = match action {
        "ListHostedZones" | "ListHostedZonesByName" => list_zones(state, action, &query),
        "GetChange" => get_change(state, parts[1]),
        _ => match state.zones.iter().position(|z| z.id == parts[1]) {
            None => error(404, "NoSuchHostedZone", &format!("No hosted zone found with ID: {}", parts[1])),
            Some(at) if action == "GetHostedZone" => {
                let zone = zone_xml(&state.zones[at]);
                (200, format!("<GetHostedZoneResponse {NS}>{zone}</GetHostedZoneResponse>"))
            }
            Some(at) if action == "ListResourceRecordSets" => list_sets(state, at, &query),
            Some(at) => change(state, at, body),
        },
    };
    (fault != Some(Fault::CutAfter) && injected.is_none()).then_some(answered)
}

fn zone_xml(zone: &HostedZone) -> String {
    format!(
        "<HostedZone><Id>/hostedzone/{}</Id><Name>{}</Name><CallerReference>x</CallerReference><Config>\
         <PrivateZone>{}</PrivateZone></Config><ResourceRecordSetCount>{}</ResourceRecordSetCount></HostedZone>",
        zone.id,
        zone.name,
        zone.private,
        zone.sets.len()
    )
}

fn list_zones(state: &State, action: &str, query: &BTreeMap<String, String>) -> (u16, String) {
    let mut zones: Vec<&HostedZone> = state.zones.iter().collect();
    let by_name = action == "ListHostedZonesByName";
    let mut from = 0;
    if by_name {
        zones.sort_by_key(|z| (turned(&z.name), z.id.clone()));
        let start = (
            query.get("dnsname").map(|n| turned(n)).unwrap_or_default(),
            query.get("hostedzoneid").cloned().unwrap_or_default(),
        );
        from = zones.partition_point(|z| (turned(&z.name), z.id.clone()) < start);
    } else if let Some(marker) = query.get("marker") {
        from = zones.iter().position(|z| z.id == *marker).unwrap_or(0);
    }
    let most = query.get("maxitems").map_or(100, |m| m.parse().unwrap()).min(state.page);
    let end = zones.len().min(from + most);
    let items: String = zones[from..end].iter().map(|z| zone_xml(z)).collect();
    let next = match zones.get(end) {
        Some(z) if by_name => format!(
            "<IsTruncated>true</IsTruncated><NextDNSName>{}</NextDNSName><NextHostedZoneId>{}</NextHostedZoneId>",
            z.name, z.id
        ),
        Some(z) => format!("<IsTruncated>true</IsTruncated><NextMarker>{}</NextMarker>", z.id),
        None => "<IsTruncated>false</IsTruncated>".into(),
    };
    let text = format!(
        "<{action}Response {NS}><HostedZones>{items}</HostedZones><Marker></Marker>{next}\
         <MaxItems>{most}</MaxItems></{action}Response>"
    );
    (200, text)
}

fn list_sets(state: &State, at: usize, query: &BTreeMap<String, String>) -> (u16, String) {
    let get = |name: &str| query.get(name).cloned().unwrap_or_default();
    if query.contains_key("type") && !query.contains_key("name") {
        return error(400, "InvalidInput", "a type without a name");
    }
    let name = query.get("name").map(|n| turned(n)).unwrap_or_default();
    let start = (name, get("type"), get("identifier"));
    let sets: Vec<(&Key, &Set)> = state.zones[at].sets.range(start..).collect();
    let most = query.get("maxitems").map_or(300, |m| m.parse().unwrap());
    assert!(most <= 300, "maxitems is {most}");
    let end = sets.len().min(state.page.min(most));
    let items: String = sets[..end].iter().map(|(key, set)| set_xml(key, set)).collect();
    let next = match sets.get(end) {
        Some(((name, rtype, identifier), _)) => {
            let identifier = match identifier.as_str() {
                "" => String::new(),
                id => format!("<NextRecordIdentifier>{id}</NextRecordIdentifier>"),
            };
            format!(
                "<IsTruncated>true</IsTruncated><NextRecordName>{}</NextRecordName>\
                 <NextRecordType>{rtype}</NextRecordType>{identifier}",
                turned(name)
            )
        }
        None => "<IsTruncated>false</IsTruncated>".into(),
    };
    let text = format!(
        "<ListResourceRecordSetsResponse {NS}><ResourceRecordSets>{items}</ResourceRecordSets>{next}\
         <MaxItems>{most}</MaxItems></ListResourceRecordSetsResponse>"
    );
    (200, text)
}

fn set_xml((name, rtype, _): &Key, set: &Set) -> String {
    let values: String = set
        .values
        .iter()
        .map(|v| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(v)))
        .collect();
    let records = match set.values.is_empty() {
        true => String::new(),
        false => format!("<TTL>{}</TTL><ResourceRecords>{values}</ResourceRecords>", set.ttl),
    };
    let more = &set.more;
    format!(
        "<ResourceRecordSet><Name>{}</Name><Type>{rtype}</Type>{more}{records}</ResourceRecordSet>",
        turned(name)
    )
}

fn get_change(state: &mut State, id: &str) -> (u16, String) {
    let status = if state.pending > 0 { "PENDING" } else { "INSYNC" };
    state.pending = state.pending.saturating_sub(1);
    (200, format!("<GetChangeResponse {NS}>{}</GetChangeResponse>", change_info(id, status)))
}

fn change_info(id: &str, status: &str) -> String {
    format!(
        "<ChangeInfo><Id>/change/{id}</Id><Status>{status}</Status>\
         <SubmittedAt>2026-01-01T00:00:00.000Z</SubmittedAt></ChangeInfo>"
    )
}

fn change(state: &mut State, at: usize, body: &str) -> (u16, String) {
    match changed(&state.zones[at], body) {
        Ok(sets) => {
            state.zones[at].sets = sets;
            state.changes += 1;
            let info = change_info(&format!("C{}", state.changes), "PENDING");
            (200, format!("<ChangeResourceRecordSetsResponse {NS}>{info}</ChangeResourceRecordSetsResponse>"))
        }
        Err(why) => {
            let why = escape(&format!("[{why}]"));
            let text = format!(
                "<InvalidChangeBatch {NS}><Messages><Message>{why}</Message></Messages>\
                 <RequestId>request-2</RequestId></InvalidChangeBatch>"
            );
            (400, text)
        }
    }
}

fn changed(zone: &HostedZone, body: &str) -> Result<BTreeMap<Key, Set>, String> {
    let changes = all_between(body, "Change");
    let weight = |c: &String| if between(c, "Action").as_deref() == Some("UPSERT") { 2 } else { 1 };
    let values =
        |c: &String| -> Vec<String> { all_between(c, "Value").iter().map(|v| unescape(v)).collect() };
    let records: usize = changes.iter().map(|c| weight(c) * values(c).len()).sum();
    if records > 1000 {
        return Err(format!("Number of records limit of 1000 exceeded: {records}"));
    }
    let characters: usize = changes.iter().map(|c| weight(c) * values(c).concat().len()).sum();
    if characters > 32_000 {
        return Err(format!("Value length limit of 32000 exceeded: {characters}"));
    }
    let mut sets = zone.sets.clone();
    let mut seen = Vec::new();
    for change in &changes {
        let field = |name: &str| between(change, name).unwrap_or_default();
        let (action, name, rtype) = (field("Action"), unescape(&field("Name")), field("Type"));
        let key = (turned(&name), rtype.clone(), field("SetIdentifier"));
        let set = Set { ttl: field("TTL"), values: values(change), more: String::new() };
        if !turned(&name).starts_with(&turned(&zone.name)) {
            return Err(format!("RRSet with DNS name {name} is not permitted in zone {}", zone.name));
        }
        if seen.contains(&(action.clone(), key.clone())) {
            return Err(format!("The request contains an invalid set of changes for '{name}' {rtype}"));
        }
        seen.push((action.clone(), key.clone()));
        let what = format!("resource record set [name='{name}', type='{rtype}']");
        match (action.as_str(), sets.get(&key)) {
            ("CREATE", Some(_)) => return Err(format!("Tried to create {what} but it already exists")),
            ("CREATE" | "UPSERT", _) => {
                check_values(&rtype, &set)?;
                sets.insert(key, set);
            }
            ("DELETE", None) => return Err(format!("Tried to delete {what} but it was not found")),
            ("DELETE", Some(there)) => {
                let mut pairs = [there.values.clone(), set.values.clone()];
                pairs.iter_mut().for_each(|p| p.sort());
                if pairs[0] != pairs[1] || there.ttl != set.ttl {
                    return Err(format!(
                        "Tried to delete {what} but the values provided do not match the current values"
                    ));
                }
                sets.remove(&key);
            }
            _ => return Err(format!("no action {action}")),
        }
    }
    for (name, rtype, id) in sets.keys() {
        let beside = sets.keys().filter(|k| k.0 == *name);
        let clash = |k: &&Key| {
            (rtype == "CNAME" && k.1 != "CNAME") || (k.1 == *rtype && k.2.is_empty() != id.is_empty())
        };
        if beside.filter(clash).count() > 0 {
            return Err(format!(
                "RRSet of type {rtype} with DNS name {} is not permitted because a conflicting RRSet of the same \
                 DNS name already exists in zone {}",
                turned(name),
                zone.name
            ));
        }
    }
    Ok(sets)
}

fn check_values(rtype: &str, set: &Set) -> Result<(), String> {
    if set.ttl.parse::<i32>().is_err() || set.values.is_empty() {
        return Err("A set needs a TTL and a value".into());
    }
    let mut unique = set.values.clone();
    unique.sort();
    unique.dedup();
    if unique.len() < set.values.len() || (rtype == "CNAME" && unique.len() > 1) {
        return Err("Duplicate Resource Record, or several of a CNAME".into());
    }
    for value in &set.values {
        if value.len() > 4000 {
            return Err("CharacterStringTooLong".into());
        }
        let fine = match rtype {
            "A" => value.parse::<std::net::Ipv4Addr>().is_ok(),
            "AAAA" => value.parse::<std::net::Ipv6Addr>().is_ok(),
            "TXT" => value.starts_with('"') && value.ends_with('"') && value.is_ascii(),
            "MX" => value.split(' ').count() == 2,
            "SRV" => value.split(' ').count() == 4,
            _ => true,
        };
        if !fine {
            return Err(format!("Invalid Resource Record: '{value}'"));
        }
    }
    Ok(())
}

fn all_between(text: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    text.split(&open).skip(1).filter_map(|t| t.split(&close).next()).map(str::to_owned).collect()
}

fn between(text: &str, tag: &str) -> Option<String> {
    all_between(text, tag).into_iter().next()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    text.replace("&#34;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

fn percent(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
