//! Firewalls: rules, and what they apply to.

use serde_json::{Map, Value, json};

use super::state::{Outcome, State, labels_of, missing};
use super::{Answer, Call, checks, ok, refused, selector};

impl State {
    pub(super) fn create_firewall(&mut self, call: &Call) -> Outcome {
        let body = checks::body(call, &["name"], &["labels", "rules", "apply_to"])?;
        checks::labels(&body)?;
        let name = checks::text(&body, "name", 128)?;
        let rules = rules(&body)?;
        let targets = self.targets(&body, "apply_to")?;
        let value =
            json!({ "name": name, "rules": rules, "applied_to": targets, "labels": labels_of(&body) });
        let id = self.add("firewalls", value)?;
        let actions = [self.begin("set_firewall_rules", ("firewall", id), None)];
        let firewall = &self.objects[&("firewalls".into(), id)].value;
        Ok(ok(201, json!({ "firewall": firewall, "actions": actions })))
    }

    pub(super) fn act_on_firewall(&mut self, call: &Call, id: u64, what: &str) -> Outcome {
        if !self.objects.contains_key(&("firewalls".into(), id)) {
            return Err(missing());
        }
        match what {
            "set_rules" => {
                let rules = rules(&checks::body(call, &["rules"], &[])?)?;
                self.firewall(id)["rules"] = rules;
            }
            "apply_to_resources" => {
                let body = checks::body(call, &["apply_to"], &[])?;
                for target in self.targets(&body, "apply_to")? {
                    self.apply(id, target)?;
                }
            }
            "remove_from_resources" => {
                let body = checks::body(call, &["remove_from"], &[])?;
                let gone = self.targets(&body, "remove_from")?;
                if let Some(list) = self.firewall(id)["applied_to"].as_array_mut() {
                    list.retain(|target| !gone.contains(target));
                }
            }
            _ => return Err(missing()),
        }
        let action = self.begin(what, ("firewall", id), None);
        Ok(ok(201, json!({ "actions": [action] })))
    }

    /// Applies a firewall to a target.
    pub(super) fn apply(&mut self, firewall: u64, target: Value) -> Result<(), Answer> {
        let list = self.firewall(firewall)["applied_to"].as_array_mut().expect("a list of our own");
        if list.contains(&target) {
            return Err(refused(
                422,
                "server_already_added",
                "server was applied more than once",
                Value::Null,
            ));
        }
        list.push(target);
        Ok(())
    }

    fn firewall(&mut self, id: u64) -> &mut Value {
        &mut self.objects.get_mut(&("firewalls".into(), id)).expect("looked up before").value
    }

    fn targets(&self, body: &Map<String, Value>, field: &str) -> Result<Vec<Value>, Answer> {
        let mut targets = Vec::new();
        for target in body.get(field).and_then(Value::as_array).into_iter().flatten() {
            let fields = target.as_object().ok_or_else(|| checks::invalid(field, "is a list of objects"))?;
            checks::fields(fields, &["type"], &["server", "label_selector"])?;
            match target["type"].as_str() {
                Some("server") => {
                    let id = target["server"]["id"].as_u64().unwrap_or_default();
                    if !self.objects.contains_key(&("servers".into(), id)) {
                        return Err(refused(
                            422,
                            "firewall_resource_not_found",
                            "no such server",
                            Value::Null,
                        ));
                    }
                }
                Some("label_selector") => {
                    let text = target["label_selector"]["selector"].as_str().unwrap_or("?");
                    if selector::meets(&Map::new(), text).is_none() {
                        return Err(checks::invalid(field, "is no label selector"));
                    }
                }
                _ => return Err(checks::invalid(field, "has an unknown type")),
            }
            targets.push(target.clone());
        }
        Ok(targets)
    }
}

fn rules(body: &Map<String, Value>) -> Result<Value, Answer> {
    let mut rules = Vec::new();
    for rule in body.get("rules").and_then(Value::as_array).into_iter().flatten() {
        let fields = rule.as_object().ok_or_else(|| checks::invalid("rules", "is a list of objects"))?;
        let allowed = ["port", "source_ips", "destination_ips", "description"];
        checks::fields(fields, &["direction", "protocol"], &allowed)?;
        let ported = matches!(rule["protocol"].as_str(), Some("tcp" | "udp"));
        if !ported && !matches!(rule["protocol"].as_str(), Some("icmp" | "esp" | "gre")) {
            return Err(checks::invalid("rules", "has an unknown protocol"));
        }
        if ported != rule["port"].is_string() {
            return Err(checks::invalid("rules", "the port is for tcp and udp, as a text"));
        }
        let sides = match rule["direction"].as_str() {
            Some("in") => "source_ips",
            Some("out") => "destination_ips",
            _ => return Err(checks::invalid("rules", "has an unknown direction")),
        };
        let networks = rule[sides].as_array().filter(|list| !list.is_empty());
        for network in networks.ok_or_else(|| checks::invalid("rules", "has no networks"))? {
            checks::network("rules", network)?;
        }
        let mut rule = rule.clone();
        for field in allowed {
            let empty = if field.ends_with("ips") { json!([]) } else { Value::Null };
            rule[field] = fields.get(field).cloned().unwrap_or(empty);
        }
        rules.push(rule);
    }
    Ok(json!(rules))
}
