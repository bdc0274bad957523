//! Domains and their records: the DNS of the account.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use super::state::{Outcome, State, missing};
use super::{Answer, Call, checks, ok, unprocessable};

type Record = Map<String, Value>;

impl State {
    pub(super) fn domain_call(&mut self, call: &Call, segments: &[&str]) -> Outcome {
        let zone = segments.first().copied().unwrap_or_default();
        if !zone.is_empty() && !self.domains.contains_key(zone) {
            return Err(missing());
        }
        match (&*call.method, segments) {
            ("GET", []) => self.page(call, "domains", self.objects("domains"), &[]),
            ("POST", []) => self.create_domain(call),
            ("GET", [_]) => Ok(ok(200, json!({ "domain": { "name": zone, "ttl": 1800, "zone_file": "" } }))),
            ("DELETE", [_]) => {
                self.domains.remove(zone);
                Ok(ok(204, Value::Null))
            }
            ("GET", [_, "records"]) => {
                let matches = |r: &&Record| {
                    ["name", "type"].iter().all(|f| call.parameter(f).is_none_or(|wanted| r[*f] == wanted))
                };
                let found =
                    self.domains[zone].iter().filter(matches).map(|r| Value::Object(r.clone())).collect();
                self.page(call, "domain_records", found, &["name", "type"])
            }
            ("POST", [_, "records"]) => {
                let mut record = self.checked(call, zone, None)?;
                record.insert("id".into(), json!(self.fresh()));
                self.records(zone)?.push(record.clone());
                Ok(ok(201, json!({ "domain_record": record })))
            }
            (method, [_, "records", id]) => {
                let id = id.parse::<u64>().map_err(|_| missing())?;
                let at = self.domains[zone].iter().position(|r| r["id"] == json!(id)).ok_or_else(missing)?;
                match method {
                    "GET" => Ok(ok(200, json!({ "domain_record": self.domains[zone][at] }))),
                    "PUT" | "PATCH" => {
                        let mut record = self.checked(call, zone, Some(id))?;
                        record.insert("id".into(), json!(id));
                        self.records(zone)?[at] = record.clone();
                        Ok(ok(200, json!({ "domain_record": record })))
                    }
                    "DELETE" => {
                        self.records(zone)?.remove(at);
                        Ok(ok(204, Value::Null))
                    }
                    _ => Err(missing()),
                }
            }
            _ => Err(missing()),
        }
    }

    fn records(&mut self, zone: &str) -> Result<&mut Vec<Record>, Answer> {
        self.domains.get_mut(zone).ok_or_else(missing)
    }

    fn create_domain(&mut self, call: &Call) -> Outcome {
        let body = checks::body(call, &["name"], &["ip_address"])?;
        let name = checks::text(&body, "name", 253)?.to_owned();
        checks::host_name(&name)?;
        if self.domains.contains_key(&name) {
            return Err(unprocessable("name already exists"));
        }
        let mut records = Vec::new();
        let soa = json!({ "type": "SOA", "name": "@", "data": "1800" });
        let servers =
            (1..=3).map(|n| json!({ "type": "NS", "name": "@", "data": format!("ns{n}.digitalocean.com") }));
        let address = body.get("ip_address").map(|ip| json!({ "type": "A", "name": "@", "data": ip }));
        for record in [soa].into_iter().chain(servers).chain(address) {
            let mut record = record.as_object().cloned().unwrap_or_default();
            record.insert("ttl".into(), json!(1800));
            record.insert("id".into(), json!(self.fresh()));
            records.push(record);
        }
        self.domains.insert(name.clone(), records);
        Ok(ok(201, json!({ "domain": { "name": name, "ttl": 1800, "zone_file": null } })))
    }

    /// A record of a body, as it is kept.
    fn checked(&self, call: &Call, zone: &str, id: Option<u64>) -> Result<Record, Answer> {
        let more = ["data", "ttl", "priority", "port", "weight", "flags", "tag"];
        let mut body = checks::body(call, &["type", "name"], &more)?;
        let kind = checks::text(&body, "type", 10)?.to_owned();
        let needed: &[&str] = match &*kind {
            "A" | "AAAA" | "CNAME" | "NS" | "TXT" => &[],
            "MX" => &["priority"],
            "SRV" => &["priority", "port", "weight"],
            "CAA" => &["flags", "tag"],
            _ => return Err(unprocessable("Type is not included in the list")),
        };
        checks::fields(&body, needed, &["type", "name", "data", "ttl"])?;
        let data = checks::text(&body, "data", 512)?.to_owned();
        let name = checks::text(&body, "name", 253)?.to_owned();
        if name.ends_with('.') {
            return Err(unprocessable("Name is not relative"));
        }
        if body.entry("ttl").or_insert(json!(1800)).as_u64().is_none_or(|ttl| ttl < 30) {
            return Err(unprocessable("ttl must be greater than 30"));
        }
        let dotted = || match data.strip_suffix('.') {
            Some(target) if target == zone => Ok("@".to_owned()),
            Some(target) if !target.is_empty() => Ok(target.to_owned()),
            _ => Err(unprocessable("Data needs to end with a dot (.)")),
        };
        let kept = match &*kind {
            "A" if data.parse::<Ipv4Addr>().is_err() => return Err(unprocessable("IP address is invalid")),
            "AAAA" if data.parse::<Ipv6Addr>().is_err() => {
                return Err(unprocessable("IP address is invalid"));
            }
            "CNAME" | "MX" | "SRV" | "NS" => dotted()?,
            "CAA" if body["tag"] != "iodef" => dotted()?,
            _ => data,
        };
        body.insert("data".into(), json!(kept));
        let others =
            self.domains[zone].iter().filter(|r| r["name"] == *name && r.get("id") != Some(&json!(id)));
        let kinds: Vec<&Value> = others.map(|r| &r["type"]).collect();
        if (kind == "CNAME" && !kinds.is_empty()) || kinds.iter().any(|k| **k == "CNAME") {
            return Err(unprocessable("CNAME records cannot share a name with other records"));
        }
        Ok(body)
    }
}
