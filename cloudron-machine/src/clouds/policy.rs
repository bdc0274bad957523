//! What the credentials of an account must be allowed to do, without asking the cloud.

use std::collections::BTreeSet;
use std::fmt;

use cloudron_core::{Domain, Error, Result, codes};
use serde::Serialize;
use serde_json::{Value, json};

use super::{CloudSettings, Provider};

/// What credentials must be allowed to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Policy {
    /// The permissions by their names at the cloud.
    pub permissions: Vec<String>,
    /// The document to paste into the cloud's console, where the cloud takes one.
    pub document: Option<Value>,
}

/// Writes the document, or else a line for each permission.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.document {
            Some(document) => write!(f, "{document:#}"),
            None => f.write_str(&self.permissions.join("\n")),
        }
    }
}

impl Provider {
    /// Returns what credentials need to make and remove machines with these settings, and no more. Where the cloud can do
    /// so, removal is limited to the machines of the domain, or to those of this program. `bucket` is where the backups are.
    ///
    /// # Errors
    /// `usage` for settings that contradict each other.
    pub fn policy(
        self,
        settings: &CloudSettings,
        domain: Option<&Domain>,
        bucket: Option<&str>,
    ) -> Result<Policy> {
        settings.check()?;
        match self {
            #[cfg(feature = "digitalocean")]
            Self::DigitalOcean => {
                let mut scopes = cloudron_provision::digitalocean::scopes(settings.reserved_ip);
                scopes.extend(DIGITALOCEAN_DNS);
                scopes.sort_unstable();
                Ok(Policy::of(scopes))
            }
            #[cfg(feature = "ec2")]
            Self::Ec2 => Ok(Policy::document(aws(settings, domain, bucket))),
            #[cfg(feature = "hetzner")]
            Self::Hetzner => Ok(Policy::of(cloudron_provision::hetzner::PERMISSIONS.into())),
        }
    }

    /// Returns what a server's own credentials need for its bucket at this cloud, and no more.
    ///
    /// # Errors
    /// `usage` if the cloud has no such policies.
    pub fn server_policy(self, domain: &Domain, bucket: &str) -> Result<Policy> {
        match self {
            #[cfg(feature = "ec2")]
            Self::Ec2 => Ok(Policy::of_server(domain, bucket)),
            #[allow(unreachable_patterns, reason = "there may be no other cloud")]
            _ => {
                let (bucket, cloud) = (format!("s3://{bucket}/{domain}"), self.description());
                let message = format!("{cloud} has no policies for the credentials of {bucket}");
                Err(Error::new(&codes::USAGE, message))
            }
        }
    }
}

/// Returns the bucket and the prefix in an address of the form `s3://BUCKET/PREFIX`.
pub(crate) fn bucket_of(store: &str) -> Option<(&str, &str)> {
    let rest = store.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    Some((bucket, prefix.trim_end_matches('/'))).filter(|(bucket, _)| !bucket.is_empty())
}

/// The scopes for the records of a machine.
#[cfg(feature = "digitalocean")]
const DIGITALOCEAN_DNS: [&str; 4] = ["domain:create", "domain:delete", "domain:read", "domain:update"];

impl Policy {
    /// Returns what a server's own credentials need for its bucket, and no more: they can delete nothing. It is what the
    /// role has that is made for a server.
    #[cfg(feature = "ec2")]
    pub fn of_server(domain: &Domain, bucket: &str) -> Self {
        let (bucket, prefix) = (bucket.to_owned(), domain.to_string());
        Self::document(cloudron_provision::ec2::BucketPlace { bucket, prefix }.server_policy(None))
    }

    #[cfg(any(feature = "digitalocean", feature = "hetzner"))]
    fn of(permissions: Vec<&str>) -> Self {
        Self { permissions: permissions.into_iter().map(str::to_owned).collect(), document: None }
    }

    /// Returns a policy with the actions of the document of IAM.
    #[cfg(feature = "ec2")]
    fn document(document: Value) -> Self {
        let statements = document["Statement"].as_array().into_iter().flatten();
        let actions = statements.flat_map(|statement| match &statement["Action"] {
            Value::Array(actions) => actions.iter().filter_map(Value::as_str).collect(),
            one => Vec::from_iter(one.as_str()),
        });
        let actions: BTreeSet<&str> = actions.collect();
        let permissions = actions.into_iter().map(str::to_owned).collect();
        Self { permissions, document: Some(document) }
    }
}

/// Returns the document for machines, their records at Route 53, and the owner's use of the bucket.
#[cfg(feature = "ec2")]
fn aws(settings: &CloudSettings, domain: Option<&Domain>, bucket: Option<&str>) -> Value {
    use cloudron_provision::ec2::{Settings, policy_for};
    // The policy does not depend on the region, the key or the sizes.
    let mut wanted = Settings::new("", "");
    wanted.image.clone_from(&settings.image);
    wanted.subnet.clone_from(&settings.subnet);
    wanted.security_group.clone_from(&settings.security_group);
    wanted.instance_profile.clone_from(&settings.instance_profile);
    if settings.server_role {
        // Neither is in the permissions.
        let (bucket, prefix) = (String::new(), String::new());
        wanted.server_role = Some(cloudron_provision::ec2::BucketPlace { bucket, prefix });
    }
    (wanted.elastic_ip, wanted.own_vpc) = (settings.reserved_ip, settings.network);
    let mut document = policy_for(&wanted, domain.map(Domain::as_str));
    let mut add = |actions: &[&str], resource: &str| {
        if let Some(statements) = document["Statement"].as_array_mut() {
            statements.push(json!({ "Effect": "Allow", "Action": actions, "Resource": resource }));
        }
    };
    add(&["route53:GetChange", "route53:ListHostedZones", "route53:ListHostedZonesByName"], "*");
    let records =
        ["route53:ChangeResourceRecordSets", "route53:GetHostedZone", "route53:ListResourceRecordSets"];
    add(&records, "arn:aws:route53:::hostedzone/*");
    if let Some(bucket) = bucket {
        let bucket = format!("arn:aws:s3:::{bucket}");
        let place = domain.map_or_else(|| "*".to_owned(), |domain| format!("{domain}/*"));
        let objects = [
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:PutObject",
            "s3:RestoreObject",
        ];
        add(&objects, &format!("{bucket}/{place}"));
        let lists = [
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketVersioning",
            "s3:GetLifecycleConfiguration",
            "s3:ListBucket",
        ];
        add(&lists, &bucket);
    }
    document
}

#[cfg(all(test, feature = "digitalocean", feature = "ec2", feature = "hetzner"))]
mod tests {
    use super::*;

    fn actions(provider: Provider, change: impl Fn(&mut CloudSettings), bucket: Option<&str>) -> Vec<String> {
        let mut settings = CloudSettings::default();
        change(&mut settings);
        provider.policy(&settings, None, bucket).unwrap().permissions
    }

    #[test]
    fn a_policy_has_what_the_settings_need_and_no_more() {
        let of = |change: &dyn Fn(&mut CloudSettings), bucket| actions(Provider::Ec2, change, bucket);
        let has = |actions: &[String], name: &str| actions.iter().any(|action| action == name);
        let plain = of(&|_| {}, None);
        for name in ["ec2:RunInstances", "ec2:TerminateInstances", "ec2:CreateSecurityGroup"] {
            assert!(has(&plain, name), "{name}: {plain:?}");
        }
        for (change, name) in [
            (
                &(|s: &mut CloudSettings| s.reserved_ip = true) as &dyn Fn(&mut CloudSettings),
                "ec2:AllocateAddress",
            ),
            (&|s| s.network = true, "ec2:CreateVpc"),
            (&|s| s.instance_profile = Some("p".into()), "iam:PassRole"),
            (&|s| s.server_role = true, "iam:CreateRole"),
            (&|s| s.server_role = true, "iam:PassRole"),
        ] {
            assert!(!has(&plain, name) && has(&of(change, None), name), "{name}");
        }
        assert!(!plain.iter().any(|action| action.starts_with("s3:")));
        assert!(has(&of(&|_| {}, Some("backups")), "s3:PutObject"));
        let given =
            of(&|s| (s.subnet, s.security_group) = (Some("subnet-1".into()), Some("sg-1".into())), None);
        assert!(
            !has(&given, "ec2:CreateSecurityGroup") && !has(&given, "ec2:DeleteSecurityGroup"),
            "{given:?}"
        );
    }

    #[test]
    fn a_server_may_write_and_read_below_its_domain_and_delete_nothing() {
        let policy = Policy::of_server(&Domain::parse("example.com").unwrap(), "b");
        let needed = [
            "s3:AbortMultipartUpload",
            "s3:GetLifecycleConfiguration",
            "s3:GetObject",
            "s3:ListBucket",
            "s3:PutObject",
        ];
        assert_eq!(policy.permissions, needed);
        assert!(policy.to_string().contains("arn:aws:s3:::b/example.com/*"), "{policy}");
        assert_eq!(bucket_of("s3://b/example.com/"), Some(("b", "example.com")));
        assert_eq!(
            (bucket_of("s3://b"), bucket_of("/b"), bucket_of("s3:///x")),
            (Some(("b", "")), None, None)
        );
    }

    #[test]
    fn the_right_to_delete_is_limited_to_the_domain() {
        let domain = Domain::parse("example.com").unwrap();
        let policy = Provider::Ec2.policy(&CloudSettings::default(), Some(&domain), Some("b")).unwrap();
        let text = policy.to_string();
        assert!(text.contains(r#""aws:ResourceTag/cloudron:fqdn": "example.com""#), "{text}");
        assert!(text.contains("arn:aws:s3:::b/example.com/*"), "{text}");
    }

    #[test]
    fn a_token_of_digitalocean_gets_scopes_and_half_a_network_is_refused() {
        let plain = actions(Provider::DigitalOcean, |_| {}, None);
        assert!(plain.iter().any(|scope| scope == "droplet:create"));
        let reserved = |scopes: &[String]| scopes.iter().filter(|s| s.starts_with("reserved_ip:")).count();
        assert_eq!(
            (reserved(&plain), reserved(&actions(Provider::DigitalOcean, |s| s.reserved_ip = true, None))),
            (0, 3)
        );
        let half = CloudSettings { subnet: Some("subnet-1".into()), ..CloudSettings::default() };
        assert!(Provider::Ec2.policy(&half, None, None).is_err());
    }
}
