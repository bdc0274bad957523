//! The check before anything is made: all findings at once.

use cloudron_core::{Error, Result};

use super::offer::architecture;
use super::shared::{Shared, shown};
use super::{
    DescribeKeyPairs, DescribeSecurityGroups, DescribeVpcBlockPublicAccessOptions, Meaning, NewInterface,
    RunInstances,
};
use crate::cloud::codes;

/// The findings so far. The code of the first one is that of the error.
#[derive(Default)]
struct Findings(Vec<Error>);

impl Findings {
    fn add(&mut self, error: Error) {
        self.0.push(error);
    }

    fn note(&mut self, message: &str) {
        self.0.push(Error::new(&codes::SETTINGS, shown(message)));
    }

    /// Keeps a result, or its error as a finding. What would be the same for every request ends the check.
    fn keep<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        const GENERAL: [&cloudron_core::Code; 4] =
            [&codes::CREDENTIALS, &codes::CLOCK, &codes::DOWN, &codes::RATE_LIMITED];
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if GENERAL.iter().any(|code| error.is(code)) => Err(error),
            Err(error) => {
                self.add(error);
                Ok(None)
            }
        }
    }

    fn report(mut self) -> Result<()> {
        if self.0.len() < 2 {
            return self.0.pop().map_or(Ok(()), Err);
        }
        let all: Vec<&str> = self.0.iter().map(Error::message).collect();
        let message = format!("{} things prevent this machine: {}", all.len(), all.join("; "));
        Err(Error::new(self.0[0].code(), message))
    }
}

impl Shared {
    /// Checks whether the machine can be made, as far as that can be asked. It only reads.
    pub(super) async fn check(&self, fqdn: &str) -> Result<()> {
        let mut findings = Findings::default();
        let kind = findings.keep(self.kind().await)?;
        if kind.is_some() && findings.keep(self.zones().await)?.is_some_and(<[String]>::is_empty) {
            findings.note(&format!("no zone of the region offers {}", self.settings.instance_type));
        }
        // The architecture of the default image is that of the type.
        if kind.is_some() || self.settings.image.is_some() {
            self.check_image(&mut findings).await?;
        }
        self.check_places(&mut findings).await?;
        self.check_group(&mut findings).await?;
        self.check_key_name(&mut findings).await?;
        findings.keep(self.check_profile(fqdn).await)?;
        self.check_public_access(&mut findings).await?;
        if findings.0.is_empty() {
            self.check_account(&mut findings).await?;
        }
        findings.report()
    }

    async fn check_image(&self, findings: &mut Findings) -> Result<()> {
        let Some(image) = findings.keep(self.image().await)? else { return Ok(()) };
        if let Some(kind) = self.kind.get()
            && architecture(kind) != image.architecture
        {
            findings.note(&format!(
                "the image {} is for {}, and {} is {}",
                image.id,
                image.architecture,
                self.settings.instance_type,
                architecture(kind)
            ));
        }
        if image.user.is_none() {
            findings
                .note(&format!("which user the image {} ({}) lets in is not known", image.id, image.name));
        }
        if image.size.is_some_and(|size| size > self.settings.disk_size) {
            let (size, wanted) = (image.size.unwrap_or_default(), self.settings.disk_size);
            findings.note(&format!("the image {} needs a disk of {size} GiB, not {wanted}", image.id));
        }
        Ok(())
    }

    async fn check_places(&self, findings: &mut Findings) -> Result<()> {
        let Some(places) = findings.keep(self.places().await)? else { return Ok(()) };
        let zones = self.zones.get().map(Vec::as_slice).unwrap_or_default();
        let fits = places.iter().any(|place| zones.contains(&place.zone));
        if !fits && !zones.is_empty() && !places.is_empty() && !self.settings.own_vpc {
            let there: Vec<&str> = places.iter().map(|place| &*place.zone).collect();
            let (kind, zones, there) = (&self.settings.instance_type, zones.join(", "), there.join(", "));
            findings.note(&format!("{kind} is offered in {zones}, and the subnets are in {there}"));
        }
        Ok(())
    }

    async fn check_group(&self, findings: &mut Findings) -> Result<()> {
        let Some(id) = &self.settings.security_group else { return Ok(()) };
        let request = DescribeSecurityGroups { group_ids: vec![id.clone()], ..Default::default() };
        let Some(found) = findings.keep(self.client.all(&request).await.map_err(Error::from))? else {
            return Ok(());
        };
        let place = self.places.get().and_then(|places| places.first());
        match (found.first(), place) {
            (None, _) => findings.add(Error::new(&codes::NOT_FOUND, format!("no security group {id}"))),
            (Some(group), Some(place)) if group.vpc_id != place.vpc => findings.note(&format!(
                "the security group {id} belongs to {}, and the subnet {} to {}",
                group.vpc_id, place.subnet, place.vpc
            )),
            _ => {}
        }
        Ok(())
    }

    async fn check_key_name(&self, findings: &mut Findings) -> Result<()> {
        let Some(name) = &self.settings.key_name else { return Ok(()) };
        let request = DescribeKeyPairs { key_names: vec![name.clone()], ..Default::default() };
        findings.keep(self.client.call(&request).await.map_err(Error::from)).map(drop)
    }

    /// An account can block the internet for all its networks.
    async fn check_public_access(&self, findings: &mut Findings) -> Result<()> {
        let mode = match self.client.call(&DescribeVpcBlockPublicAccessOptions {}).await {
            Ok(answer) => answer.options.internet_gateway_block_mode,
            // A region that does not know this does not block anything.
            Err(failure) if failure.is(Meaning::Refused) => return Ok(()),
            Err(failure) => return findings.keep(Err::<(), _>(failure.into())).map(drop),
        };
        if mode.starts_with("block") {
            let message = shown(&format!("the account blocks its networks from the internet ({mode})"));
            findings.add(Error::new(&codes::ACCOUNT, message));
        }
        Ok(())
    }

    /// Asks whether the account may start such an instance, by a trial in a subnet that exists.
    async fn check_account(&self, findings: &mut Findings) -> Result<()> {
        let zones = self.zones().await?;
        let places = self.places().await?;
        let Some(place) = places.iter().find(|place| zones.contains(&place.zone)) else { return Ok(()) };
        let trial = RunInstances {
            client_token: "trial".into(),
            network_interfaces: vec![NewInterface {
                subnet_id: place.subnet.clone(),
                associate_public_ip_address: true,
                security_groups: self.settings.security_group.clone().into_iter().collect(),
                delete_on_termination: true,
                ..NewInterface::default()
            }],
            ..self.launch_alike().await?
        };
        match self.client.could_run(&trial).await {
            Ok(()) => Ok(()),
            // Another zone may have room.
            Err(failure) if failure.is(Meaning::NoCapacity) => Ok(()),
            Err(failure) => findings.keep(Err::<(), _>(failure.into())).map(drop),
        }
    }
}
