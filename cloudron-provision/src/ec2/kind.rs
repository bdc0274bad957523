//! The kinds of resources that belong to a machine.

/// A kind of resource. The order is that in which they are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Instance,
    ElasticIp,
    SecurityGroup,
    InternetGateway,
    Subnet,
    Vpc,
    KeyPair,
    InstanceProfile,
    Role,
}

/// The kinds with their names in tags and the prefixes of their IDs.
const KINDS: [(Kind, &str, &str); 9] = [
    (Kind::Instance, "instance", "i-"),
    (Kind::ElasticIp, "elastic-ip", "eipalloc-"),
    (Kind::SecurityGroup, "security-group", "sg-"),
    (Kind::InternetGateway, "internet-gateway", "igw-"),
    (Kind::Subnet, "subnet", "subnet-"),
    (Kind::Vpc, "vpc", "vpc-"),
    (Kind::KeyPair, "key-pair", "key-"),
    // These have names only.
    (Kind::InstanceProfile, "instance-profile", "instance-profile/"),
    (Kind::Role, "role", "role/"),
];

impl Kind {
    /// Returns the kind of an ID. What goes with its instance, such as a volume, is none of them.
    pub(super) fn of(id: &str) -> Option<Self> {
        let fits = |prefix: &str| {
            let (most, more): (usize, &[u8]) =
                if prefix.ends_with('/') { (64, b"+=,.@_-") } else { (40, b"") };
            id.strip_prefix(prefix).is_some_and(|rest| {
                (1..=most).contains(&rest.len())
                    && rest.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
            })
        };
        KINDS.iter().find(|(.., prefix)| fits(prefix)).map(|(kind, ..)| *kind)
    }

    /// Returns the ID of something that has a name only.
    pub(super) fn id(self, name: &str) -> String {
        format!("{}{name}", KINDS[self as usize].2)
    }

    /// Returns the kind of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        KINDS.iter().find(|(_, known, _)| *known == name).map(|(kind, ..)| *kind)
    }

    /// Returns the name, as AWS writes it in tags.
    pub(super) fn name(self) -> &'static str {
        KINDS[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_known_by_the_id_and_named_as_aws_names_it() {
        for (kind, name, prefix) in KINDS {
            assert_eq!(Kind::of(&format!("{prefix}0a1b")), Some(kind));
            assert_eq!((Kind::named(name), kind.name()), (Some(kind), name));
        }
        for other in ["vol-1", "eni-1", "i-", "", "i-../x", "vpc-cidr-assoc-1", "igw", "role/a/b", "role/"] {
            assert_eq!(Kind::of(other), None, "{other}");
        }
        assert!(KINDS.is_sorted_by_key(|(kind, ..)| *kind));
    }
}
