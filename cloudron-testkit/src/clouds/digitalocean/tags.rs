//! Tags. They exist by themselves, on droplets and on firewalls.

use serde_json::{Value, json};

use super::state::{Outcome, State, missing};
use super::{Answer, Call, checks, ok, unprocessable};

impl State {
    pub(super) fn create_tag(&mut self, call: &Call) -> Outcome {
        let body = checks::body(call, &["name"], &[])?;
        let name = checks::text(&body, "name", 255)?;
        checks::tag(name)?;
        if self.tags.contains(name) {
            return Err(unprocessable("Tag name already exists"));
        }
        self.tags.insert(name.to_owned());
        Ok(ok(201, json!({ "tag": self.tag(name) })))
    }

    /// A tag as it is shown.
    pub(super) fn tag(&self, name: &str) -> Value {
        let carries =
            |value: &Value| value["tags"].as_array().is_some_and(|tags| tags.contains(&json!(name)));
        let ids: Vec<u64> =
            self.droplets.iter().filter(|(_, d)| carries(&d.value)).map(|(id, _)| *id).collect();
        let of = |count: usize, last: Option<&u64>| match last {
            Some(id) => {
                json!({ "count": count, "last_tagged_uri": format!("https://api.digitalocean.com/v2/droplets/{id}") })
            }
            None => json!({ "count": count }),
        };
        let mut resources = of(ids.len(), ids.last());
        resources["droplets"] = of(ids.len(), ids.last());
        for kind in ["images", "volumes", "volume_snapshots", "databases"] {
            resources[kind] = json!({ "count": 0 });
        }
        json!({ "name": name, "resources": resources })
    }

    pub(super) fn one_tag(&mut self, call: &Call, name: &str) -> Outcome {
        if !self.tags.contains(name) {
            return Err(missing());
        }
        match &*call.method {
            "GET" => Ok(ok(200, json!({ "tag": self.tag(name) }))),
            "DELETE" => {
                self.tags.remove(name);
                let droplets = self.droplets.values_mut().map(|d| &mut d.value);
                for value in droplets.chain(self.firewalls.values_mut()) {
                    untag(value, name);
                }
                Ok(ok(204, Value::Null))
            }
            _ => Err(missing()),
        }
    }

    pub(super) fn tagged(&mut self, call: &Call, name: &str) -> Outcome {
        if !self.tags.contains(name) {
            return Err(missing());
        }
        let body = checks::body(call, &["resources"], &[])?;
        for resource in body["resources"].as_array().into_iter().flatten() {
            let fields = resource.as_object().ok_or_else(|| unprocessable("a resource is no object"))?;
            checks::fields(fields, &["resource_id", "resource_type"], &[])?;
            if resource["resource_type"] != "droplet" {
                return Err(unprocessable("the type of the resource is unknown"));
            }
            // The ID is a text here.
            let id = resource["resource_id"].as_str().and_then(|id| id.parse::<u64>().ok());
            let droplet = id.and_then(|id| self.droplets.get_mut(&id)).ok_or_else(missing)?;
            match &*call.method {
                "POST" => tag(&mut droplet.value, name),
                "DELETE" => untag(&mut droplet.value, name),
                _ => return Err(missing()),
            }
        }
        Ok(ok(204, Value::Null))
    }

    /// Checks that tags exist.
    pub(super) fn existing(&self, tags: &[String]) -> Result<(), Answer> {
        match tags.iter().find(|tag| !self.tags.contains(*tag)) {
            Some(tag) => Err(unprocessable(&format!("the tag {tag} does not exist"))),
            None => Ok(()),
        }
    }
}

pub(super) fn tag(value: &mut Value, name: &str) {
    if let Some(tags) = value["tags"].as_array_mut()
        && !tags.contains(&json!(name))
    {
        tags.push(json!(name));
    }
}

pub(super) fn untag(value: &mut Value, name: &str) {
    if let Some(tags) = value["tags"].as_array_mut() {
        tags.retain(|tag| tag != name);
    }
}
