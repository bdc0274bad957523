//! What is not visible: new things for some looks, and the tags of what was deleted.

use std::collections::{BTreeMap, BTreeSet};

use super::http::{Request, Response};
use super::xml;

/// The kinds of resources: the creating action, the element with the ID, the listing action, and the code if it does not exist.
const KINDS: [(&str, &str, &str, &str); 7] = [
    ("RunInstances", "instanceId", "DescribeInstances", "InvalidInstanceID.NotFound"),
    ("CreateSecurityGroup", "groupId", "DescribeSecurityGroups", "InvalidGroup.NotFound"),
    ("CreateVpc", "vpcId", "DescribeVpcs", "InvalidVpcID.NotFound"),
    ("CreateSubnet", "subnetId", "DescribeSubnets", "InvalidSubnetID.NotFound"),
    (
        "CreateInternetGateway",
        "internetGatewayId",
        "DescribeInternetGateways",
        "InvalidInternetGatewayID.NotFound",
    ),
    ("AllocateAddress", "allocationId", "DescribeAddresses", "InvalidAllocationID.NotFound"),
    ("ImportKeyPair", "keyPairId", "DescribeKeyPairs", "InvalidKeyPair.NotFound"),
];

/// The prefixes of their IDs.
const PREFIXES: [&str; 7] = ["i-", "sg-", "vpc-", "subnet-", "igw-", "eipalloc-", "key-"];

/// The actions that delete, and the parameter with the ID.
const DELETING: [(&str, &str); 6] = [
    ("DeleteSecurityGroup", "GroupId"),
    ("DeleteVpc", "VpcId"),
    ("DeleteSubnet", "SubnetId"),
    ("DeleteInternetGateway", "InternetGatewayId"),
    ("ReleaseAddress", "AllocationId"),
    ("DeleteKeyPair", "KeyPairId"),
];

/// What is hidden.
#[derive(Default)]
pub(super) struct Hiding {
    /// For how many looks something new is hidden.
    looks: u32,
    /// The hidden IDs, and the number of look-ups for which each stays hidden.
    hidden: BTreeMap<String, u32>,
    /// What was deleted: moto keeps its tags.
    deleted: BTreeSet<String>,
}

impl Hiding {
    /// Hides what is made from now on for so many looks; with 0, nothing is hidden any more.
    pub(super) fn hide_new(&mut self, looks: u32) {
        self.looks = looks;
        if looks == 0 {
            self.hidden.clear();
        }
    }

    /// Takes note of what a request made or deleted.
    pub(super) fn see(&mut self, request: &Request, answer: &Response) {
        let action = request.parameter("Action").unwrap_or_default();
        if let Some((_, element, ..)) = KINDS.iter().find(|(creates, ..)| *creates == action)
            && let Some(id) = xml::content(&answer.body, element)
            && self.looks > 0
        {
            self.hidden.entry(id.to_owned()).or_insert(self.looks);
        }
        if let Some((_, name)) = DELETING.iter().find(|(deletes, _)| *deletes == action) {
            self.deleted.extend(request.parameter(name).map(str::to_owned));
        }
    }

    /// Refuses a request that names what is hidden, as if it did not exist.
    pub(super) fn not_visible(&mut self, request: &Request) -> Option<Response> {
        let named = request.parameters.iter().filter(|(name, _)| !name.starts_with("Filter."));
        let id = named.map(|(_, value)| value).find(|value| self.hidden.contains_key(*value))?.clone();
        self.looked_at(&id);
        let kind = PREFIXES.iter().position(|prefix| id.starts_with(prefix)).expect("only these are hidden");
        Some(xml::refusal(400, KINDS[kind].3))
    }

    /// Takes what is hidden out of a list.
    pub(super) fn without_hidden(&mut self, action: &str, answer: Response) -> Response {
        let of_tags = action == "DescribeTags";
        let element = match KINDS.iter().find(|(_, _, lists, _)| *lists == action) {
            Some((_, element, ..)) => element,
            None if of_tags => "resourceId",
            None => return answer,
        };
        let mut hidden: Vec<String> = self.hidden.keys().cloned().collect();
        if of_tags {
            hidden.extend(self.deleted.iter().cloned());
        }
        let body = xml::each_item(&answer.body, |item| {
            let there = hidden.iter().find(|id| xml::has(item, element, id));
            there.inspect(|id| self.looked_at(id)).is_none().then(|| item.to_owned())
        });
        Response { body, ..answer }
    }

    fn looked_at(&mut self, id: &str) {
        let left = self.hidden.get_mut(id).map(|left| {
            *left -= 1;
            *left
        });
        if left == Some(0) {
            self.hidden.remove(id);
        }
    }
}
