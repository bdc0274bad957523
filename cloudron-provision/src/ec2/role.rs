//! `server-role`: a role that the machine has, for its bucket, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::kind::Kind;
use super::shared::{Find, Made, Shared, visibility};
use super::{
    Action, AddRoleToInstanceProfile, CreateInstanceProfile, CreateRole, DeleteInstanceProfile, DeleteRole,
    DeleteRolePolicy, Failure, GetInstanceProfile, GetRole, IamTag, Meaning, Profile, PutRolePolicy, Region,
    RemoveRoleFromInstanceProfile, Role,
};
use crate::cloud::{Item, Marks, Patience, codes, names};
use crate::steps::{Check, Context, Step, Undo};

/// The name of the policy in the role.
const POLICY: &str = "bucket";
/// Maximum length of the name of a role.
const LONGEST: usize = 64;

/// A place in a bucket: what a server with a role of its own may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketPlace {
    /// The bucket.
    pub bucket: String,
    /// What the keys of all objects begin with, without the slash at its end; empty for the whole bucket.
    pub prefix: String,
}

impl BucketPlace {
    /// Returns the policy that a server needs for its backups there, in the part of AWS that a region belongs to. It cannot
    /// delete anything.
    pub fn server_policy(&self, region: Option<&Region>) -> Value {
        let bucket = format!("arn:{}:s3:::{}", region.map_or("aws", Region::partition), self.bucket);
        let below = match &*self.prefix {
            "" => "*".to_owned(),
            prefix => format!("{prefix}/*"),
        };
        let objects = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"];
        let condition = json!({ "StringLike": { "s3:prefix": below } });
        json!({
            "Version": "2012-10-17",
            "Statement": [
                { "Effect": "Allow", "Action": objects, "Resource": format!("{bucket}/{below}") },
                { "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket, "Condition": condition },
                { "Effect": "Allow", "Action": "s3:GetLifecycleConfiguration", "Resource": bucket },
            ],
        })
    }
}

/// Makes the role, its policy and its profile. Each request has the same effect if it is repeated, or its name is unique.
///
/// Output: `{"id": …, "name": …, "made": true}`, the name of both.
pub(super) struct ServerRole(pub(super) Arc<Shared>, pub(super) BucketPlace);

#[async_trait]
impl Step for ServerRole {
    fn id(&self) -> &'static str {
        "server-role"
    }

    fn plan(&self) -> String {
        "Make a role for the server's bucket".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        Ok(context.previous(self.id()).map_or(Check::Absent, Check::Done))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let (shared, name) = (&self.0, self.0.role_name(context.fqdn()));
        let region = shared.client.region();
        let tags = shared.iam_tags(&shared.marks(context)?);
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [
                { "Effect": "Allow", "Principal": { "Service": region.ec2_principal() }, "Action": "sts:AssumeRole" },
            ],
        });
        let role = CreateRole {
            role_name: name.clone(),
            assume_role_policy_document: trust.to_string(),
            description: Some("The backups of a server made by cloudron".into()),
            tags: tags.clone(),
        };
        let find: Find<'_, Role> = &|| Box::pin(shared.own_role(context));
        shared.create(&role, find).await?;
        let policy = self.1.server_policy(Some(region)).to_string();
        let put =
            PutRolePolicy { role_name: name.clone(), policy_name: POLICY.into(), policy_document: policy };
        shared.ensure(&put).await?;
        let profile = CreateInstanceProfile { instance_profile_name: name.clone(), tags };
        let find: Find<'_, Profile> = &|| Box::pin(shared.own_profile(context));
        let profile = shared.create(&profile, find).await?;
        let holds = |profile: &Profile| profile.roles.member.iter().any(|role| role.role_name == name);
        if !matches!(&profile, Made::There(profile) if holds(profile)) {
            let add =
                AddRoleToInstanceProfile { instance_profile_name: name.clone(), role_name: name.clone() };
            match shared.ensure(&add).await {
                Ok(_) => {}
                // A profile takes one role: that an earlier request has put in, if it is ours.
                Err(failure) if failure.is(Meaning::Quota) => match shared.own_profile(context).await? {
                    Some(profile) if holds(&profile) => {}
                    _ => return Err(failure.into()),
                },
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(json!({ "id": Kind::Role.id(&name), "name": name, "made": true }))
    }

    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo> {
        let shared = &self.0;
        let name = shared.role_name(context.fqdn());
        for kind in [Kind::InstanceProfile, Kind::Role] {
            if output.is_some() || shared.made_here(context, kind).await? {
                shared.delete_new(kind, &kind.id(&name)).await?;
            }
        }
        Ok(Undo::Undone)
    }
}

impl Shared {
    /// Returns the name of the role and profile of a machine. Both are in all regions.
    pub(super) fn role_name(&self, fqdn: &str) -> String {
        names::parts(&format!("{fqdn}.{}", self.client.region()), LONGEST)
    }

    fn iam_tags(&self, marks: &Marks) -> Vec<IamTag> {
        let tags = marks.to_tags().into_iter();
        tags.map(|(key, value)| IamTag { key, value }).collect()
    }

    fn iam_marks(&self, tags: &[IamTag]) -> Option<Marks> {
        let tags: BTreeMap<_, _> = tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        Marks::from_tags(&tags)
    }

    pub(super) async fn role(&self, name: &str) -> Result<Option<Role>, Failure> {
        let found = self.client.call(&GetRole { role_name: name.into() }).await;
        Ok(there(found)?.map(|answer| answer.result.role).filter(|role| role.role_name == name))
    }

    pub(super) async fn profile(&self, name: &str) -> Result<Option<Profile>, Failure> {
        let found = self.client.call(&GetInstanceProfile { instance_profile_name: name.into() }).await;
        let found = there(found)?.map(|answer| answer.result.profile);
        Ok(found.filter(|profile| profile.instance_profile_name == name))
    }

    /// Returns the role of this machine.
    ///
    /// # Errors
    /// `step-foreign` if it has the name and belongs to something else.
    async fn own_role(&self, context: &Context) -> Result<Option<Role>> {
        let found = self.role(&self.role_name(context.fqdn())).await?;
        self.own(context, "role", found, |role| &role.tags.member)
    }

    async fn own_profile(&self, context: &Context) -> Result<Option<Profile>> {
        let found = self.profile(&self.role_name(context.fqdn())).await?;
        self.own(context, "instance-profile", found, |profile| &profile.tags.member)
    }

    /// Returns whether this run made a role or profile, which may not be visible yet. What has the name may be somebody
    /// else's.
    async fn made_here(&self, context: &Context, kind: Kind) -> Result<bool> {
        let name = self.role_name(context.fqdn());
        let find: Find<'_, bool> = &|| {
            Box::pin(async {
                let tags = match kind {
                    Kind::Role => self.role(&name).await?.map(|role| role.tags),
                    _ => self.profile(&name).await?.map(|profile| profile.tags),
                };
                Ok(tags.map(|tags| self.iam_marks(&tags.member).is_some_and(|marks| marks.is_of(context))))
            })
        };
        Ok(self.find_new(find).await?.unwrap_or_default())
    }

    fn own<T>(
        &self,
        context: &Context,
        kind: &str,
        found: Option<T>,
        tags: impl Fn(&T) -> &[IamTag],
    ) -> Result<Option<T>> {
        let Some(found) = found else { return Ok(None) };
        match self.iam_marks(tags(&found)) {
            Some(marks) if self.owns(context, &marks) => Ok(Some(found)),
            marks => Err(names::foreign(kind, &self.role_name(context.fqdn()), marks.as_ref())),
        }
    }

    /// Checks the profile that is given, or whether a role can be made.
    pub(super) async fn check_profile(&self, fqdn: &str) -> Result<()> {
        if let Some(name) = &self.settings.instance_profile {
            let profile = self.profile(name).await?.ok_or_else(|| {
                Error::new(&codes::NOT_FOUND, format!("the account has no instance profile {name}"))
            })?;
            if profile.roles.member.is_empty() {
                let text = format!("the instance profile {name} has no role");
                return Err(Error::new(&codes::SETTINGS, text));
            }
        }
        if self.settings.server_role.is_some() {
            let name = self.role_name(fqdn);
            if let Some(role) = self.role(&name).await? {
                return Err(names::foreign("role", &name, self.iam_marks(&role.tags.member).as_ref()));
            }
        }
        Ok(())
    }

    /// Returns the role and profile of a domain. Credentials that may not look have made none, unless `used` says otherwise.
    pub(super) async fn role_items(&self, fqdn: &str, used: bool) -> Result<Vec<Item>> {
        let name = self.role_name(fqdn);
        let (profile, role) = match self.profile(&name).await {
            Err(failure) if failure.is(Meaning::Permission) && !used => return Ok(Vec::new()),
            profile => (profile?, self.role(&name).await?),
        };
        let item = |kind: Kind, tags: &[IamTag]| {
            let marks = self.iam_marks(tags).filter(|marks| marks.fqdn == fqdn)?;
            let (addresses, state, region) = (Vec::new(), String::new(), self.client.region().to_string());
            let (id, name, region) = (kind.id(&name), name.clone(), Some(region));
            Some(Item { kind: kind.name(), id, name, marks, addresses, state, region })
        };
        let profile = profile.and_then(|profile| item(Kind::InstanceProfile, &profile.tags.member));
        let role = role.and_then(|role| item(Kind::Role, &role.tags.member));
        Ok(profile.into_iter().chain(role).collect())
    }

    /// Removes a profile, with the role in it. Returns whether it existed.
    pub(super) async fn delete_profile(&self, name: &str) -> Result<bool> {
        let (instance_profile_name, role_name) = (name.to_owned(), name.to_owned());
        let take = RemoveRoleFromInstanceProfile { instance_profile_name, role_name };
        self.let_go(&take).await?;
        Ok(self.let_go(&DeleteInstanceProfile { instance_profile_name: name.into() }).await?)
    }

    /// Removes a role with its policy. Returns whether it existed.
    pub(super) async fn delete_role(&self, name: &str) -> Result<bool> {
        let (role_name, policy_name) = (name.to_owned(), POLICY.to_owned());
        self.let_go(&DeleteRolePolicy { role_name, policy_name }).await?;
        Ok(self.let_go(&DeleteRole { role_name: name.into() }).await?)
    }

    /// Repeats a removal while the one before it is not visible. Returns whether there was something.
    async fn let_go<A: Action>(&self, action: &A) -> Result<bool, Failure> {
        let mut waits = visibility().begin(&*self.client.clock);
        loop {
            match self.client.call(action).await {
                Ok(_) => return Ok(true),
                Err(failure) if failure.is(Meaning::Missing) => return Ok(false),
                Err(failure) if failure.is(Meaning::InUse) => {
                    if waits.again("it was needed").await.is_err() {
                        return Err(failure);
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// How long EC2 may not know a new profile.
pub(super) fn spreading() -> Patience {
    Patience { first: Duration::from_secs(2), most: Duration::from_secs(10), limit: Duration::from_secs(120) }
}

/// Returns whether EC2 does not know a profile yet that was made a moment ago, or not its role.
pub(super) fn is_unknown_profile(failure: &Failure) -> bool {
    let message = failure.error.message().to_ascii_lowercase();
    failure.name == "InvalidParameterValue"
        && ["iaminstanceprofile", "instance profile"].iter().any(|words| message.contains(words))
}

fn there<T>(found: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.is(Meaning::Missing) => Ok(None),
        Err(failure) => Err(failure),
    }
}
