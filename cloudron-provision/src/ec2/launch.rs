//! The request that starts the instance.

use cloudron_core::{Error, Result};
use serde_json::Value;

use super::offer::Place;
use super::role::{is_unknown_profile, spreading};
use super::shared::{Shared, machine_name, made_by, short, shown, visibility};
use super::{
    Credits, Failure, InstanceProfile, LONGEST_USER_DATA, Meaning, NewDevice, NewInterface, NewVolume,
    RunInstances, Started,
};
use crate::cloud::{HostKeys, OneTimeKey, cloud_config, codes};
use crate::steps::Context;

impl Shared {
    /// Returns the part of the request that settings and offer decide.
    pub(super) async fn launch_alike(&self) -> Result<RunInstances> {
        let (settings, kind, image) = (&self.settings, self.kind().await?, self.image().await?);
        let credits =
            kind.burstable_performance_supported.then(|| Credits { cpu_credits: "standard".into() });
        Ok(RunInstances {
            image_id: image.id.clone(),
            instance_type: settings.instance_type.clone(),
            key_name: settings.key_name.clone(),
            devices: vec![NewDevice {
                device_name: image.device.clone(),
                ebs: NewVolume::encrypted(settings.disk_size),
            }],
            disable_api_termination: true,
            instance_initiated_shutdown_behavior: Some("stop".into()),
            // Unlimited credits, which are AWS's default, can cost more than the instance.
            credit_specification: credits,
            iam_instance_profile: settings.instance_profile.clone().map(|name| InstanceProfile { name }),
            ..RunInstances::default()
        })
    }

    /// Returns the request, without its place, for a new one-time key.
    pub(super) async fn launch(&self, context: &Context) -> Result<RunInstances> {
        let (settings, image) = (&self.settings, self.image().await?);
        let user = image.user.clone().ok_or_else(|| {
            let message = format!("which user the image {} lets in is not known", image.id);
            Error::new(&codes::SETTINGS, message)
        })?;
        let key = OneTimeKey::generate();
        let authorized: Vec<String> =
            Some(settings.public_key.clone()).filter(|key| !key.is_empty()).into_iter().collect();
        let user_data = cloud_config(&key, &authorized, LONGEST_USER_DATA)?;
        let marks = self.marks(context)?.with_keys(HostKeys::one_time(key.public())).with_user(user);
        let types = ["instance", "volume", "network-interface"];
        let named = context.output("ssh-key").and_then(|output| output["name"].as_str().map(str::to_owned));
        let made = settings.server_role.as_ref();
        let made = made.map(|_| InstanceProfile { name: self.role_name(context.fqdn()) });
        let alike = self.launch_alike().await?;
        Ok(RunInstances {
            iam_instance_profile: made.or(alike.iam_instance_profile.clone()),
            key_name: named,
            user_data: Some(user_data),
            tags: Shared::tags(&marks, &types, &machine_name(context.fqdn())),
            ..alike
        })
    }

    /// Returns the places at which the type is offered.
    pub(super) async fn candidates(&self, context: &Context) -> Result<Vec<Place>> {
        let output = context.output("subnet").unwrap_or_default();
        let places: Vec<Place> = serde_json::from_value(output["places"].clone()).unwrap_or_default();
        let zones = self.zones().await?;
        let fitting: Vec<Place> = places.into_iter().filter(|place| zones.contains(&place.zone)).collect();
        if fitting.is_empty() {
            let message = format!(
                "{} is offered in {}, where the network has no subnet",
                self.settings.instance_type,
                zones.join(", ")
            );
            return Err(Error::new(&codes::SETTINGS, shown(&message)));
        }
        Ok(fitting)
    }

    /// Returns the interface of an instance at a place.
    pub(super) async fn interface(&self, context: &Context, place: &Place) -> Result<NewInterface> {
        let ipv6 = self.settings.ipv6 && place.ipv6 && self.kind().await?.network_info.ipv6_supported;
        Ok(NewInterface {
            device_index: 0,
            subnet_id: place.subnet.clone(),
            associate_public_ip_address: !self.settings.elastic_ip,
            ipv6_address_count: ipv6.then_some(1),
            security_groups: vec![made_by(context, "firewall")?],
            delete_on_termination: true,
        })
    }

    /// Starts an instance. The group and subnet may be new, and not visible yet. A key pair that another run removes in this
    /// moment is not needed, since the public key is in the user-data.
    pub(super) async fn start(&self, request: &RunInstances) -> Result<Started, Failure> {
        let mut waits = visibility().begin(&*self.client.clock);
        let mut spreads = spreading().begin(&*self.client.clock);
        let mut request = request.clone();
        loop {
            match self.client.call(&request).await {
                Err(failure)
                    if failure.name == "InvalidKeyPair.NotFound"
                        && request.key_name.is_some()
                        && self.settings.key_name.is_none() =>
                {
                    request.key_name = None;
                }
                Err(failure) if self.settings.server_role.is_some() && is_unknown_profile(&failure) => {
                    if spreads.again("its profile was not visible").await.is_err() {
                        return Err(failure);
                    }
                }
                Err(failure) if failure.is(Meaning::Missing) => {
                    if waits.again("it was not visible").await.is_err() {
                        return Err(failure);
                    }
                }
                outcome => return outcome,
            }
        }
    }
}

/// Returns the token of a run's instance in a subnet, the same on every computer: AWS starts one instance for it. `round`
/// counts the instances of the run that have ended.
pub(super) fn token(run: &str, subnet: &str, round: usize) -> String {
    let whole = format!("machine|{}|{subnet}|{round}", run.to_lowercase());
    short(whole.as_bytes(), 52)
}

/// Returns the error if no place had room.
pub(super) fn full(instance_type: &str, tried: &[(String, String)]) -> Error {
    let tried: Vec<String> =
        tried.iter().take(20).map(|(zone, code)| shown(&format!("{zone} ({code})"))).collect();
    let message = format!("no zone has room for a {instance_type} now: {}", tried.join(", "));
    Error::new(&codes::CAPACITY, message).retryable(false)
}

/// Returns the ID of the address that the step `address` allocated, and the address.
pub(super) fn own_address(context: &Context) -> Option<(String, Value)> {
    let output = context.output("address")?;
    Some((output["id"].as_str()?.to_owned(), output["ipv4"].clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_depends_on_run_place_and_round_and_on_nothing_else() {
        let one = token("01JE", "subnet-1", 0);
        assert_eq!(one, token("01je", "subnet-1", 0));
        assert!(one.len() == 52 && one.is_ascii());
        for other in
            [token("01JF", "subnet-1", 0), token("01JE", "subnet-2", 0), token("01JE", "subnet-1", 1)]
        {
            assert_ne!(one, other);
        }
    }
}
