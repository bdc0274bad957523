//! The IAM permissions that actions need.
//!
//! From <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html>.

use super::Service;

/// A permission, and what it can be limited to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The name, such as `ec2:RunInstances`.
    pub name: String,
    /// The narrowest limit.
    pub limit: Limit,
}

/// The narrowest limit of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Limit {
    /// Nothing: the action lists, or creates.
    Nothing,
    /// Resources with a tag of ours (condition key `aws:ResourceTag/…`).
    Tagged,
    /// Tags of what this action creates (condition key `ec2:CreateAction`).
    Creating(&'static str),
}

/// The actions that create something with tags.
const CREATING: [&str; 10] = [
    "AllocateAddress",
    "CreateInternetGateway",
    "CreateRouteTable",
    "CreateSecurityGroup",
    "CreateSnapshot",
    "CreateSubnet",
    "CreateVolume",
    "CreateVpc",
    "ImportKeyPair",
    "RunInstances",
];

/// The actions that act only on what we made.
const ON_OURS: [&str; 20] = [
    "AssociateAddress",
    "AttachInternetGateway",
    "AuthorizeSecurityGroupIngress",
    "CreateTags",
    "DeleteInternetGateway",
    "DeleteKeyPair",
    "DeleteSecurityGroup",
    "DeleteSnapshot",
    "DeleteSubnet",
    "DeleteVpc",
    "DetachInternetGateway",
    "DisassociateAddress",
    "GetConsoleOutput",
    "ModifyInstanceAttribute",
    "ModifyInstanceMetadataOptions",
    "ModifyVpcAttribute",
    "ReleaseAddress",
    "StartInstances",
    "StopInstances",
    "TerminateInstances",
];

/// Returns the permissions that an action needs; none for who asks who it is.
pub fn needed(service: Service, action: &str) -> Vec<Permission> {
    if service == Service::Sts && action == "GetCallerIdentity" {
        return Vec::new();
    }
    let limit =
        if service == Service::Ec2 && ON_OURS.contains(&action) { Limit::Tagged } else { Limit::Nothing };
    let mut needed = vec![Permission { name: format!("{}:{action}", service.name()), limit }];
    let creating = CREATING.iter().find(|name| service == Service::Ec2 && **name == action);
    if let Some(name) = creating {
        needed.push(Permission { name: "ec2:CreateTags".into(), limit: Limit::Creating(name) });
    }
    needed
}

/// Returns the names of the permissions that an action needs.
pub fn of(service: Service, action: &str) -> Vec<String> {
    needed(service, action).into_iter().map(|permission| permission.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_creates_with_tags_needs_to_tag_and_what_deletes_is_limited_to_ours() {
        let run = needed(Service::Ec2, "RunInstances");
        assert_eq!(run[0], Permission { name: "ec2:RunInstances".into(), limit: Limit::Nothing });
        assert_eq!(
            run[1],
            Permission { name: "ec2:CreateTags".into(), limit: Limit::Creating("RunInstances") }
        );
        let terminate = needed(Service::Ec2, "TerminateInstances");
        assert_eq!(terminate, [Permission { name: "ec2:TerminateInstances".into(), limit: Limit::Tagged }]);
        assert_eq!(of(Service::Ec2, "DescribeImages"), ["ec2:DescribeImages"]);
        assert_eq!(of(Service::Ssm, "GetParameter"), ["ssm:GetParameter"]);
        assert_eq!(of(Service::Sts, "GetCallerIdentity"), [""; 0]);
    }
}
