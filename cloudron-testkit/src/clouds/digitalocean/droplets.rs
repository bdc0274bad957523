//! Droplets. Several can have one name.

use serde_json::{Map, Value, json};

use super::super::Boot;
use super::reserved::link;
use super::state::{Droplet, Outcome, State, Then, missing};
use super::{Answer, Call, Settings, catalog, checks, ok, unprocessable};

/// The most bytes of user-data.
const USER_DATA: usize = 64 << 10;

const FIELDS: [&str; 14] = [
    "region",
    "ssh_keys",
    "backups",
    "backup_policy",
    "ipv6",
    "monitoring",
    "tags",
    "user_data",
    "private_networking",
    "volumes",
    "vpc_uuid",
    "with_droplet_agent",
    "public_networking",
    "project_id",
];

impl State {
    pub(super) fn create_droplet(&mut self, call: &Call) -> Outcome {
        let body = checks::body(call, &["name", "size", "image"], &FIELDS)?;
        let name = checks::text(&body, "name", 255)?.to_owned();
        checks::host_name(&name)?;
        let user_data = body.get("user_data").map_or(Some(""), Value::as_str);
        let user_data = user_data.ok_or_else(|| unprocessable("user_data is no text"))?.to_owned();
        if user_data.len() > USER_DATA {
            return Err(unprocessable("User data is too long (maximum is 64 KiB)"));
        }
        let ipv6 = checks::flag(&body, "ipv6")?;
        for field in ["backups", "monitoring", "with_droplet_agent", "public_networking"] {
            checks::flag(&body, field)?;
        }
        let names = checks::texts(&body, "tags")?;
        names.iter().try_for_each(|name| checks::tag(name))?;
        let (size, region, image) = self.offered(&body)?;
        let keys = self.keys_of(&body)?;
        self.tags.extend(names.iter().cloned());
        if self.droplets.len() >= self.settings.quota {
            return Err(unprocessable("creating this/these droplet(s) will exceed your droplet limit"));
        }
        let id = self.fresh();
        let value = json!({ "id": id, "name": name, "memory": size["memory"], "vcpus": size["vcpus"],
            "disk": size["disk"], "locked": true, "status": "new", "kernel": null,
            "created_at": "2026-01-01T00:00:00Z", "features": if ipv6 { json!(["ipv6"]) } else { json!([]) },
            "backup_ids": [], "next_backup_window": null, "snapshot_ids": [], "image": image, "volume_ids": [],
            "size": size, "size_slug": body["size"], "networks": { "v4": [], "v6": [] }, "region": region,
            "tags": names, "vpc_uuid": "760e09ef-dc84-11e8-981e-3cfdfeaae000" });
        let Settings { hidden, late, untagged, .. } = self.settings;
        self.droplets.insert(id, Droplet { value: value.clone(), hidden, late, untagged, going: None });
        let failing = self.settings.no_place;
        let action = self.begin("create", id, if failing { Then::Failed } else { Then::Active });
        if !failing {
            self.user_data.push(user_data.clone());
            let boot = Boot { id: id.to_string(), name, user_data, ssh_keys: keys };
            let address = self.hypervisor.boot(&boot);
            self.addresses.insert(id, networks(address, ipv6));
        }
        Ok(ok(202, json!({ "droplet": value, "links": { "actions": [link(action, "create")] } })))
    }

    /// Returns the size, region and image that a body asks for.
    fn offered(&self, body: &Map<String, Value>) -> Result<(Value, Value, Value), Answer> {
        let chosen = |list: Vec<Value>, field: &str, value: &Value| {
            let found = catalog::chosen(&list, value);
            found.ok_or_else(|| {
                unprocessable(&format!("You specified an invalid {field} for Droplet creation."))
            })
        };
        let image = chosen(catalog::images(), "image", &body["image"])?;
        let size = chosen(catalog::sizes(&[]), "size", &body["size"])?;
        let wanted = body.get("region").cloned().unwrap_or_else(|| json!("fra1"));
        let region = chosen(catalog::regions(&[]), "region", &wanted)?;
        let now = chosen(catalog::sizes(&self.settings.full), "size", &body["size"])?;
        if !now["regions"].as_array().is_some_and(|regions| regions.contains(&wanted)) {
            return Err(unprocessable("Size is not available in this region."));
        }
        Ok((size, region, image))
    }

    /// Returns the public keys that a body names by ID or fingerprint.
    fn keys_of(&self, body: &Map<String, Value>) -> Result<Vec<String>, Answer> {
        let mut keys = Vec::new();
        for wanted in body.get("ssh_keys").and_then(Value::as_array).into_iter().flatten() {
            let (_, key) = self
                .key(wanted)
                .ok_or_else(|| unprocessable("invalid key identifiers for Droplet creation."))?;
            keys.push(key["public_key"].as_str().unwrap_or_default().to_owned());
        }
        Ok(keys)
    }

    pub(super) fn one_droplet(&mut self, call: &Call, id: u64) -> Outcome {
        match &*call.method {
            "GET" => {
                let value = self.look(id).ok_or_else(missing)?;
                Ok(ok(200, json!({ "droplet": value })))
            }
            "DELETE" => {
                let droplet = self.droplets.get(&id).ok_or_else(missing)?;
                if droplet.going.is_some() {
                    return Err(missing());
                }
                let idle = self.idle(id);
                self.advance(id);
                idle?;
                let polls = self.settings.polls;
                let droplet = self.droplets.get_mut(&id).ok_or_else(missing)?;
                droplet.going = Some(polls);
                self.hypervisor.destroy(&id.to_string());
                Ok(ok(204, Value::Null))
            }
            _ => Err(missing()),
        }
    }

    /// Refuses an action on a droplet that has another one.
    pub(super) fn idle(&self, id: u64) -> Result<(), Answer> {
        let running = |a: &Value| a["resource_id"] == json!(id) && a["status"] == "in-progress";
        if self.actions.values().any(|action| running(&action.value)) {
            return Err(unprocessable("Droplet already has a pending event."));
        }
        Ok(())
    }

    pub(super) fn act_on_droplet(&mut self, call: &Call, id: u64) -> Outcome {
        self.look(id).ok_or_else(missing)?;
        let body = checks::body(call, &["type"], &["name"])?;
        let then = match body["type"].as_str() {
            Some("reboot" | "power_cycle" | "power_on") => Then::Active,
            Some("power_off" | "shutdown") => Then::Off,
            Some("rename") => Then::Nothing,
            _ => return Err(unprocessable("type is unknown")),
        };
        self.idle(id)?;
        if body["type"] == "rename" {
            let name = checks::text(&body, "name", 255)?;
            checks::host_name(name)?;
            self.droplets.get_mut(&id).ok_or_else(missing)?.value["name"] = json!(name);
        }
        let action = self.begin(body["type"].as_str().unwrap_or_default(), id, then);
        Ok(ok(201, json!({ "action": self.actions[&action].value })))
    }

    /// Looks a droplet up, which is what time is measured in.
    pub(super) fn look(&mut self, id: u64) -> Option<Value> {
        self.advance(id);
        let droplet = self.droplets.get_mut(&id)?;
        if droplet.late > 0 {
            droplet.late -= 1;
            return None;
        }
        let value = droplet.shown();
        match &mut droplet.going {
            Some(0) => {
                self.remove_droplet(id);
                return None;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        Some(value)
    }

    pub(super) fn remove_droplet(&mut self, id: u64) {
        self.droplets.remove(&id);
        self.release(id);
        for firewall in self.firewalls.values_mut() {
            if let Some(list) = firewall["droplet_ids"].as_array_mut() {
                list.retain(|droplet| *droplet != json!(id));
            }
        }
    }

    pub(super) fn list_droplets(&mut self, call: &Call) -> Outcome {
        let (tag, name) = (call.parameter("tag_name"), call.parameter("name"));
        if tag.is_some() && name.is_some() {
            return Err(unprocessable("tag_name and name cannot be combined"));
        }
        let ids: Vec<u64> = self.droplets.keys().copied().collect();
        let mut found = Vec::new();
        for id in ids {
            let matches = |value: &Value| {
                let tagged =
                    |tag: &str| value["tags"].as_array().is_some_and(|tags| tags.contains(&json!(tag)));
                let named = |name: &str| value["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name));
                tag.is_none_or(tagged) && name.is_none_or(named)
            };
            let Some(droplet) = self.droplets.get_mut(&id).filter(|d| matches(&d.value)) else { continue };
            if tag.is_some() && droplet.hidden > 0 {
                droplet.hidden -= 1;
                continue;
            }
            if droplet.going.is_none() {
                self.advance(id);
                found.extend(self.droplets.get_mut(&id).map(Droplet::shown));
            } else {
                found.extend(self.look(id));
            }
        }
        self.page(call, "droplets", found, &["tag_name", "name"])
    }

    /// Ends an action: what it was to do is done.
    pub(super) fn finish(&mut self, id: u64, then: Then) {
        if then == Then::Failed {
            self.remove_droplet(id);
            return;
        }
        let net = self.addresses.remove(&id);
        let Some(droplet) = self.droplets.get_mut(&id) else { return };
        droplet.value["locked"] = json!(false);
        if let Some(net) = net {
            droplet.value["networks"] = net;
        }
        match then {
            Then::Active => droplet.value["status"] = json!("active"),
            Then::Off => droplet.value["status"] = json!("off"),
            Then::Nothing | Then::Failed => {}
        }
    }

    /// Deletes all droplets that have a tag.
    pub(super) fn delete_tagged(&mut self, call: &Call) -> Outcome {
        let tag = call.parameter("tag_name").ok_or_else(|| unprocessable("tag_name is missing"))?;
        let carries = |d: &Droplet| d.value["tags"].as_array().is_some_and(|tags| tags.contains(&json!(tag)));
        let ids: Vec<u64> = self.droplets.iter().filter(|(_, d)| carries(d)).map(|(id, _)| *id).collect();
        for id in ids {
            self.hypervisor.destroy(&id.to_string());
            self.remove_droplet(id);
        }
        Ok(ok(204, Value::Null))
    }
}

impl Droplet {
    /// Returns it as it is shown, which has no tags in the beginning.
    fn shown(&mut self) -> Value {
        let mut value = self.value.clone();
        if self.untagged > 0 {
            self.untagged -= 1;
            value["tags"] = json!([]);
        }
        value
    }
}

fn networks(address: std::net::Ipv4Addr, ipv6: bool) -> Value {
    let v4 = |ip: String, kind: &str| json!({ "ip_address": ip, "netmask": "255.255.240.0", "gateway": "192.0.2.1", "type": kind });
    // The private one first: clients must look at the type.
    let v4 = [v4("10.135.0.2".into(), "private"), v4(address.to_string(), "public")];
    let v6 =
        json!({ "ip_address": "2001:db8::d0", "netmask": 64, "gateway": "2001:db8::1", "type": "public" });
    json!({ "v4": v4, "v6": if ipv6 { vec![v6] } else { Vec::new() } })
}
