//! Behaviour of EC2 that moto lacks.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::hiding::Hiding;
use super::http::{Request, Response, forward};
use super::xml;
use crate::clouds::{Boot, Hypervisor};

/// The rules, and what they have to remember.
#[derive(Default)]
pub(super) struct Rules {
    /// What is not visible.
    pub(super) hiding: Hiding,
    /// Runs a machine for each instance.
    pub(super) hypervisor: Option<Box<dyn Hypervisor>>,
    /// Actions that are refused, but for trials.
    pub(super) refused: BTreeMap<String, (u16, &'static str)>,
    /// The code that trials are refused with.
    pub(super) trials: Option<&'static str>,
    /// True if no credentials are accepted.
    pub(super) revoked: bool,
    /// True if lists have no end.
    pub(super) endless: bool,
    /// How many pages there were.
    pages: u64,
    /// How public access is blocked; empty is `off`.
    pub(super) block: &'static str,
    /// The names of the key pairs: moto deletes them by name only.
    keys: BTreeMap<String, String>,
    /// The public keys by the name of their pair.
    public_keys: BTreeMap<String, String>,
    /// The addresses of the machines.
    booted: BTreeMap<String, Ipv4Addr>,
    /// How many looks an instance takes to end.
    pub(super) slow_end: u32,
    /// How often EC2 will not know the profile of an instance.
    pub(super) unknown_profile: u32,
    /// Zones without capacity, and the code that says so.
    pub(super) full: BTreeMap<String, &'static str>,
    /// The instances.
    instances: BTreeMap<String, Instance>,
    /// The requests that started instances, by their token.
    started: BTreeMap<String, Started>,
}

struct Instance {
    groups: Vec<String>,
    subnet: String,
    ending: Ending,
}

enum Ending {
    /// It runs.
    Not,
    /// It takes so many looks.
    Slowly(u32),
    Done,
}

struct Started {
    parameters: Vec<(String, String)>,
    answer: Response,
    instance: String,
}

impl Rules {
    pub(super) fn apply(&mut self, behind: &str, request: &Request) -> Response {
        let action = request.parameter("Action").unwrap_or_default();
        if self.revoked {
            return xml::refusal(401, "AuthFailure");
        }
        let trial = request.parameter("DryRun") == Some("true");
        if let Some(code) = self.trials.filter(|_| trial) {
            return xml::refusal(400, code);
        }
        if let Some((status, code)) = self.refused.get(action).filter(|_| !trial) {
            return xml::refusal(*status, code);
        }
        if let Some(refused) = self.hiding.not_visible(request) {
            return refused;
        }
        let answer = match action {
            "RunInstances" => self.run(behind, request),
            "TerminateInstances" => self.terminate(behind, request),
            "DescribeInstances" => self.instances(behind, request),
            "DeleteKeyPair" => self.delete_key(behind, request),
            "DescribeVpcBlockPublicAccessOptions" => {
                let mode = if self.block.is_empty() { "off" } else { self.block };
                let mode = format!("<internetGatewayBlockMode>{mode}</internetGatewayBlockMode>");
                let options = format!("<vpcBlockPublicAccessOptions>{mode}</vpcBlockPublicAccessOptions>");
                xml::success(action, &options)
            }
            "DeleteSecurityGroup" | "DeleteSubnet" | "DeleteVpc" | "DetachInternetGateway"
                if self.holds(request) =>
            {
                xml::refusal(400, "DependencyViolation")
            }
            _ => forward(behind, request),
        };
        if answer.status != 200 {
            return answer;
        }
        self.hiding.see(request, &answer);
        if let (Some(id), Some(name)) =
            (xml::content(&answer.body, "keyPairId"), request.parameter("KeyName"))
        {
            self.keys.insert(id.to_owned(), name.to_owned());
            let material = request.decoded("PublicKeyMaterial");
            self.public_keys.extend(material.map(|key| (name.to_owned(), key)));
        }
        let answer = self.hiding.without_hidden(action, answer);
        let answer = self.with_addresses(answer);
        if self.endless && action.starts_with("Describe") {
            let token = format!("<nextToken>{}</nextToken></{action}Response>", self.pages);
            self.pages += 1;
            let body = answer.body.replace(&format!("</{action}Response>"), &token);
            return Response { body, ..answer };
        }
        answer
    }

    /// Writes the addresses of the machines in place of moto's.
    fn with_addresses(&self, answer: Response) -> Response {
        if self.hypervisor.is_none() {
            return answer;
        }
        // The ID of an instance comes before its address.
        let known =
            |before: &str| xml::last(before, "instanceId").and_then(|id| self.booted.get(id)).copied();
        let body = xml::replaced(&answer.body, "ipAddress", known);
        let body = xml::replaced(&body, "publicIp", |_| Some(Ipv4Addr::LOCALHOST));
        Response { body, ..answer }
    }

    fn run(&mut self, behind: &str, request: &Request) -> Response {
        let trial = request.parameter("DryRun") == Some("true");
        let token = request.parameter("ClientToken").unwrap_or_default().to_owned();
        let parameters: Vec<_> =
            request.parameters.iter().filter(|(name, _)| name != "DryRun").cloned().collect();
        match self.started.get(&token) {
            Some(before) if before.parameters == parameters => return before.answer.clone(),
            Some(_) => return xml::refusal(400, "IdempotentParameterMismatch"),
            None => {}
        }
        let subnet = request.parameter("NetworkInterface.1.SubnetId").unwrap_or_default().to_owned();
        if let Some(code) = self.full_zone(behind, request, &subnet).filter(|_| !trial) {
            return xml::refusal(if code == "Unsupported" { 400 } else { 500 }, code);
        }
        if !trial && request.parameter("IamInstanceProfile.Name").is_some() && self.unknown_profile > 0 {
            self.unknown_profile -= 1;
            let refused = xml::refusal(400, "InvalidParameterValue");
            let why = "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name";
            return Response { body: refused.body.replace("by the gate", why), ..refused };
        }
        let answer = forward(behind, request);
        if answer.status != 200 {
            return answer;
        }
        let id = xml::content(&answer.body, "instanceId").expect("an instance was started").to_owned();
        let protected = request.parameter("DisableApiTermination");
        if let Some(value) = protected {
            let value = ("DisableApiTermination.Value".to_owned(), value.to_owned());
            let attribute =
                request.with(call("ModifyInstanceAttribute", [("InstanceId".into(), id.clone()), value]));
            assert_eq!(forward(behind, &attribute).status, 200, "the instance is protected");
        }
        let of_group = |name: &str| name.starts_with("NetworkInterface.1.SecurityGroupId.");
        let groups =
            request.parameters.iter().filter(|(name, _)| of_group(name)).map(|(_, id)| id.clone()).collect();
        self.boot(&id, request);
        self.instances.insert(id.clone(), Instance { groups, subnet, ending: Ending::Not });
        self.started.insert(token, Started { parameters, answer: answer.clone(), instance: id });
        answer
    }

    /// Deletes a key pair by its ID; one that does not exist is no error.
    fn delete_key(&mut self, behind: &str, request: &Request) -> Response {
        let name = request.parameter("KeyPairId").and_then(|id| self.keys.get(id)).cloned();
        let Some(name) = name else { return forward(behind, request) };
        forward(behind, &request.with(call("DeleteKeyPair", [("KeyName".into(), name)])))
    }

    /// Boots the machine of an instance.
    fn boot(&mut self, id: &str, request: &Request) {
        let Some(hypervisor) = &self.hypervisor else { return };
        let user_data = request.decoded("UserData").unwrap_or_default();
        let name = request.parameters.iter().position(|(_, value)| value == "Name");
        let name = name.and_then(|at| request.parameters.get(at + 1)).map(|(_, value)| value.clone());
        // A pair that was made behind the gate is known by its name only.
        let key = request.parameter("KeyName");
        let key = key.map(|name| self.public_keys.get(name).cloned().unwrap_or_else(|| name.to_owned()));
        let address = hypervisor.boot(&Boot {
            id: id.to_owned(),
            name: name.unwrap_or_default(),
            user_data,
            ssh_keys: key.into_iter().collect(),
        });
        self.booted.insert(id.to_owned(), address);
    }

    /// The code that says that the zone of a subnet is full.
    fn full_zone(&self, behind: &str, request: &Request, subnet: &str) -> Option<&'static str> {
        if self.full.is_empty() {
            return None;
        }
        let list = request.with(call("DescribeSubnets", [("SubnetId.1".into(), subnet.to_owned())]));
        self.full.get(xml::content(&forward(behind, &list).body, "availabilityZone")?).copied()
    }

    fn terminate(&mut self, behind: &str, request: &Request) -> Response {
        let id = request.parameter("InstanceId.1").unwrap_or_default().to_owned();
        let slow = self.slow_end;
        let Some(instance) = self.instances.get_mut(&id) else { return forward(behind, request) };
        let change = |state: &str| {
            let state = format!("<currentState><name>{state}</name></currentState>");
            let item = format!("<item><instanceId>{id}</instanceId>{state}</item>");
            xml::success("TerminateInstances", &format!("<instancesSet>{item}</instancesSet>"))
        };
        match instance.ending {
            Ending::Not => {
                let answer = forward(behind, request);
                if answer.status == 200 {
                    if let Some(hypervisor) = &self.hypervisor {
                        hypervisor.destroy(&id);
                    }
                    instance.ending = if slow == 0 { Ending::Done } else { Ending::Slowly(slow) };
                }
                answer
            }
            Ending::Slowly(_) => change("shutting-down"),
            Ending::Done => change("terminated"),
        }
    }

    /// Lists instances, also by their token, and those that end slowly as such.
    fn instances(&mut self, behind: &str, request: &Request) -> Response {
        let by_token = request.parameters.iter().find(|(_, value)| value == "client-token");
        let mut parameters = request.parameters.clone();
        if let Some(filter) = by_token.and_then(|(name, _)| name.strip_suffix(".Name")) {
            let token = request.parameter(&format!("{filter}.Value.1")).unwrap_or_default();
            let Some(started) = self.started.get(token) else {
                return xml::success("DescribeInstances", "<reservationSet/>");
            };
            let gone = format!("{filter}.");
            parameters.retain(|(name, _)| !name.starts_with(&gone));
            parameters.push((format!("{filter}.Name"), "instance-id".into()));
            parameters.push((format!("{filter}.Value.1"), started.instance.clone()));
        }
        // For moto they have ended already.
        let states =
            parameters.iter().find(|(_, value)| value == "shutting-down").map(|(name, _)| name.clone());
        let ended = parameters.iter().any(|(_, value)| value == "terminated");
        if let (Some(name), false) = (&states, ended) {
            let filter = name.split(".Value").next().unwrap_or_default();
            let number =
                parameters.iter().filter(|(known, _)| known.starts_with(&format!("{filter}.Value"))).count()
                    + 1;
            parameters.push((format!("{filter}.Value.{number}"), "terminated".into()));
        }
        let answer = forward(behind, &request.with(parameters));
        let body = xml::each_item(&answer.body, |item| {
            let known = self.instances.iter_mut().find(|(id, _)| xml::has(item, "instanceId", id));
            if known.is_some_and(|(_, instance)| instance.is_ending()) {
                return Some(item.replace("<name>terminated</name>", "<name>shutting-down</name>"));
            }
            let over = states.is_some() && !ended && xml::has(item, "name", "terminated");
            (!over).then(|| item.to_owned())
        });
        Response { body, ..answer }
    }

    /// Returns true if an instance holds the resource that the request deletes.
    fn holds(&mut self, request: &Request) -> bool {
        let named = |id: &String| request.parameters.iter().any(|(_, value)| value == id);
        let network =
            ["DeleteVpc", "DetachInternetGateway"].contains(&request.parameter("Action").unwrap_or_default());
        let mut held = false;
        for instance in self.instances.values_mut() {
            if network || instance.groups.iter().any(named) || named(&instance.subnet) {
                held |= instance.is_ending() || matches!(instance.ending, Ending::Not);
            }
        }
        held
    }
}

impl Instance {
    /// Returns true if it is still terminating. Each look brings the end nearer.
    fn is_ending(&mut self) -> bool {
        match self.ending {
            Ending::Slowly(1) => self.ending = Ending::Done,
            Ending::Slowly(left) => self.ending = Ending::Slowly(left - 1),
            Ending::Not | Ending::Done => return false,
        }
        true
    }
}

/// The parameters of a call of our own.
fn call<const N: usize>(action: &str, parameters: [(String, String); N]) -> Vec<(String, String)> {
    let head = [("Action".to_owned(), action.to_owned()), ("Version".to_owned(), "2016-11-15".to_owned())];
    head.into_iter().chain(parameters).collect()
}
