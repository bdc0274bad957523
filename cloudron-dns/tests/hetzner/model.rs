//! An in-process model of the DNS interface of Hetzner's cloud according to its documentation: zones and sets in pages,
//! changes that are executed some time after the response, and checks of every request.

use std::collections::BTreeMap;
use std::time::Duration;

use cloudron_dns::{Name, RecordData, RecordSet, RecordType, Ttl};
use serde_json::{Value, json};

use crate::rest::{Call, Service};

pub const TOKEN: &str = "hz0123456789abcdefghijklmnopqrstuvwxyz";
pub const ZONE: u64 = 42;

type Refused = (u16, &'static str, String);
type Key = (String, String);

#[derive(Debug, Clone, Default)]
pub struct Set {
    pub ttl: Option<u64>,
    /// Values with their comments.
    pub records: Vec<(String, String)>,
    pub labels: Value,
    pub protected: bool,
}

struct Action {
    id: u64,
    zone: u64,
    key: Key,
    ready: Duration,
    /// The new state of the set; `None` deletes it.
    becomes: Option<Set>,
    status: &'static str,
}

#[derive(Default)]
pub struct Hetzner {
    pub zones: Vec<(u64, String, BTreeMap<Key, Set>)>,
    actions: Vec<Action>,
    /// Delay of a change after its response.
    pub delay: Duration,
    /// How many of the next actions fail.
    pub failing: usize,
    /// Maximum number of entries of a page of sets, regardless of the request.
    pub clamp: Option<usize>,
}

fn refuse(status: u16, code: &'static str, message: impl Into<String>) -> Refused {
    (status, code, message.into())
}

impl Hetzner {
    pub fn with_zone(mut self, id: u64, name: &str) -> Self {
        let mut sets = BTreeMap::new();
        let own = |value: &str| Set { records: vec![(value.into(), String::new())], ..Set::default() };
        sets.insert(
            ("@".into(), "SOA".into()),
            own("hydrogen.ns.hetzner.com. dns.hetzner.com. 1 86400 10800 3600000 3600"),
        );
        sets.insert(("@".into(), "NS".into()), own("hydrogen.ns.hetzner.com."));
        self.zones.push((id, name.into(), sets));
        self
    }

    pub fn sets(&mut self, zone: u64) -> &mut BTreeMap<Key, Set> {
        &mut self.zones.iter_mut().find(|(id, _, _)| *id == zone).unwrap().2
    }

    /// Adds a set.
    pub fn put(&mut self, name: &str, rtype: &str, ttl: Option<u64>, records: &[(&str, &str)]) {
        let records = records.iter().map(|(value, comment)| ((*value).into(), (*comment).into())).collect();
        let labels = json!({"team": "web"});
        self.sets(ZONE).insert((name.into(), rtype.into()), Set { ttl, records, labels, protected: false });
    }

    /// Executes the changes that are due.
    fn work(&mut self, now: Duration) {
        let mut due = Vec::new();
        for action in self.actions.iter_mut().filter(|a| a.status == "running" && a.ready <= now) {
            if self.failing > 0 {
                self.failing -= 1;
                action.status = "error";
                continue;
            }
            action.status = "success";
            due.push((action.zone, action.key.clone(), action.becomes.take()));
        }
        for (zone, key, becomes) in due {
            let sets = self.sets(zone);
            match becomes {
                Some(set) => sets.insert(key, set),
                None => sets.remove(&key),
            };
        }
    }

    fn start(&mut self, zone: u64, key: &Key, becomes: Option<Set>, now: Duration) -> Value {
        let id = 1000 + self.actions.len() as u64;
        let ready = now + self.delay;
        self.actions.push(Action { id, zone, key: key.clone(), ready, becomes, status: "running" });
        shown(self.actions.last().unwrap())
    }

    fn write(
        &mut self,
        zone: &str,
        rest: &[&str],
        call: &Call<'_>,
        wrong: &mut Vec<String>,
    ) -> Result<(u16, Value), Refused> {
        let id: u64 = zone.parse().unwrap_or_default();
        let (_, apex, sets) = self
            .zones
            .iter()
            .find(|(zone, _, _)| *zone == id)
            .ok_or_else(|| refuse(404, "not_found", "zone not found"))?;
        let (apex, sets, now) = (apex.clone(), sets.clone(), call.now);
        let text = |field: &str| call.body.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key: Key = match rest {
            [] => (text("name"), text("type")),
            [name, rtype, ..] => ((*name).into(), (*rtype).into()),
            _ => return Err(refuse(404, "not_found", "no such path")),
        };
        if self.actions.iter().any(|a| a.status == "running" && a.zone == id && a.key == key) {
            return Err(refuse(423, "locked", "an action is running"));
        }
        let old = sets.get(&key).cloned();
        let missing = || refuse(404, "not_found", "rrset not found");
        if old.as_ref().is_some_and(|old| old.protected) {
            return Err(refuse(423, "protected", "rrset is protected"));
        }
        if key.1 == "SOA" || (key.1 == "NS" && key.0 == "@") {
            wrong.push(format!("{key:?} was written"));
        }
        let given = |wrong: &mut Vec<String>| values(&apex, &key, &call.body, wrong);
        let (status, becomes) = match (call.method, rest) {
            ("POST", []) => {
                if old.is_some() {
                    return Err(refuse(409, "uniqueness_error", "rrset exists already"));
                }
                only(&call.body, &["name", "type", "ttl", "records"], wrong);
                let others: Vec<&Key> = sets.keys().filter(|(name, _)| *name == key.0).collect();
                if key.1 == "CNAME" && !others.is_empty() || others.iter().any(|(_, t)| t == "CNAME") {
                    return Err(refuse(422, "invalid_input", "a CNAME stands alone"));
                }
                let set = Set { ttl: Some(ttl(&call.body)?), records: given(wrong)?, ..Set::default() };
                (201, Some(set))
            }
            ("DELETE", [_, _]) => {
                old.ok_or_else(missing)?;
                (201, None)
            }
            ("POST", [_, _, "actions", "set_records"]) => {
                only(&call.body, &["records"], wrong);
                (201, Some(Set { records: given(wrong)?, ..old.ok_or_else(missing)? }))
            }
            ("POST", [_, _, "actions", "change_ttl"]) => {
                only(&call.body, &["ttl"], wrong);
                (201, Some(Set { ttl: Some(ttl(&call.body)?), ..old.ok_or_else(missing)? }))
            }
            _ => {
                wrong.push(format!("there is no {} {rest:?}", call.method));
                return Err(missing());
            }
        };
        let rrset = becomes.as_ref().map(|set| shown_set(id, &key, set));
        let action = self.start(id, &key, becomes, now);
        Ok((status, json!({"rrset": rrset, "action": action})))
    }

    fn read(&self, path: &[&str], call: &Call<'_>, wrong: &mut Vec<String>) -> Result<Value, Refused> {
        let missing = || refuse(404, "not_found", "not found");
        let zone =
            |zone: &str| self.zones.iter().find(|(id, _, _)| id.to_string() == zone).ok_or_else(missing);
        let shown_zone = |(id, name, sets): &(u64, String, BTreeMap<Key, Set>)| {
            json!({"id": id, "name": name, "ttl": 3600, "mode": "primary", "record_count": sets.len(),
                   "labels": {}, "protection": {"delete": false}, "status": "ok",
                   "authoritative_nameservers": {"assigned": ["hydrogen.ns.hetzner.com."], "delegated": []}})
        };
        match path {
            ["zones"] => {
                let named = |name: &str| call.text("name").is_none_or(|wanted| wanted == name);
                let zones = self.zones.iter().filter(|(_, name, _)| named(name)).map(shown_zone).collect();
                page("zones", zones, 50, None, call)
            }
            ["zones", id] => Ok(json!({"zone": shown_zone(zone(id)?)})),
            ["zones", id, "rrsets"] => {
                let (id, _, sets) = zone(id)?;
                let sets = sets.iter().map(|(key, set)| shown_set(*id, key, set)).collect();
                page("rrsets", sets, 100, self.clamp, call)
            }
            ["zones", id, "rrsets", name, rtype] => {
                let (id, _, sets) = zone(id)?;
                let key = ((*name).to_owned(), (*rtype).to_owned());
                let set = sets.get(&key).ok_or_else(missing)?;
                Ok(json!({"rrset": shown_set(*id, &key, set)}))
            }
            ["actions"] => {
                let ids: Vec<&str> =
                    call.query.iter().filter(|(n, _)| n == "id").map(|(_, v)| v.as_str()).collect();
                if ids.is_empty() || ids.len() > 25 {
                    wrong.push(format!("{} actions were asked for", ids.len()));
                }
                let actions = self.actions.iter().filter(|a| ids.contains(&a.id.to_string().as_str()));
                Ok(json!({"actions": actions.map(shown).collect::<Vec<_>>()}))
            }
            _ => {
                wrong.push(format!("there is no GET {}", path.join("/")));
                Err(missing())
            }
        }
    }
}

fn only(body: &Value, fields: &[&str], wrong: &mut Vec<String>) {
    let sent: Vec<&String> = body.as_object().map(|b| b.keys().collect()).unwrap_or_default();
    if sent.len() != fields.len() || sent.iter().any(|field| !fields.contains(&field.as_str())) {
        wrong.push(format!("{sent:?} were sent instead of {fields:?}"));
    }
}

fn ttl(body: &Value) -> Result<u64, Refused> {
    let ttl = body.get("ttl").and_then(Value::as_u64).filter(|ttl| (60..=2_147_483_647).contains(ttl));
    ttl.ok_or_else(|| refuse(422, "invalid_input", "ttl must be between 60 and 2147483647"))
}

/// Returns the values of a request, or why they are refused.
fn values(
    apex: &str,
    key: &Key,
    body: &Value,
    wrong: &mut Vec<String>,
) -> Result<Vec<(String, String)>, Refused> {
    let invalid = |why: String| Err(refuse(422, "invalid_input", why));
    let (name, rtype) = key;
    if name.is_empty() || name.ends_with('.') || name.ends_with(apex) || *name != name.to_ascii_lowercase() {
        return invalid(format!("the name {name} is not relative and in lower case"));
    }
    let records = body.get("records").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |r: &Value, field: &str| r.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let values: Vec<_> = records.iter().map(|r| (text(r, "value"), text(r, "comment"))).collect();
    let Ok(number) = rtype.parse::<RecordType>() else { return invalid(format!("the type {rtype}")) };
    let mut parsed = Vec::new();
    for (value, _) in &values {
        let Ok(data) = RecordData::parse(number, value) else { return invalid(format!("the value {value}")) };
        let empty = value.split(' ').any(|string| string == "\"\"");
        if number == RecordType::TXT && (!value.starts_with('"') || empty) {
            return invalid(format!("the text {value} is not in quotes"));
        }
        let targets = [RecordType::CNAME, RecordType::MX, RecordType::NS, RecordType::PTR, RecordType::SRV];
        if targets.contains(&number) && !value.ends_with('.') {
            wrong.push(format!("{value} would be relative to the zone"));
        }
        parsed.push(data);
    }
    match RecordSet::new(Name::parse("x").unwrap(), Ttl::DEFAULT, parsed) {
        Ok(set) if set.values().len() == values.len() => Ok(values),
        _ => invalid(format!("{values:?} are no set of {rtype}")),
    }
}

fn shown(action: &Action) -> Value {
    let error = (action.status == "error").then(|| json!({"code": "zone_error", "message": "it went wrong"}));
    json!({"id": action.id, "command": "set_rrset_records", "status": action.status, "progress": 0,
           "started": "2026-01-01T00:00:00Z", "finished": null, "error": error,
           "resources": [{"id": action.zone, "type": "zone"}]})
}

fn shown_set(zone: u64, (name, rtype): &Key, set: &Set) -> Value {
    let record = |(value, comment): &(String, String)| json!({"value": value, "comment": comment});
    let records: Vec<Value> = set.records.iter().map(record).collect();
    json!({"zone": zone, "id": format!("{name}/{rtype}"), "name": name, "type": rtype, "ttl": set.ttl,
           "labels": set.labels, "protection": {"change": set.protected}, "records": records})
}

fn page(
    what: &str,
    entries: Vec<Value>,
    most: usize,
    clamp: Option<usize>,
    call: &Call<'_>,
) -> Result<Value, Refused> {
    let per_page = call.number("per_page").unwrap_or(25);
    let number = call.number("page").unwrap_or(1);
    if per_page > most || number == 0 {
        return Err(refuse(400, "invalid_input", "per_page is too large"));
    }
    let per_page = per_page.min(clamp.unwrap_or(most));
    let total = entries.len();
    let shown: Vec<Value> = entries.into_iter().skip((number - 1) * per_page).take(per_page).collect();
    let next = (number * per_page < total).then_some(number + 1);
    let pagination = json!({"page": number, "per_page": per_page, "previous_page": null, "next_page": next,
                            "last_page": total.div_ceil(per_page), "total_entries": total});
    Ok(json!({what: shown, "meta": {"pagination": pagination}}))
}

impl Service for Hetzner {
    const HOST: &str = "api.hetzner.cloud";
    const TOKEN: &str = TOKEN;

    fn route(&mut self, call: &Call<'_>, wrong: &mut Vec<String>) -> (u16, Value) {
        self.work(call.now);
        let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
        let answer = match (call.method, &path[..]) {
            ("GET", ["v1", rest @ ..]) => self.read(rest, call, wrong).map(|body| (200, body)),
            (_, ["v1", "zones", zone, "rrsets", rest @ ..]) => self.write(zone, rest, call, wrong),
            _ => {
                wrong.push(format!("there is no {} {}", call.method, path.join("/")));
                Err(refuse(404, "not_found", "no such path"))
            }
        };
        answer.unwrap_or_else(|(status, code, message)| {
            (status, json!({"error": {"code": code, "message": message, "details": null}}))
        })
    }

    fn complaint(status: u16, message: &str) -> Value {
        let code = match status {
            401 => "unauthorized",
            403 => "token_readonly",
            429 => "rate_limit_exceeded",
            422 => "invalid_input",
            _ => "server_error",
        };
        let details = json!({"fields": [{"name": "records", "messages": ["bad"]}]});
        json!({"error": {"code": code, "message": message, "details": details}})
    }

    fn records(&self, zone: &str) -> Vec<String> {
        let (_, _, sets) = self.zones.iter().find(|(_, name, _)| name == zone).unwrap();
        let own = |(name, rtype): &Key| rtype == "SOA" || (rtype == "NS" && name == "@");
        let lines = sets.iter().filter(|(key, _)| !own(key)).flat_map(|((name, rtype), set)| {
            set.records.iter().map(move |(value, comment)| format!("{name} {rtype} {value} {comment}"))
        });
        lines.collect()
    }
}
