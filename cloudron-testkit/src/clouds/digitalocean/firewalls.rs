//! Firewalls. Their names are unique, and the tags that they are for exist before.

use serde_json::{Map, Value, json};

use super::state::{Outcome, State, missing};
use super::{Answer, Call, checks, ok, refused, tags, unprocessable};

impl State {
    pub(super) fn create_firewall(&mut self, call: &Call) -> Outcome {
        let body = self.firewall_body(call)?;
        let name = body["name"].as_str().unwrap_or_default();
        if self.firewalls.values().any(|firewall| firewall["name"] == name) {
            return Err(refused(409, "conflict", "duplicate name"));
        }
        let id = format!("00000000-0000-4000-8000-{:012}", self.fresh());
        let mut value = Value::Object(body);
        value["id"] = json!(id);
        value["status"] = json!("succeeded");
        value["created_at"] = json!("2026-01-01T00:00:00Z");
        value["pending_changes"] = json!([]);
        self.firewalls.insert(id, value.clone());
        value["status"] = json!("waiting");
        Ok(ok(202, json!({ "firewall": value })))
    }

    /// A body that describes a whole firewall, with every field.
    fn firewall_body(&self, call: &Call) -> Result<Map<String, Value>, Answer> {
        let mut body =
            checks::body(call, &["name"], &["inbound_rules", "outbound_rules", "droplet_ids", "tags"])?;
        let name = checks::text(&body, "name", 255)?;
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
        if name.len() < 2
            || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !name.bytes().all(inner)
        {
            return Err(unprocessable("name is invalid"));
        }
        rules(&body, "inbound_rules", "sources")?;
        rules(&body, "outbound_rules", "destinations")?;
        let some =
            |field: &str| body.get(field).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        if !some("inbound_rules") && !some("outbound_rules") {
            return Err(unprocessable("must have at least one rule"));
        }
        self.existing(&checks::texts(&body, "tags")?)?;
        self.there(&body)?;
        for field in ["inbound_rules", "outbound_rules", "droplet_ids", "tags"] {
            body.entry(field).or_insert_with(|| json!([]));
        }
        Ok(body)
    }

    /// Checks that the droplets of a body exist.
    fn there(&self, body: &Map<String, Value>) -> Result<(), Answer> {
        for id in body.get("droplet_ids").and_then(Value::as_array).into_iter().flatten() {
            if !id.as_u64().is_some_and(|id| self.droplets.contains_key(&id)) {
                return Err(unprocessable("a droplet does not exist"));
            }
        }
        Ok(())
    }

    pub(super) fn one_firewall(&mut self, call: &Call, id: &str) -> Outcome {
        let mut firewall = self.firewalls.get(id).cloned().ok_or_else(missing)?;
        match &*call.method {
            "GET" => Ok(ok(200, json!({ "firewall": firewall }))),
            "PUT" => {
                for (field, value) in self.firewall_body(call)? {
                    firewall[field] = value;
                }
                self.firewalls.insert(id.into(), firewall.clone());
                Ok(ok(200, json!({ "firewall": firewall })))
            }
            "DELETE" => {
                self.firewalls.remove(id);
                Ok(ok(204, Value::Null))
            }
            _ => Err(missing()),
        }
    }

    pub(super) fn part_of_firewall(&mut self, call: &Call, id: &str, what: &str) -> Outcome {
        if !self.firewalls.contains_key(id) {
            return Err(missing());
        }
        let body = match what {
            "tags" => checks::body(call, &["tags"], &[])?,
            "droplets" => checks::body(call, &["droplet_ids"], &[])?,
            _ => return Err(missing()),
        };
        let add = match &*call.method {
            "POST" => true,
            "DELETE" => false,
            _ => return Err(missing()),
        };
        let names = checks::texts(&body, "tags")?;
        self.existing(&names)?;
        self.there(&body)?;
        let firewall = self.firewalls.get_mut(id).ok_or_else(missing)?;
        for name in &names {
            if add { tags::tag(firewall, name) } else { tags::untag(firewall, name) }
        }
        let ids = body.get("droplet_ids").and_then(Value::as_array).cloned().unwrap_or_default();
        if let Some(list) = firewall["droplet_ids"].as_array_mut() {
            list.retain(|droplet| !ids.contains(droplet));
            list.extend(ids.into_iter().filter(|_| add));
        }
        Ok(ok(204, Value::Null))
    }
}

fn rules(body: &Map<String, Value>, field: &str, side: &str) -> Result<(), Answer> {
    let list = match body.get(field) {
        None | Some(Value::Null) => return Ok(()),
        Some(list) => list.as_array().ok_or_else(|| unprocessable(&format!("{field} is no list")))?,
    };
    for rule in list {
        let fields = rule.as_object().ok_or_else(|| unprocessable("a rule is no object"))?;
        checks::fields(fields, &["protocol", "ports", side], &[])?;
        if !matches!(rule["protocol"].as_str(), Some("tcp" | "udp" | "icmp")) {
            return Err(unprocessable("protocol is not tcp, udp or icmp"));
        }
        let ports = rule["ports"].as_str().ok_or_else(|| unprocessable("ports is no text"))?;
        if ports.split('-').count() > 2 || ports.split('-').any(|port| port.parse::<u16>().is_err()) {
            return Err(unprocessable("ports is no port, no range and not 0"));
        }
        if rule["protocol"] == "icmp" && ports != "0" {
            return Err(unprocessable("icmp has no ports"));
        }
        let target = rule[side].as_object().ok_or_else(|| unprocessable(&format!("{side} is no object")))?;
        let kinds = ["addresses", "droplet_ids", "load_balancer_uids", "kubernetes_ids", "tags"];
        checks::fields(target, &[], &kinds)?;
        if target.is_empty() {
            return Err(unprocessable(&format!("{side} is empty")));
        }
        checks::texts(target, "addresses")?.iter().try_for_each(|text| checks::network(text))?;
    }
    Ok(())
}
