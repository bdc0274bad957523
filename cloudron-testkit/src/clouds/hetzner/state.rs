//! The state, and the parts common to all kinds: look-ups, lists in pages, actions.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Answer, Call, Hypervisor, Settings, catalog, checks, ok, refused, selector};

/// Something that was made.
pub(super) struct Object {
    pub(super) value: Value,
    /// How many look-ups do not show it yet.
    pub(super) hidden: u32,
    /// How many look-ups still show it, when it was deleted.
    pub(super) going: Option<u32>,
}

/// An action that is not done yet.
pub(super) struct Running {
    left: u32,
    status_then: Option<(u64, &'static str)>,
}

pub(super) struct State {
    pub(super) token: String,
    pub(super) settings: Settings,
    pub(super) objects: BTreeMap<(String, u64), Object>,
    pub(super) user_data: Vec<String>,
    pub(super) hypervisor: Box<dyn Hypervisor>,
    running: BTreeMap<u64, Running>,
    next: u64,
    calls: u64,
}

/// The answer; an error becomes the answer too.
pub(super) type Outcome = Result<Answer, Answer>;

/// Kinds that have a name and labels, and their names in the singular.
const KINDS: [(&str, &str); 4] =
    [("servers", "server"), ("firewalls", "firewall"), ("networks", "network"), ("ssh_keys", "ssh_key")];

impl State {
    pub(super) fn new(token: &str, hypervisor: Box<dyn Hypervisor>) -> Self {
        Self {
            token: token.into(),
            settings: Settings::default(),
            objects: BTreeMap::new(),
            user_data: Vec::new(),
            hypervisor,
            running: BTreeMap::new(),
            next: 1000,
            calls: 0,
        }
    }

    pub(super) fn handle(&mut self, call: &Call) -> Answer {
        self.calls += 1;
        let mut answer = self.route(call).unwrap_or_else(|refused| refused);
        let left = 3600_u64.saturating_sub(self.calls);
        for (name, value) in
            [("ratelimit-limit", 3600), ("ratelimit-remaining", left), ("ratelimit-reset", 1)]
        {
            answer.headers.push((name, value.to_string()));
        }
        answer
    }

    fn route(&mut self, call: &Call) -> Outcome {
        if call.credential != format!("Bearer {}", self.token) {
            return Err(refused(401, "unauthorized", "unable to authenticate", Value::Null));
        }
        if self.settings.read_only && call.method != "GET" {
            return Err(refused(403, "token_readonly", "only allowed to read", Value::Null));
        }
        let path = call.path.strip_prefix("/v1/").unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        let number = |text: &str| text.parse::<u64>().map_err(|_| missing());
        match (&*call.method, &segments[..]) {
            ("GET", ["locations"]) => self.page(call, "locations", catalog::locations(), &["name", "sort"]),
            ("GET", ["server_types"]) => {
                let list = catalog::server_types(&self.settings.full);
                self.page(call, "server_types", list, &["name", "sort"])
            }
            ("GET", ["images"]) => self.page(
                call,
                "images",
                catalog::images(),
                &["name", "architecture", "type", "status", "sort"],
            ),
            ("GET", ["pricing"]) => Ok(ok(200, catalog::pricing())),
            ("GET", ["datacenters", ..]) => Err(refused(410, "deprecated_api_endpoint", "gone", Value::Null)),
            ("GET", ["actions"]) => {
                let ids: Vec<u64> = call
                    .query
                    .iter()
                    .filter(|(n, _)| n == "id")
                    .filter_map(|(_, v)| v.parse().ok())
                    .collect();
                if ids.is_empty() {
                    return Err(checks::invalid("id", "is required"));
                }
                let actions = ids.into_iter().filter_map(|id| self.action(id)).collect();
                self.page(call, "actions", actions, &["id", "sort"])
            }
            ("GET", ["actions", id]) => {
                let action = self.action(number(id)?).ok_or_else(missing)?;
                Ok(ok(200, json!({ "action": action })))
            }
            ("GET", [kind]) if plural(kind) => self.list(call, kind),
            ("POST", ["servers"]) => self.create_server(call),
            ("POST", ["firewalls"]) => self.create_firewall(call),
            ("POST", ["networks"]) => self.create_network(call),
            ("POST", ["ssh_keys"]) => self.create_key(call),
            ("GET", [kind, id]) if plural(kind) => {
                let value = self.look(kind, number(id)?).ok_or_else(missing)?;
                Ok(ok(200, json!({ singular(kind): value })))
            }
            ("PUT", [kind, id]) if plural(kind) => self.update(call, kind, number(id)?),
            ("DELETE", ["servers", id]) => self.delete_server(number(id)?),
            ("DELETE", [kind, id]) if plural(kind) => self.delete(kind, number(id)?),
            ("GET", ["servers", id, "actions"]) => {
                let id = number(id)?;
                self.look("servers", id).ok_or_else(missing)?;
                let actions = self.actions_of(id);
                self.page(call, "actions", actions, &["status", "sort"])
            }
            ("POST", ["servers", id, "actions", what]) => self.act_on_server(call, number(id)?, what),
            ("POST", ["firewalls", id, "actions", what]) => self.act_on_firewall(call, number(id)?, what),
            _ => Err(missing()),
        }
    }

    /// Adds something, after the checks that all kinds share.
    pub(super) fn add(&mut self, kind: &str, mut value: Value) -> Result<u64, Answer> {
        let name = value["name"].as_str().unwrap_or_default().to_owned();
        // That names of networks are unique is not documented.
        let taken = |((k, _), o): (&(String, u64), &Object)| k == kind && o.value["name"] == name.as_str();
        if kind != "networks" && self.objects.iter().any(taken) {
            let details = json!({ "fields": [{ "name": "name" }] });
            return Err(refused(409, "uniqueness_error", "name is already used", details));
        }
        let id = self.fresh();
        value["id"] = json!(id);
        value["created"] = json!("2026-01-01T00:00:00+00:00");
        let hidden = self.settings.hidden;
        self.objects.insert((kind.into(), id), Object { value, hidden, going: None });
        Ok(id)
    }

    pub(super) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Looks something up, which is what time is measured in.
    pub(super) fn look(&mut self, kind: &str, id: u64) -> Option<Value> {
        let key = (kind.to_owned(), id);
        let object = self.objects.get_mut(&key)?;
        if object.hidden > 0 {
            object.hidden -= 1;
            return None;
        }
        let value = object.value.clone();
        match &mut object.going {
            Some(0) => {
                self.objects.remove(&key);
                self.detach(id);
                return None;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if kind == "servers" {
            for action in self.actions_of(id) {
                self.action(action["id"].as_u64().unwrap_or_default());
            }
        }
        Some(value)
    }

    fn list(&mut self, call: &Call, kind: &str) -> Outcome {
        let ids: Vec<u64> = self.objects.keys().filter(|(k, _)| k == kind).map(|(_, id)| *id).collect();
        let mut found = Vec::new();
        for id in ids {
            let Some(value) = self.look(kind, id) else { continue };
            let labels = value["labels"].as_object().cloned().unwrap_or_default();
            let selected = match call.parameter("label_selector") {
                Some(text) => selector::meets(&labels, text)
                    .ok_or_else(|| checks::invalid("label_selector", "is no label selector"))?,
                None => true,
            };
            if selected {
                found.push(value);
            }
        }
        let filters: &[&str] = match kind {
            "servers" => &["name", "label_selector", "status", "sort"],
            "ssh_keys" => &["name", "label_selector", "fingerprint", "sort"],
            _ => &["name", "label_selector", "sort"],
        };
        self.page(call, kind, found, filters)
    }

    /// Answers one page; `filters` are the parameters that the list knows.
    pub(super) fn page(&self, call: &Call, kind: &str, found: Vec<Value>, filters: &[&str]) -> Outcome {
        let (mut page, mut size) = (1_usize, 25_usize);
        for (name, value) in &call.query {
            let number = value.parse::<usize>().ok().filter(|n| *n > 0);
            match &**name {
                "page" => page = number.ok_or_else(|| checks::invalid("page", "is no number"))?,
                "per_page" => {
                    let number = number.filter(|n| *n <= 50);
                    size = number.ok_or_else(|| checks::invalid("per_page", "is 1 to 50"))?;
                }
                name if filters.contains(&name) => {}
                name => return Err(checks::invalid(name, "is not a parameter of this list")),
            }
        }
        let matching = |value: &Value| {
            let plain = filters.iter().filter(|f| !["label_selector", "sort", "id"].contains(f));
            plain.into_iter().all(|f| {
                let wanted: Vec<&str> =
                    call.query.iter().filter(|(n, _)| n == f).map(|(_, v)| v.as_str()).collect();
                wanted.is_empty() || wanted.iter().any(|w| value[*f] == *w)
            })
        };
        let all: Vec<Value> = found.into_iter().filter(matching).collect();
        let (total, endless) = (all.len(), self.settings.endless);
        let last = if endless { usize::MAX } else { total.div_ceil(size).max(1) };
        let entries: Vec<Value> = match endless {
            true => all.into_iter().take(size).collect(),
            false => all.into_iter().skip((page - 1) * size).take(size).collect(),
        };
        let next = (page < last).then_some(page + 1);
        let pagination = json!({ "page": page, "per_page": size, "previous_page": (page > 1).then(|| page - 1),
            "next_page": next, "last_page": last, "total_entries": total });
        Ok(ok(200, json!({ kind: entries, "meta": { "pagination": pagination } })))
    }

    fn update(&mut self, call: &Call, kind: &str, id: u64) -> Outcome {
        let body = checks::body(call, &[], &["name", "labels"])?;
        checks::labels(&body)?;
        let object = self.objects.get_mut(&(kind.into(), id)).ok_or_else(missing)?;
        for field in ["name", "labels"] {
            if let Some(value) = body.get(field) {
                object.value[field] = value.clone();
            }
        }
        Ok(ok(200, json!({ singular(kind): object.value })))
    }

    fn delete(&mut self, kind: &str, id: u64) -> Outcome {
        let object = self.objects.get(&(kind.into(), id)).ok_or_else(missing)?;
        let used = |list: &str| object.value[list].as_array().is_some_and(|l| !l.is_empty());
        if kind == "firewalls" && used("applied_to") {
            return Err(refused(422, "resource_in_use", "firewall still in use", Value::Null));
        }
        self.objects.remove(&(kind.into(), id));
        Ok(ok(204, Value::Null))
    }

    /// Begins an action on something.
    pub(super) fn begin(
        &mut self,
        command: &str,
        on: (&str, u64),
        status_then: Option<&'static str>,
    ) -> Value {
        let id = self.fresh();
        let value = json!({ "id": id, "command": command, "status": "running", "progress": 0,
            "started": "2026-01-01T00:00:00+00:00", "finished": null,
            "resources": [{ "id": on.1, "type": on.0 }], "error": null });
        self.objects.insert(("actions".into(), id), Object { value: value.clone(), hidden: 0, going: None });
        let left = self.settings.polls;
        self.running.insert(id, Running { left, status_then: status_then.map(|status| (on.1, status)) });
        value
    }

    /// Looks an action up, which brings it on.
    fn action(&mut self, id: u64) -> Option<Value> {
        if let Some(running) = self.running.get_mut(&id) {
            running.left = running.left.saturating_sub(1);
            if running.left == 0 {
                let then = self.running.remove(&id).and_then(|r| r.status_then);
                let action = self.objects.get_mut(&("actions".into(), id))?;
                action.value["status"] = json!("success");
                action.value["progress"] = json!(100);
                action.value["finished"] = json!("2026-01-01T00:00:10+00:00");
                if let Some((server, status)) = then
                    && let Some(server) = self.objects.get_mut(&("servers".into(), server))
                {
                    server.value["status"] = json!(status);
                }
            }
        }
        self.objects.get(&("actions".into(), id)).map(|o| o.value.clone())
    }

    fn actions_of(&self, server: u64) -> Vec<Value> {
        let actions = self.objects.iter().filter(|((kind, _), _)| kind == "actions").map(|(_, o)| &o.value);
        actions.filter(|a| a["resources"][0]["id"] == json!(server)).cloned().collect()
    }

    pub(super) fn resources(&self) -> Vec<String> {
        let named = self.objects.iter().filter(|((kind, _), _)| kind != "actions");
        named
            .filter(|(_, o)| o.going.is_none())
            .map(|((kind, _), o)| format!("{kind} {}", o.value["name"].as_str().unwrap_or_default()))
            .collect()
    }

    /// Returns the one of a catalogue with that ID or name.
    pub(super) fn chosen(list: &[Value], wanted: &Value) -> Option<Value> {
        let text = wanted.as_str().map(str::to_owned).or_else(|| wanted.as_u64().map(|n| n.to_string()))?;
        let number = text.parse::<u64>().ok();
        list.iter().find(|v| v["name"] == text.as_str() || number.is_some_and(|n| v["id"] == n)).cloned()
    }
}

pub(super) fn missing() -> Answer {
    refused(404, "not_found", "not found", Value::Null)
}

fn plural(kind: &str) -> bool {
    KINDS.iter().any(|(k, _)| *k == kind)
}

fn singular(kind: &str) -> &'static str {
    KINDS.iter().find(|(k, _)| *k == kind).map_or("", |(_, one)| one)
}

/// The labels that a body has.
pub(super) fn labels_of(body: &Map<String, Value>) -> Value {
    body.get("labels").cloned().unwrap_or_else(|| json!({}))
}
