//! The calls of a run without failures, and the permissions for them and for removing everything.

use super::Settings;
use crate::cloud::PlannedCall;

/// A call, its purpose, and the permission for it.
type Line = (&'static str, &'static str, &'static str);

/// Writes lines with the permission that has the name of the call.
macro_rules! lines {
    ($($call:literal: $what:literal,)*) => { [$(($call, $what, concat!("ec2:", $call)),)*] };
}

const TYPE: [Line; 2] = lines! {
    "DescribeInstanceTypes": "the type exists; its architecture",
    "DescribeInstanceTypeOfferings": "the zones that offer it",
};
const PARAMETER: [Line; 1] = [("GetParameter", "the newest image, from Systems Manager", "ssm:GetParameter")];
const PLACES: [Line; 2] = lines! {
    "DescribeImages": "the image fits the type",
    "DescribeSubnets": "the subnets, and with them the network",
};
const GROUP_GIVEN: [Line; 1] =
    lines! { "DescribeSecurityGroups": "the group belongs to the subnet's network", };
const KEY_GIVEN: [Line; 1] = lines! { "DescribeKeyPairs": "the key pair exists", };
/// Writes lines of the service of roles.
macro_rules! of_iam {
    ($($call:literal: $what:literal,)*) => { [$(($call, $what, concat!("iam:", $call)),)*] };
}

const PROFILE_GIVEN: [Line; 1] = of_iam! { "GetInstanceProfile": "the profile exists, and has a role", };
const ROLE_FREE: [Line; 1] = of_iam! { "GetRole": "the name of the role is free", };
const ROLE: [Line; 4] = of_iam! {
    "CreateRole": "the role for the server's bucket, whose name is unique in the account",
    "PutRolePolicy": "what the server may do in the bucket",
    "CreateInstanceProfile": "the profile that gives it to the instance",
    "AddRoleToInstanceProfile": "puts the role into it",
};
const BLOCK: [Line; 1] = lines! {
    "DescribeVpcBlockPublicAccessOptions": "the account does not block the internet",
};
const TRIAL: [Line; 1] = lines! { "RunInstances": "a trial, which starts nothing", };
const KEY: [Line; 1] = lines! { "DescribeKeyPairs": "whether the region has the key", };
const IMPORT: [Line; 1] = lines! { "ImportKeyPair": "only if it does not", };
const NETWORK: [Line; 7] = lines! {
    "DescribeVpcs": "whether another run made a network",
    "CreateVpc": "the network",
    "CreateSubnet": "its subnet",
    "CreateInternetGateway": "its way to the internet",
    "AttachInternetGateway": "connects both",
    "DescribeRouteTables": "the network's table",
    "CreateRoute": "the route of IPv4, and one of IPv6",
};
const GROUP: [Line; 2] = lines! {
    "CreateSecurityGroup": "the group, whose name is unique in the network",
    "AuthorizeSecurityGroupIngress": "what it lets in",
};
const ADDRESS: [Line; 1] = lines! { "AllocateAddress": "the address", };
const LOOK: [Line; 1] = lines! { "DescribeInstances": "whether another run works on this machine", };
const RUN: [Line; 1] = lines! {
    "RunInstances": "the instance, with key, group, marks and user-data",
};
const POLL: [Line; 1] = lines! { "DescribeInstances": "until the instance runs", };
const ASSOCIATE: [Line; 1] = lines! { "AssociateAddress": "gives the address to the instance", };
const TAGS: [Line; 2] = lines! {
    "CreateTags": "the mark of the new host key, before it is used",
    "CreateTags": "empties the mark of the one-time host key",
};

/// The permissions for removing everything, and for finding it.
const REMOVING: [&str; 5] = [
    "ec2:DescribeTags",
    "ec2:DescribeInstances",
    "ec2:ModifyInstanceAttribute",
    "ec2:TerminateInstances",
    "ec2:DescribeNetworkInterfaces",
];
const REMOVING_NETWORK: [&str; 5] = [
    "ec2:DescribeInternetGateways",
    "ec2:DetachInternetGateway",
    "ec2:DeleteInternetGateway",
    "ec2:DeleteSubnet",
    "ec2:DeleteVpc",
];

/// The permissions for making, finding and removing a role with its profile, but for passing it on.
pub(super) const OF_ROLES: [&str; 12] = [
    "iam:AddRoleToInstanceProfile",
    "iam:CreateInstanceProfile",
    "iam:CreateRole",
    "iam:DeleteInstanceProfile",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:GetInstanceProfile",
    "iam:GetRole",
    "iam:PutRolePolicy",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:TagInstanceProfile",
    "iam:TagRole",
];

/// Returns the lines in their order, each with whether it is a poll.
fn lines(settings: &Settings, own: bool) -> Vec<(Line, bool)> {
    let parameter = settings.image.as_deref().is_none_or(|image| image.starts_with('/'));
    let (given, named) = (settings.subnet.is_some(), settings.key_name.is_some());
    let parts: [(&[Line], bool, bool); 20] = [
        (&TYPE, true, false),
        (&PARAMETER, parameter, false),
        (&PLACES, true, false),
        (&GROUP_GIVEN, given, false),
        (&KEY_GIVEN, named, false),
        (&PROFILE_GIVEN, settings.instance_profile.is_some(), false),
        (&ROLE_FREE, settings.server_role.is_some(), false),
        (&BLOCK, true, false),
        (&TRIAL, !own || settings.own_vpc, false),
        (&KEY, true, false),
        (&IMPORT, !named, false),
        (&NETWORK, own, false),
        (&GROUP, !given, false),
        (&ADDRESS, settings.elastic_ip, false),
        (&ROLE, settings.server_role.is_some(), false),
        (&LOOK, given, false),
        (&RUN, true, false),
        (&POLL, true, true),
        (&ASSOCIATE, settings.elastic_ip, false),
        (&TAGS, true, false),
    ];
    let wanted = parts.into_iter().filter(|(_, wanted, _)| *wanted);
    wanted.flat_map(|(part, _, polled)| part.iter().map(move |line| (*line, polled))).collect()
}

/// Returns the calls of a run.
pub(super) fn calls(settings: &Settings, own: bool) -> Vec<PlannedCall> {
    let call = |((call, what, _), polled): (Line, bool)| PlannedCall { call, what, polled };
    lines(settings, own).into_iter().map(call).collect()
}

/// Returns the permissions for a run, for resuming it anywhere, and for removing everything.
pub(super) fn permissions(settings: &Settings, own: bool) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = lines(settings, own).into_iter().map(|((.., name), _)| name).collect();
    names.extend(REMOVING);
    names.extend(["ec2:DescribeSecurityGroups", "ec2:DescribeVpcs"]);
    if settings.security_group.is_none() {
        names.push("ec2:DeleteSecurityGroup");
    }
    if own {
        names.extend(REMOVING_NETWORK);
    }
    if settings.elastic_ip {
        names.extend(["ec2:DescribeAddresses", "ec2:ReleaseAddress"]);
    }
    if settings.key_name.is_none() {
        names.push("ec2:DeleteKeyPair");
    }
    if settings.instance_profile.is_some() || settings.server_role.is_some() {
        names.push("iam:PassRole");
    }
    if settings.server_role.is_some() {
        names.extend(OF_ROLES);
    }
    names.sort_unstable();
    names.dedup();
    names
}
