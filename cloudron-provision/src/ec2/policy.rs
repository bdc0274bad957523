//! The IAM policy that allows a set of actions and no more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Service;
use super::permissions::{Limit, Permission, needed};

/// The tag that limits what may be changed and deleted: its key, and its value; without a value any value will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagLimit<'a> {
    /// The key.
    pub key: &'a str,
    /// The value.
    pub value: Option<&'a str>,
}

/// Returns the policy document for these actions: what changes or deletes is limited to resources with the tag, and tags
/// may be written to what is created.
pub fn document<'a>(actions: impl IntoIterator<Item = (Service, &'a str)>, tag: TagLimit<'_>) -> Value {
    let needed: BTreeSet<Permission> =
        actions.into_iter().flat_map(|(service, action)| needed(service, action)).collect();
    let mut free = BTreeSet::new();
    let mut tagged = BTreeSet::new();
    let mut creating: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for Permission { name, limit } in needed {
        match limit {
            Limit::Nothing => _ = free.insert(name),
            Limit::Tagged => _ = tagged.insert(name),
            Limit::Creating(action) => _ = creating.entry(name).or_default().insert(action),
        }
    }
    let mut statements = Vec::new();
    if !free.is_empty() {
        statements.push(json!({ "Effect": "Allow", "Action": free, "Resource": "*" }));
    }
    for (name, actions) in creating {
        let condition = json!({ "StringEquals": { "ec2:CreateAction": actions } });
        statements
            .push(json!({ "Effect": "Allow", "Action": [name], "Resource": "*", "Condition": condition }));
    }
    if !tagged.is_empty() {
        let (operator, value) = tag.value.map_or(("StringLike", "*"), |value| ("StringEquals", value));
        let condition = json!({ operator: { format!("aws:ResourceTag/{}", tag.key): value } });
        statements
            .push(json!({ "Effect": "Allow", "Action": tagged, "Resource": "*", "Condition": condition }));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deletes_is_limited_to_the_tag_and_each_action_is_there_once() {
        let actions = [
            (Service::Ec2, "DescribeInstances"),
            (Service::Ec2, "RunInstances"),
            (Service::Ec2, "DescribeInstances"),
            (Service::Ec2, "CreateSecurityGroup"),
            (Service::Ec2, "TerminateInstances"),
            (Service::Ec2, "DeleteSecurityGroup"),
            (Service::Sts, "GetCallerIdentity"),
        ];
        let tag = TagLimit { key: "cloudron:fqdn", value: Some("example.com") };
        assert_eq!(
            document(actions, tag),
            json!({
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": ["ec2:CreateSecurityGroup", "ec2:DescribeInstances", "ec2:RunInstances"],
                        "Resource": "*",
                    },
                    {
                        "Effect": "Allow",
                        "Action": ["ec2:CreateTags"],
                        "Resource": "*",
                        "Condition": { "StringEquals": { "ec2:CreateAction": ["CreateSecurityGroup", "RunInstances"] } },
                    },
                    {
                        "Effect": "Allow",
                        "Action": ["ec2:DeleteSecurityGroup", "ec2:TerminateInstances"],
                        "Resource": "*",
                        "Condition": { "StringEquals": { "aws:ResourceTag/cloudron:fqdn": "example.com" } },
                    },
                ],
            })
        );
    }

    #[test]
    fn without_a_value_any_machine_of_ours_may_be_deleted_and_nothing_allows_nothing() {
        let any = TagLimit { key: "cloudron:fqdn", value: None };
        let policy = document([(Service::Ec2, "TerminateInstances")], any);
        let condition = json!({ "StringLike": { "aws:ResourceTag/cloudron:fqdn": "*" } });
        assert_eq!(policy["Statement"][0]["Condition"], condition);
        assert_eq!(document([], any)["Statement"], json!([]));
    }
}
