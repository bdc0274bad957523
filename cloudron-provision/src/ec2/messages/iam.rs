//! Identity and Access Management: a role, and the profile that gives it to an instance
//! (<https://docs.aws.amazon.com/IAM/latest/APIReference/>, version 2010-05-08).

use serde::{Deserialize, Serialize};

use super::Done;
use crate::ec2::{Action, Service};

/// A list in an answer of this service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Members<T> {
    /// The entries.
    #[serde(default = "Vec::new")]
    pub member: Vec<T>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { member: Vec::new() }
    }
}

/// A tag of a role or profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IamTag {
    /// The key.
    pub key: String,
    /// The value.
    #[serde(default)]
    pub value: String,
}

/// A role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Role {
    /// The name.
    pub role_name: String,
    /// The tags. They are not told where the role is a part of something else.
    pub tags: Members<IamTag>,
}

/// A profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Profile {
    /// The name.
    pub instance_profile_name: String,
    /// Its role, at most one.
    pub roles: Members<Role>,
    /// The tags.
    pub tags: Members<IamTag>,
}

/// Declares a request to this service, and whether it may be sent again.
macro_rules! request {
    ($(#[$doc:meta])* $name:ident, $repeatable:literal, $answer:ty, { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "PascalCase")]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Action for $name {
            const NAME: &'static str = stringify!($name);
            const SERVICE: Service = Service::Iam;
            const REPEATABLE: bool = $repeatable;
            type Answer = $answer;
        }
    };
}

/// The answer with a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RoleAnswer {
    /// Its part with the role.
    #[serde(rename = "GetRoleResult", alias = "CreateRoleResult")]
    pub result: RoleResult,
}

/// A part of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RoleResult {
    /// The role.
    #[serde(rename = "Role")]
    pub role: Role,
}

/// The answer with a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProfileAnswer {
    /// Its part with the profile.
    #[serde(rename = "GetInstanceProfileResult", alias = "CreateInstanceProfileResult")]
    pub result: ProfileResult,
}

/// A part of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProfileResult {
    /// The profile.
    #[serde(rename = "InstanceProfile")]
    pub profile: Profile,
}

request!(
    /// Reads a role.
    GetRole, true, RoleAnswer, {
        /// The name.
        role_name: String,
    }
);
request!(
    /// Makes a role. Its name is unique in the account.
    CreateRole, false, RoleAnswer, {
        /// The name.
        role_name: String,
        /// Who may have the role, as JSON.
        assume_role_policy_document: String,
        /// The description.
        description: Option<String>,
        #[serde(rename = "Tags.member")]
        /// The tags.
        tags: Vec<IamTag>,
    }
);
request!(
    /// Sets a policy of a role.
    PutRolePolicy, true, Done, {
        /// The role.
        role_name: String,
        /// The name of the policy.
        policy_name: String,
        /// The policy, as JSON.
        policy_document: String,
    }
);
request!(
    /// Removes a policy of a role.
    DeleteRolePolicy, true, Done, {
        /// The role.
        role_name: String,
        /// The name of the policy.
        policy_name: String,
    }
);
request!(
    /// Removes a role that has no policies and is in no profile.
    DeleteRole, true, Done, {
        /// The name.
        role_name: String,
    }
);
request!(
    /// Reads a profile.
    GetInstanceProfile, true, ProfileAnswer, {
        /// The name.
        instance_profile_name: String,
    }
);
request!(
    /// Makes a profile. Its name is unique in the account.
    CreateInstanceProfile, false, ProfileAnswer, {
        /// The name.
        instance_profile_name: String,
        #[serde(rename = "Tags.member")]
        /// The tags.
        tags: Vec<IamTag>,
    }
);
request!(
    /// Puts a role into a profile, which takes one.
    AddRoleToInstanceProfile, false, Done, {
        /// The profile.
        instance_profile_name: String,
        /// The role.
        role_name: String,
    }
);
request!(
    /// Takes a role out of a profile.
    RemoveRoleFromInstanceProfile, true, Done, {
        /// The profile.
        instance_profile_name: String,
        /// The role.
        role_name: String,
    }
);
request!(
    /// Removes a profile without a role.
    DeleteInstanceProfile, true, Done, {
        /// The name.
        instance_profile_name: String,
    }
);
