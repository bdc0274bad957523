//! Where requests go: services and regions.

use std::fmt;

use cloudron_core::{Error, Result, codes};

/// A service of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Service {
    /// Elastic Compute Cloud: machines and their networks.
    Ec2,
    /// Security Token Service: who the credentials belong to.
    Sts,
    /// Identity and Access Management: roles, in all regions.
    Iam,
    /// Systems Manager, for its public parameters.
    Ssm,
}

impl Service {
    /// Returns the name in addresses and signatures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Sts => "sts",
            Self::Iam => "iam",
            Self::Ssm => "ssm",
        }
    }

    /// Returns the version of the interface that requests name.
    pub fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::Sts => "2011-06-15",
            Self::Iam => "2010-05-08",
            Self::Ssm => "2014-11-06",
        }
    }
}

/// A region of AWS, such as `eu-central-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region(String);

impl Region {
    /// Parses the name of a region, which becomes a part of the name of a host.
    ///
    /// # Errors
    /// `usage` for a text that is no such name.
    pub fn parse(name: &str) -> Result<Self> {
        let parts: Vec<&str> = name.split('-').collect();
        let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
        let good = name.len() <= 32
            && parts.len() >= 3
            && parts[..parts.len() - 1].iter().all(word)
            && parts.last().is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()));
        if good {
            return Ok(Self(name.to_owned()));
        }
        let shown: String = name.chars().take(40).collect();
        let message = format!("`{}` is not the name of an AWS region", cloudron_core::escape::line(&shown));
        Err(Error::new(&codes::USAGE, message).with_hint("write it as in `eu-central-1`"))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the address of a service in this region.
    pub fn endpoint(&self, service: Service) -> String {
        if service == Service::Iam {
            return match self.partition() {
                "aws-cn" => "https://iam.cn-north-1.amazonaws.com.cn".into(),
                "aws-us-gov" => "https://iam.us-gov.amazonaws.com".into(),
                _ => "https://iam.amazonaws.com".into(),
            };
        }
        let suffix = if self.0.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://{}.{}.{suffix}", service.name(), self.0)
    }

    /// Returns the region that requests to a service are signed for.
    pub(super) fn signing(&self, service: Service) -> &str {
        match (service, self.partition()) {
            (Service::Iam, "aws-cn") => "cn-north-1",
            (Service::Iam, "aws-us-gov") => "us-gov-west-1",
            (Service::Iam, _) => "us-east-1",
            _ => &self.0,
        }
    }

    /// Returns the part of AWS that it belongs to, as in the names of resources.
    pub fn partition(&self) -> &'static str {
        match &*self.0 {
            name if name.starts_with("cn-") => "aws-cn",
            name if name.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// Returns the name that EC2 has in policies.
    pub(super) fn ec2_principal(&self) -> &'static str {
        if self.partition() == "aws-cn" { "ec2.amazonaws.com.cn" } else { "ec2.amazonaws.com" }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_nothing_that_leads_to_another_host() {
        for name in ["eu-central-1", "us-gov-west-1", "ap-southeast-7", "cn-north-1", "mx-central-1"] {
            assert_eq!(Region::parse(name).unwrap().to_string(), name);
        }
        for name in [
            "",
            "eu",
            "eu-1",
            "eu-central",
            "EU-central-1",
            "eu-central-1a",
            "a.example.com/-x-1",
            "eu--1",
            "eu-ä-1",
            "eu-central-1 ",
            "eu-central-1\u{1b}",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-b-1",
        ] {
            assert!(Region::parse(name).unwrap_err().is(&codes::USAGE), "{name}");
        }
    }

    #[test]
    fn a_service_has_one_address_in_each_region() {
        let address = |region: &str| Region::parse(region).unwrap().endpoint(Service::Ec2);
        assert_eq!(address("eu-central-1"), "https://ec2.eu-central-1.amazonaws.com");
        assert_eq!(address("cn-north-1"), "https://ec2.cn-north-1.amazonaws.com.cn");
        for (region, endpoint, signed) in [
            ("eu-central-1", "https://iam.amazonaws.com", "us-east-1"),
            ("cn-northwest-1", "https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("us-gov-east-1", "https://iam.us-gov.amazonaws.com", "us-gov-west-1"),
        ] {
            let region = Region::parse(region).unwrap();
            assert_eq!((&*region.endpoint(Service::Iam), region.signing(Service::Iam)), (endpoint, signed));
        }
        assert_eq!(Region::parse("eu-central-1").unwrap().signing(Service::Ec2), "eu-central-1");
    }
}
