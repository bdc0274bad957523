//! Servers.

use serde_json::{Map, Value, json};

use super::super::Boot;
use super::state::{Outcome, State, labels_of, missing};
use super::{Answer, Call, catalog, checks, ok, refused};

/// The most bytes of user-data.
const USER_DATA: usize = 32 << 10;

impl State {
    pub(super) fn create_server(&mut self, call: &Call) -> Outcome {
        let allowed = [
            "location",
            "ssh_keys",
            "firewalls",
            "networks",
            "volumes",
            "user_data",
            "labels",
            "start_after_create",
            "automount",
            "placement_group",
            "public_net",
        ];
        let body = checks::body(call, &["name", "server_type", "image"], &allowed)?;
        checks::labels(&body)?;
        let name = checks::text(&body, "name", 253)?.to_owned();
        checks::host_name(&name)?;
        let user_data = match body.get("user_data") {
            None => "",
            Some(text) => text.as_str().ok_or_else(|| checks::invalid("user_data", "is a text"))?,
        };
        if user_data.len() > USER_DATA {
            return Err(checks::invalid("user_data", "is longer than 32 KiB"));
        }
        let sold = catalog::server_types(&self.settings.full);
        let chosen = |list: &[Value], field: &str| {
            let wanted = body.get(field).cloned().unwrap_or_else(|| json!("fsn1"));
            Self::chosen(list, &wanted).ok_or_else(|| checks::invalid(field, "does not exist"))
        };
        let (kind, location) = (chosen(&sold, "server_type")?, chosen(&catalog::locations(), "location")?);
        let images: Vec<Value> =
            catalog::images().into_iter().filter(|i| i["architecture"] == kind["architecture"]).collect();
        let image = chosen(&images, "image")?;
        let places = kind["locations"].as_array().into_iter().flatten();
        match places.into_iter().find(|place| place["name"] == location["name"]) {
            None => return Err(checks::invalid("location", "does not have this type of server")),
            Some(place) if place["available"] == false || self.settings.no_place => {
                return Err(refused(412, "resource_unavailable", "error during placement", Value::Null));
            }
            Some(_) => {}
        }
        let keys = self.referred(&body, "ssh_keys", "ssh_keys", |v| v.clone())?;
        let firewalls = self.referred(&body, "firewalls", "firewalls", |v| v["firewall"].clone())?;
        let networks = self.referred(&body, "networks", "networks", |v| v.clone())?;
        if self.objects.keys().filter(|(kind, _)| kind == "servers").count() >= self.settings.quota {
            return Err(refused(403, "resource_limit_exceeded", "server limit exceeded", Value::Null));
        }
        let public_net = public_net(&body)?;
        let value = json!({ "name": name, "status": "initializing", "server_type": kind, "location": location,
            "image": image, "iso": null, "rescue_enabled": false, "locked": false, "backup_window": null,
            "outgoing_traffic": 0, "ingoing_traffic": 0, "included_traffic": 0, "primary_disk_size": 40,
            "protection": { "delete": false, "rebuild": false }, "labels": labels_of(&body), "volumes": [],
            "load_balancers": [], "placement_group": null,
            "private_net": networks.iter().map(|n| json!({ "network": n, "ip": "10.0.0.2", "alias_ips": [],
                "mac_address": "86:00:00:00:00:01" })).collect::<Vec<_>>(), "public_net": null });
        let id = self.add("servers", value)?;
        self.user_data.push(user_data.to_owned());
        let public = |key: &u64| {
            self.objects[&("ssh_keys".into(), *key)].value["public_key"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let boot = Boot {
            id: id.to_string(),
            name,
            user_data: user_data.into(),
            ssh_keys: keys.iter().map(public).collect(),
        };
        let address = self.hypervisor.boot(&boot);
        for firewall in &firewalls {
            self.apply(*firewall, json!({ "type": "server", "server": { "id": id } }))?;
        }
        let net = json!({
            "ipv4": public_net.0.then(|| json!({ "id": self.fresh(), "ip": address.to_string(), "blocked": false,
                "dns_ptr": "static.example.com" })),
            "ipv6": public_net.1.then(|| json!({ "id": self.fresh(), "ip": "2001:db8::/64", "blocked": false,
                "dns_ptr": [] })),
            "floating_ips": [],
            "firewalls": firewalls.iter().map(|f| json!({ "id": f, "status": "applied" })).collect::<Vec<_>>() });
        let started = body.get("start_after_create") != Some(&json!(false));
        let action =
            self.begin("create_server", ("server", id), Some(if started { "running" } else { "off" }));
        let mut next = Vec::new();
        if started {
            next.push(self.begin("start_server", ("server", id), None));
        }
        let server = &mut self.objects.get_mut(&("servers".into(), id)).ok_or_else(missing)?.value;
        server["public_net"] = net;
        let password = if keys.is_empty() { json!("not-a-real-password") } else { Value::Null };
        let server = server.clone();
        Ok(ok(
            201,
            json!({ "server": server, "action": action, "next_actions": next, "root_password": password }),
        ))
    }

    /// Returns the IDs that a list of the body refers to.
    fn referred(
        &self,
        body: &Map<String, Value>,
        field: &str,
        kind: &str,
        of: impl Fn(&Value) -> Value,
    ) -> Result<Vec<u64>, Answer> {
        let mut ids = Vec::new();
        for entry in body.get(field).and_then(Value::as_array).into_iter().flatten() {
            let wanted = of(entry);
            let same = |o: &Value| o["id"] == wanted || o["name"] == wanted;
            let found = self.objects.iter().find(|((k, _), o)| k == kind && same(&o.value));
            ids.push(found.ok_or_else(|| checks::invalid(field, "does not exist"))?.0.1);
        }
        Ok(ids)
    }

    pub(super) fn delete_server(&mut self, id: u64) -> Outcome {
        let polls = self.settings.polls;
        let server = self.objects.get_mut(&("servers".into(), id)).ok_or_else(missing)?;
        if server.going.is_some() {
            return Err(refused(423, "locked", "server is locked", Value::Null));
        }
        if server.value["protection"]["delete"] == true {
            return Err(refused(403, "protected", "server deletion is protected", Value::Null));
        }
        server.going = Some(polls);
        server.value["status"] = json!("deleting");
        self.hypervisor.destroy(&id.to_string());
        Ok(ok(200, json!({ "action": self.begin("delete_server", ("server", id), None) })))
    }

    /// Takes a server that no longer exists out of the firewalls.
    pub(super) fn detach(&mut self, id: u64) {
        for ((kind, _), object) in &mut self.objects {
            if kind == "firewalls"
                && let Some(list) = object.value["applied_to"].as_array_mut()
            {
                list.retain(|target| target["server"]["id"] != json!(id));
            }
        }
    }

    pub(super) fn act_on_server(&mut self, call: &Call, id: u64, what: &str) -> Outcome {
        if self.look("servers", id).is_none() {
            return Err(missing());
        }
        let (needed, allowed, then): (&[&str], &[&str], _) = match what {
            "poweron" | "reboot" | "reset" => (&[], &[], Some("running")),
            "poweroff" | "shutdown" => (&[], &[], Some("off")),
            "change_dns_ptr" => (&["ip"], &["dns_ptr"], None),
            "change_protection" => (&[], &["delete", "rebuild"], None),
            _ => return Err(missing()),
        };
        let body = checks::body(call, needed, allowed)?;
        let server = &mut self.objects.get_mut(&("servers".into(), id)).ok_or_else(missing)?.value;
        if what == "change_protection" {
            for (field, value) in &body {
                server["protection"][field] = value.clone();
            }
        }
        if what == "change_dns_ptr" {
            name_address(&mut server["public_net"], &body)?;
        }
        Ok(ok(201, json!({ "action": self.begin(what, ("server", id), then) })))
    }
}

/// Names an address of a server. Hetzner has one name for an IPv4 address, and a list for the addresses of a network.
fn name_address(net: &mut Value, body: &Map<String, Value>) -> Result<(), Answer> {
    let (ip, name) =
        (checks::text(body, "ip", 45)?.to_owned(), body.get("dns_ptr").cloned().unwrap_or_default());
    if let Some(name) = name.as_str() {
        checks::host_name(name)?;
    }
    if net["ipv4"]["ip"] == ip.as_str() {
        net["ipv4"]["dns_ptr"] = if name.is_null() { json!("static.example.com") } else { name };
        return Ok(());
    }
    let inside = ip.parse::<std::net::Ipv6Addr>().is_ok_and(|ip| ip.segments()[..4] == [0x2001, 0xdb8, 0, 0]);
    match net["ipv6"]["dns_ptr"].as_array_mut().filter(|_| inside) {
        None => Err(checks::invalid("ip", "does not belong to the server")),
        Some(names) => {
            names.retain(|entry| entry["ip"] != ip.as_str());
            if !name.is_null() {
                names.push(json!({ "ip": ip, "dns_ptr": name }));
            }
            Ok(())
        }
    }
}

/// Returns whether the server has an IPv4 and an IPv6 address.
fn public_net(body: &Map<String, Value>) -> Result<(bool, bool), Answer> {
    let Some(net) = body.get("public_net") else { return Ok((true, true)) };
    let fields = net.as_object().ok_or_else(|| checks::invalid("public_net", "is an object"))?;
    checks::fields(fields, &[], &["enable_ipv4", "enable_ipv6", "ipv4", "ipv6"])?;
    let enabled = |field: &str| fields.get(field) != Some(&json!(false));
    Ok((enabled("enable_ipv4"), enabled("enable_ipv6")))
}
