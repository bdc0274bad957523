//! An in-process model of Cloudflare's DNS interface according to its documentation: zones by ID, records with IDs in
//! pages, atomic batches, and checks of every request.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use crate::rest::{Call, Service};

pub const TOKEN: &str = "cf-0123456789abcdefghijklmnopqrstuvwxyz";
pub const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";

type Record = Map<String, Value>;
type Refused = (u16, u32, String);

#[derive(Default)]
pub struct Cloudflare {
    /// ID, name and records of each zone.
    pub zones: Vec<(String, String, Vec<Record>)>,
    pub next: u64,
    /// The sizes of the executed batches.
    pub batches: Vec<usize>,
    /// Maximum number of records in a batch; less than 200 for tests.
    pub most: Option<usize>,
    /// The number of records that are deleted while the first page is read.
    pub shifts: usize,
}

fn refuse(status: u16, code: u32, message: impl Into<String>) -> Refused {
    (status, code, message.into())
}

fn text<'a>(record: &'a Record, field: &str) -> &'a str {
    record.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the part of a record that no other record may have.
fn meaning(record: &Record) -> String {
    let part = |field: &str| record.get(field).unwrap_or(&Value::Null).to_string();
    ["name", "type", "content", "priority"].map(part).join(" ")
}

impl Cloudflare {
    pub fn with_zone(mut self, id: &str, name: &str) -> Self {
        self.zones.push((id.into(), name.into(), Vec::new()));
        self
    }

    /// Adds a record as it is stored.
    pub fn put(&mut self, zone: &str, record: Value) {
        self.next += 1;
        let mut record = record.as_object().unwrap().clone();
        record.insert("id".into(), format!("{:032x}", self.next).into());
        for (field, value) in [("proxied", json!(false)), ("comment", Value::Null), ("tags", json!([]))] {
            record.entry(field).or_insert(value);
        }
        self.records_of(zone).unwrap().push(record);
    }

    fn records_of(&mut self, zone: &str) -> Option<&mut Vec<Record>> {
        self.zones.iter_mut().find(|(id, _, _)| id == zone).map(|(_, _, records)| records)
    }

    fn batch(&mut self, zone: &str, body: &Value, wrong: &mut Vec<String>) -> Result<Value, Refused> {
        let (_, apex, records) =
            self.zones.iter().find(|(id, _, _)| id == zone).ok_or_else(|| refuse(404, 7003, "no route"))?;
        let (apex, mut records) = (apex.clone(), records.clone());
        let list = |field: &str| body.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
        let (deletes, patches, posts) = (list("deletes"), list("patches"), list("posts"));
        let count = deletes.len() + patches.len() + posts.len();
        if count == 0 || body.as_object().is_none_or(|b| b.values().any(|l| l == &json!([]))) {
            wrong.push(format!("an empty list in {body}"));
        }
        if count > self.most.unwrap_or(200) {
            return Err(refuse(400, 1004, "too many records in a batch"));
        }
        let find = |records: &[Record], entry: &Value| {
            let at = records.iter().position(|r| r.get("id") == entry.get("id"));
            at.ok_or_else(|| refuse(404, 81_044, "Record does not exist."))
        };
        for entry in &deletes {
            let at = find(&records, entry)?;
            records.remove(at);
        }
        for entry in &patches {
            let at = find(&records, entry)?;
            let mut sent = entry.as_object().unwrap().clone();
            sent.remove("id");
            let old = records.remove(at);
            let new = stored(&apex, &records, &sent, wrong)?;
            if text(&old, "name") != text(&new, "name") || text(&old, "type") != text(&new, "type") {
                wrong.push(format!("{old:?} became a record of another set"));
            }
            let mut merged = old;
            merged.extend(new);
            records.insert(at, merged);
        }
        for entry in &posts {
            let mut new = stored(&apex, &records, entry.as_object().unwrap(), wrong)?;
            self.next += 1;
            new.insert("id".into(), format!("{:032x}", self.next).into());
            new.insert("proxied".into(), false.into());
            new.insert("comment".into(), Value::Null);
            records.push(new);
        }
        self.batches.push(count);
        *self.records_of(zone).unwrap() = records;
        Ok(json!({"deletes": [], "patches": [], "puts": [], "posts": []}))
    }

    fn page(&mut self, entries: Vec<Value>, most: usize, call: &Call<'_>) -> Result<Value, Refused> {
        let per_page = call.number("per_page").unwrap_or(20);
        let page = call.number("page").unwrap_or(1);
        if per_page > most || page == 0 {
            return Err(refuse(400, 1004, "per_page is too large"));
        }
        let total = entries.len();
        let shown: Vec<Value> = entries.into_iter().skip((page - 1) * per_page).take(per_page).collect();
        let info = json!({"page": page, "per_page": per_page, "count": shown.len(), "total_count": total,
                          "total_pages": total.div_ceil(per_page)});
        Ok(json!({"result": shown, "result_info": info}))
    }
}

/// Converts a record to its stored form, or returns why it is refused.
fn stored(apex: &str, others: &[Record], sent: &Record, wrong: &mut Vec<String>) -> Result<Record, Refused> {
    let invalid = |why: &str| Err(refuse(400, 9005, format!("DNS Validation Error: {why}")));
    let (rtype, name) = (text(sent, "type"), text(sent, "name"));
    let with_data = matches!(rtype, "SRV" | "CAA");
    let mut known = vec!["type", "name", "ttl", if with_data { "data" } else { "content" }];
    known.extend((rtype == "MX").then_some("priority"));
    if let Some(other) = sent.keys().find(|k| !known.contains(&k.as_str())) {
        wrong.push(format!("{other} was sent with {rtype}"));
    }
    if name != apex && !name.ends_with(&format!(".{apex}")) || name != name.to_ascii_lowercase() {
        wrong.push(format!("{name} is not a whole name in the zone"));
    }
    let ttl = sent.get("ttl").and_then(Value::as_u64).unwrap_or_default();
    if ttl != 1 && !(60..=86_400).contains(&ttl) {
        return Err(refuse(
            400,
            9021,
            "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.",
        ));
    }
    let number = |from: &Value, field: &str, most: u64| {
        let number = from.get(field).and_then(Value::as_u64).filter(|n| *n <= most);
        number.ok_or_else(|| refuse(400, 9005, format!("{field} is missing or too large")))
    };
    let all = Value::Object(sent.clone());
    let data = sent.get("data").cloned().unwrap_or_default();
    let part = |field: &str| data.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let content = match (rtype, text(sent, "content")) {
        ("A", content) if content.parse::<Ipv4Addr>().is_ok() => content.to_owned(),
        ("AAAA", content) if content.parse::<Ipv6Addr>().is_ok() => content.to_owned(),
        ("CNAME" | "NS" | "PTR", content) if is_target(content) => content.to_owned(),
        ("MX", content) if is_target(content) || content == "." => {
            number(&all, "priority", 65_535)?;
            content.to_owned()
        }
        ("TXT", content) if is_quoted(content) && content.len() <= 2048 => content.to_owned(),
        ("SRV", "") if is_target(&part("target")) || part("target") == "." => {
            let numbers = ["priority", "weight", "port"].map(|field| number(&data, field, 65_535));
            let [priority, weight, port] = numbers;
            format!("{} {} {} {}", priority?, weight?, port?, part("target"))
        }
        ("CAA", "") if !part("tag").is_empty() && !part("value").is_empty() => {
            format!("{} {} \"{}\"", number(&data, "flags", 255)?, part("tag"), part("value"))
        }
        (rtype, content) => return invalid(&format!("{rtype} {content} {data}")),
    };
    let mut record = sent.clone();
    record.insert("content".into(), content.into());
    let cname = |r: &Record| text(r, "type") == "CNAME";
    let here: Vec<_> = others.iter().filter(|r| text(r, "name") == name).collect();
    if name == apex && rtype == "CNAME" {
        wrong.push("a CNAME at the top".into());
    }
    if (rtype == "CNAME" && !here.is_empty()) || here.iter().any(|r| cname(r) && name != apex) {
        return Err(refuse(400, 81_053, "An A, AAAA, or CNAME record with that host already exists."));
    }
    if here.iter().any(|r| meaning(r) == meaning(&record)) {
        return Err(refuse(400, 81_058, "An identical record already exists."));
    }
    Ok(record)
}

fn is_target(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('.') && !text.ends_with('.') && !text.contains([' ', '\\', '"'])
}

/// Returns whether a text consists of quoted strings, each of 1 to 255 bytes, as in a zone file.
fn is_quoted(text: &str) -> bool {
    use cloudron_dns::{RecordData, RecordType};
    let strings = match RecordData::parse(RecordType::TXT, text) {
        Ok(RecordData::Txt(text)) => text.joined(),
        _ => return false,
    };
    text.starts_with('"') && text.ends_with('"') && !strings.is_empty()
}

impl Service for Cloudflare {
    const HOST: &str = "api.cloudflare.com";
    const TOKEN: &str = TOKEN;

    fn route(&mut self, call: &Call<'_>, wrong: &mut Vec<String>) -> (u16, Value) {
        let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
        let answer = match (call.method, &path[..]) {
            ("GET", ["client", "v4", "zones"]) => {
                let named = |name: &str| call.text("name").is_none_or(|wanted| wanted == name);
                let zones = self.zones.iter().filter(|(_, name, _)| named(name));
                let shown = |(id, name, _): &(String, String, _)| {
                    json!({"id": id, "name": name, "status": "active", "type": "full",
                           "name_servers": ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"]})
                };
                let zones = zones.map(shown).collect();
                self.page(zones, 50, call)
            }
            ("GET", ["client", "v4", "zones", zone, "dns_records"]) => match self.records_of(zone) {
                Some(records) => {
                    let all = records.iter().cloned().map(Value::Object).collect();
                    let answer = self.page(all, 5000, call);
                    if self.shifts > 0 {
                        self.shifts -= 1;
                        self.records_of(zone).unwrap().remove(0);
                    }
                    answer
                }
                None => Err(refuse(404, 7003, "Could not route to that zone")),
            },
            ("POST", ["client", "v4", "zones", zone, "dns_records", "batch"]) => {
                self.batch(zone, &call.body, wrong).map(|result| json!({"result": result}))
            }
            _ => {
                wrong.push(format!("there is no {} {}", call.method, path.join("/")));
                Err(refuse(404, 7000, "No route for that URI"))
            }
        };
        match answer {
            Ok(mut body) => {
                for (field, value) in
                    [("success", json!(true)), ("errors", json!([])), ("messages", json!([]))]
                {
                    body[field] = value;
                }
                (200, body)
            }
            Err((status, code, message)) => {
                let errors = json!([{"code": code, "message": message}]);
                (status, json!({"success": false, "errors": errors, "messages": [], "result": null}))
            }
        }
    }

    fn complaint(status: u16, message: &str) -> Value {
        let code = match status {
            403 => 9109,
            400 => 6003,
            _ => 0,
        };
        let chain =
            if status == 400 { json!([{"code": 6111, "message": "Invalid format"}]) } else { json!([]) };
        let errors = json!([{"code": code, "message": message, "error_chain": chain}]);
        json!({"success": false, "errors": errors, "messages": [], "result": null})
    }

    fn records(&self, zone: &str) -> Vec<String> {
        let (_, _, records) = self.zones.iter().find(|(_, name, _)| name == zone).unwrap();
        let line = |r: &Record| {
            let [name, rtype, content, comment] = ["name", "type", "content", "comment"].map(|f| text(r, f));
            format!("{name} {rtype} {content} {comment}")
        };
        records.iter().map(line).collect()
    }
}

impl Cloudflare {
    /// Returns the distinct IDs of the records.
    pub fn ids(&self) -> BTreeSet<String> {
        self.zones
            .iter()
            .flat_map(|(_, _, records)| records.iter().map(|r| text(r, "id").to_owned()))
            .collect()
    }
}
