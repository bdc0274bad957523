//! The state, and the parts common to all kinds: the calls, lists in pages, actions.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use super::super::Hypervisor;
use super::reserved::Reserved;
use super::{Answer, Call, Settings, catalog, ok, refused, unprocessable};

pub(super) struct Droplet {
    pub(super) value: Value,
    /// How many lists by a tag do not show it yet.
    pub(super) hidden: u32,
    /// How many look-ups by its ID do not find it yet.
    pub(super) late: u32,
    /// How often it is shown without its tags yet.
    pub(super) untagged: u32,
    /// How many look-ups still find it, when it was deleted.
    pub(super) going: Option<u32>,
}

pub(super) struct Action {
    pub(super) value: Value,
    left: u32,
    late: u32,
    then: Then,
}

/// What an action leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Active,
    Off,
    Nothing,
    Failed,
}

pub(super) struct State {
    pub(super) token: String,
    pub(super) settings: Settings,
    pub(super) droplets: BTreeMap<u64, Droplet>,
    /// The networks that droplets get when they are made.
    pub(super) addresses: BTreeMap<u64, Value>,
    pub(super) actions: BTreeMap<u64, Action>,
    pub(super) tags: BTreeSet<String>,
    pub(super) keys: BTreeMap<u64, Value>,
    pub(super) firewalls: BTreeMap<String, Value>,
    pub(super) reserved: BTreeMap<Ipv4Addr, Reserved>,
    pub(super) domains: BTreeMap<String, Vec<Map<String, Value>>>,
    pub(super) user_data: Vec<String>,
    pub(super) hypervisor: Box<dyn Hypervisor>,
    next: u64,
    calls: u64,
}

/// The answer; an error becomes the answer too.
pub(super) type Outcome = Result<Answer, Answer>;

impl State {
    pub(super) fn new(token: &str, hypervisor: Box<dyn Hypervisor>) -> Self {
        Self {
            token: token.into(),
            settings: Settings::default(),
            droplets: BTreeMap::new(),
            addresses: BTreeMap::new(),
            actions: BTreeMap::new(),
            tags: BTreeSet::new(),
            keys: BTreeMap::new(),
            firewalls: BTreeMap::new(),
            reserved: BTreeMap::new(),
            domains: BTreeMap::new(),
            user_data: Vec::new(),
            hypervisor,
            next: 1000,
            calls: 0,
        }
    }

    pub(super) fn handle(&mut self, call: &Call) -> Answer {
        self.calls += 1;
        let mut answer = self.route(call).unwrap_or_else(|refused| refused);
        let left = 5000_u64.saturating_sub(self.calls);
        for (name, value) in
            [("ratelimit-limit", 5000), ("ratelimit-remaining", left), ("ratelimit-reset", 1)]
        {
            answer.headers.push((name, value.to_string()));
        }
        answer
    }

    fn route(&mut self, call: &Call) -> Outcome {
        if call.credential != format!("Bearer {}", self.token) {
            return Err(refused(401, "Unauthorized", "Unable to authenticate you"));
        }
        if self.settings.read_only && call.method != "GET" {
            let message = "You are missing the required permission to perform this operation";
            return Err(refused(403, "Forbidden", message));
        }
        let path = call.path.strip_prefix("/v2/").unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        let number = |text: &str| text.parse::<u64>().map_err(|_| missing());
        let full = self.settings.full.clone();
        match (&*call.method, &segments[..]) {
            ("GET", ["account"]) => Ok(ok(200, self.account())),
            ("GET", ["sizes"]) => self.page(call, "sizes", catalog::sizes(&full), &[]),
            ("GET", ["regions"]) => self.page(call, "regions", catalog::regions(&full), &[]),
            ("GET", ["images"]) => self.page(call, "images", catalog::images(), &["type", "private"]),
            ("GET", ["images", id]) => {
                let wanted = id.parse::<u64>().map_or_else(|_| json!(id), |id| json!(id));
                let image = catalog::chosen(&catalog::images(), &wanted).ok_or_else(missing)?;
                Ok(ok(200, json!({ "image": image })))
            }
            ("GET", ["account", "keys"]) => self.page(call, "ssh_keys", self.objects("keys"), &[]),
            ("POST", ["account", "keys"]) => self.create_key(call),
            (_, ["account", "keys", id]) => self.one_key(call, &decoded(id)),
            ("GET", ["tags"]) => self.page(call, "tags", self.objects("tags"), &[]),
            ("POST", ["tags"]) => self.create_tag(call),
            (_, ["tags", name]) => self.one_tag(call, &decoded(name)),
            (_, ["tags", name, "resources"]) => self.tagged(call, &decoded(name)),
            ("GET", ["firewalls"]) => self.page(call, "firewalls", self.objects("firewalls"), &[]),
            ("POST", ["firewalls"]) => self.create_firewall(call),
            (_, ["firewalls", id]) => self.one_firewall(call, id),
            (_, ["firewalls", id, what]) => self.part_of_firewall(call, id, what),
            ("GET", ["reserved_ips"]) => self.page(call, "reserved_ips", self.objects("reserved_ips"), &[]),
            ("POST", ["reserved_ips"]) => self.create_reserved(call),
            (_, ["reserved_ips", ip]) => self.one_reserved(call, ip),
            ("POST", ["reserved_ips", ip, "actions"]) => self.act_on_reserved(call, ip),
            ("GET", ["droplets"]) => self.list_droplets(call),
            ("POST", ["droplets"]) => self.create_droplet(call),
            ("DELETE", ["droplets"]) => self.delete_tagged(call),
            (_, ["droplets", id]) => self.one_droplet(call, number(id)?),
            ("POST", ["droplets", id, "actions"]) => self.act_on_droplet(call, number(id)?),
            ("GET", ["droplets", id, "actions"]) => {
                let id = number(id)?;
                self.look(id).ok_or_else(missing)?;
                let of = |action: &&Action| action.value["resource_id"] == json!(id);
                let found = self.actions.values().filter(of).map(|a| a.value.clone()).collect();
                self.page(call, "actions", found, &[])
            }
            ("GET", ["actions", id]) => self.one_action(number(id)?),
            (_, ["domains", ..]) => self.domain_call(call, &segments[1..]),
            _ => Err(missing()),
        }
    }

    fn account(&self) -> Value {
        json!({ "account": { "droplet_limit": self.settings.quota, "floating_ip_limit": 3, "email": "me@example.com",
            "name": "Me", "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef", "email_verified": true,
            "status": "active", "status_message": "" } })
    }

    pub(super) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Begins an action on a droplet and returns its ID.
    pub(super) fn begin(&mut self, kind: &str, droplet: u64, then: Then) -> u64 {
        let id = self.fresh();
        let value = json!({ "id": id, "status": "in-progress", "type": kind, "started_at": "2026-01-01T00:00:00Z",
            "completed_at": null, "resource_id": droplet, "resource_type": "droplet", "region_slug": "fra1" });
        let late = if kind == "create" { self.settings.late } else { 0 };
        self.actions.insert(id, Action { value, left: self.settings.polls, late, then });
        id
    }

    fn one_action(&mut self, id: u64) -> Outcome {
        let action = self.actions.get_mut(&id).ok_or_else(missing)?;
        if action.late > 0 {
            action.late -= 1;
            return Err(missing());
        }
        if let Some(droplet) = action.value["resource_id"].as_u64() {
            self.advance(droplet);
        }
        Ok(ok(200, json!({ "action": self.actions[&id].value })))
    }

    /// Brings the action of a droplet on.
    pub(super) fn advance(&mut self, droplet: u64) {
        let of = |a: &Value| a["resource_id"] == json!(droplet) && a["status"] == "in-progress";
        let Some(action) = self.actions.values_mut().find(|action| of(&action.value)) else { return };
        action.left = action.left.saturating_sub(1);
        if action.left == 0 {
            let then = action.then;
            action.value["status"] = json!(if then == Then::Failed { "errored" } else { "completed" });
            action.value["completed_at"] = json!("2026-01-01T00:00:10Z");
            self.finish(droplet, then);
        }
    }

    /// Answers one page; `filters` are the parameters that the list knows.
    pub(super) fn page(&self, call: &Call, kind: &str, found: Vec<Value>, filters: &[&str]) -> Outcome {
        let (mut page, mut size) = (1_usize, 20_usize);
        for (name, value) in &call.query {
            let number = value.parse::<usize>().ok().filter(|n| *n > 0);
            match &**name {
                "page" => page = number.ok_or_else(|| unprocessable("page is no number"))?,
                "per_page" => {
                    let number = number.filter(|n| *n <= 200);
                    size = number.ok_or_else(|| unprocessable("per_page must be at most 200"))?;
                }
                name if filters.contains(&name) => {}
                name => return Err(unprocessable(&format!("{name} is not a parameter of this list"))),
            }
        }
        let (total, endless) = (found.len(), self.settings.endless);
        let skipped = if endless { 0 } else { (page - 1) * size };
        let entries: Vec<Value> = found.into_iter().skip(skipped).take(size).collect();
        let to =
            |page: usize| format!("https://api.digitalocean.com{}?page={page}&per_page={size}", call.path);
        let mut pages = json!({});
        if page > 1 {
            pages["first"] = json!(to(1));
            pages["prev"] = json!(to(page - 1));
        }
        if endless || page * size < total {
            pages["next"] = json!(to(page + 1));
            pages["last"] = json!(to(total.div_ceil(size)));
        }
        // Without another page there are no links.
        let links = if pages == json!({}) { json!({}) } else { json!({ "pages": pages }) };
        Ok(ok(200, json!({ kind: entries, "links": links, "meta": { "total": total } })))
    }

    pub(super) fn objects(&self, kind: &str) -> Vec<Value> {
        match kind {
            "droplets" => self.droplets.values().map(|d| d.value.clone()).collect(),
            "actions" => self.actions.values().map(|a| a.value.clone()).collect(),
            "keys" => self.keys.values().cloned().collect(),
            "firewalls" => self.firewalls.values().cloned().collect(),
            "tags" => self.tags.iter().map(|name| self.tag(name)).collect(),
            "reserved_ips" => self.reserved.keys().map(|ip| self.shown(*ip)).collect(),
            "domains" => self.domains.keys().map(|name| json!({ "name": name, "ttl": 1800 })).collect(),
            "domain_records" => self.domains.values().flatten().map(|r| Value::Object(r.clone())).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn resources(&self) -> Vec<String> {
        let mut all = Vec::new();
        for kind in ["droplets", "keys", "firewalls", "tags", "reserved_ips", "domains"] {
            for value in self.objects(kind) {
                let going = |id: &Value| id.as_u64().and_then(|id| self.droplets.get(&id)?.going).is_some();
                if kind == "droplets" && going(&value["id"]) {
                    continue;
                }
                let name = value["name"].as_str().or(value["ip"].as_str()).unwrap_or_default();
                all.push(format!("{kind} {name}"));
            }
        }
        all
    }
}

pub(super) fn missing() -> Answer {
    refused(404, "not_found", "The resource you requested could not be found.")
}

/// Decodes a segment of a path.
fn decoded(segment: &str) -> String {
    let pair = format!("x={}", segment.replace('+', "%2B"));
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
