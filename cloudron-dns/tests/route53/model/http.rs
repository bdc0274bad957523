//! Requests and responses over a socket: determines the action and the fault.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Mutex;

use cloudron_dns::conformance;

use super::changes::change;
use super::lists::{get_change, list_sets, list_zones, zone_xml};
use super::xml::{NS, escape};
use super::{Fault, State};

pub(super) fn serve(stream: TcpStream, state: &Mutex<State>) {
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

pub(super) fn error(status: u16, code: &str, message: &str) -> (u16, String) {
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
        Some(Fault::WebPage) => return Some((200, "<!doctype html><title>Welcome</title>".to_owned())),
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
