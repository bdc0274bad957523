//! SSH keys and networks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::state::{Outcome, State, labels_of};
use super::{Call, checks, ok, refused};

impl State {
    pub(super) fn create_key(&mut self, call: &Call) -> Outcome {
        let body = checks::body(call, &["name", "public_key"], &["labels"])?;
        checks::labels(&body)?;
        let (name, key) = (checks::text(&body, "name", 128)?, checks::text(&body, "public_key", 16_384)?);
        let blob = key.split_whitespace().nth(1).and_then(|b| STANDARD.decode(b).ok());
        let blob = blob.ok_or_else(|| checks::invalid("public_key", "is no SSH key"))?;
        let fingerprint: Vec<String> = Md5::digest(&blob).iter().map(|b| format!("{b:02x}")).collect();
        let fingerprint = fingerprint.join(":");
        let twice = |o: &Value| o["fingerprint"] == fingerprint.as_str();
        if self.objects.iter().any(|((kind, _), o)| kind == "ssh_keys" && twice(&o.value)) {
            let message = "SSH key with the same fingerprint already exists";
            let details = json!({ "fields": [{ "name": "public_key" }] });
            return Err(refused(409, "uniqueness_error", message, details));
        }
        let value = json!({ "name": name, "public_key": key, "fingerprint": fingerprint, "labels": labels_of(&body) });
        let id = self.add("ssh_keys", value)?;
        Ok(ok(201, json!({ "ssh_key": self.objects[&("ssh_keys".into(), id)].value })))
    }

    pub(super) fn create_network(&mut self, call: &Call) -> Outcome {
        let allowed = ["labels", "subnets", "routes", "expose_routes_to_vswitch"];
        let body = checks::body(call, &["name", "ip_range"], &allowed)?;
        checks::labels(&body)?;
        checks::network("ip_range", &body["ip_range"])?;
        let mut subnets = Vec::new();
        for subnet in body.get("subnets").and_then(Value::as_array).into_iter().flatten() {
            let fields =
                subnet.as_object().ok_or_else(|| checks::invalid("subnets", "is a list of objects"))?;
            checks::fields(fields, &["type", "network_zone"], &["ip_range", "vswitch_id"])?;
            let mut subnet = subnet.clone();
            subnet["gateway"] = json!("10.0.0.1");
            subnets.push(subnet);
        }
        let value = json!({ "name": checks::text(&body, "name", 128)?, "ip_range": body["ip_range"],
            "subnets": subnets, "routes": [], "servers": [], "load_balancers": [], "labels": labels_of(&body),
            "protection": { "delete": false }, "expose_routes_to_vswitch": false });
        let id = self.add("networks", value)?;
        Ok(ok(201, json!({ "network": self.objects[&("networks".into(), id)].value })))
    }
}
