//! Reserved addresses.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::state::{Outcome, State, Then, missing};
use super::{Call, catalog, checks, ok, unprocessable};

/// A reserved address.
pub(super) struct Reserved {
    region: Value,
    droplet: Option<u64>,
}

impl State {
    pub(super) fn create_reserved(&mut self, call: &Call) -> Outcome {
        let body = checks::body(call, &[], &["droplet_id", "region", "project_id"])?;
        let (region, droplet) = match (body.get("droplet_id"), body.get("region")) {
            (Some(id), None) => {
                let id = id.as_u64().filter(|id| self.droplets.contains_key(id)).ok_or_else(missing)?;
                self.idle(id)?;
                (self.droplets[&id].value["region"].clone(), Some(id))
            }
            (None, Some(slug)) => {
                let region = catalog::chosen(&catalog::regions(&[]), slug);
                (region.ok_or_else(|| unprocessable("the region does not exist"))?, None)
            }
            _ => return Err(unprocessable("either droplet_id or region is needed")),
        };
        // Loopback, so that the machine can be reached.
        let free = (1..).map(|n| Ipv4Addr::from(0x7f00_0000 + n)).find(|ip| !self.reserved.contains_key(ip));
        let ip = free.ok_or_else(|| unprocessable("no address is free"))?;
        self.reserved.insert(ip, Reserved { region, droplet });
        let mut links = json!({});
        if let Some(id) = droplet {
            // A droplet has one at most.
            self.unassign(id, ip);
            let action = self.begin("assign_ip", id, Then::Nothing);
            links = json!({ "droplets": [link(id, "create")], "actions": [link(action, "assign_ip")] });
        }
        Ok(ok(202, json!({ "reserved_ip": self.shown(ip), "links": links })))
    }

    /// Takes other addresses off a droplet.
    fn unassign(&mut self, droplet: u64, but: Ipv4Addr) {
        for (ip, reserved) in &mut self.reserved {
            if *ip != but && reserved.droplet == Some(droplet) {
                reserved.droplet = None;
            }
        }
    }

    /// Takes all addresses off a droplet that no longer exists.
    pub(super) fn release(&mut self, droplet: u64) {
        self.unassign(droplet, Ipv4Addr::UNSPECIFIED);
    }

    /// An address as it is shown.
    pub(super) fn shown(&self, ip: Ipv4Addr) -> Value {
        let Some(reserved) = self.reserved.get(&ip) else { return Value::Null };
        let droplet = reserved.droplet.and_then(|id| self.droplets.get(&id)).map(|d| d.value.clone());
        json!({ "ip": ip.to_string(), "region": reserved.region, "droplet": droplet, "locked": false,
            "project_id": "746c6152-2fa2-11ed-92d3-27aaa54e4988" })
    }

    pub(super) fn one_reserved(&mut self, call: &Call, ip: &str) -> Outcome {
        let ip = ip.parse().ok().filter(|ip| self.reserved.contains_key(ip)).ok_or_else(missing)?;
        match &*call.method {
            "GET" => Ok(ok(200, json!({ "reserved_ip": self.shown(ip) }))),
            "DELETE" => {
                self.reserved.remove(&ip);
                Ok(ok(204, Value::Null))
            }
            _ => Err(missing()),
        }
    }

    pub(super) fn act_on_reserved(&mut self, call: &Call, ip: &str) -> Outcome {
        let ip: Ipv4Addr = ip.parse().ok().filter(|ip| self.reserved.contains_key(ip)).ok_or_else(missing)?;
        let body = checks::body(call, &["type"], &["droplet_id"])?;
        let id = match (body["type"].as_str(), body.get("droplet_id").and_then(Value::as_u64)) {
            (Some("assign"), Some(id)) if self.droplets.contains_key(&id) => Some(id),
            (Some("unassign"), None) => None,
            _ => return Err(unprocessable("type is not assign with a droplet, or unassign")),
        };
        if let Some(id) = id {
            self.idle(id)?;
            self.unassign(id, ip);
        }
        let reserved = self.reserved.get_mut(&ip).ok_or_else(missing)?;
        let on = id.or(reserved.droplet);
        reserved.droplet = id;
        let action = self.begin("assign_ip", on.unwrap_or_default(), Then::Nothing);
        Ok(ok(201, json!({ "action": self.actions[&action].value })))
    }
}

/// A link to something in an answer.
pub(super) fn link(id: u64, rel: &str) -> Value {
    json!({ "id": id, "rel": rel, "href": format!("https://api.digitalocean.com/v2/actions/{id}") })
}
