//! The properties of a request.

use cloudron_core::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Service;

/// A request to a service of AWS. Its fields serialize to the parameters that are sent: see [`encode`](super::encode).
pub trait Action: Serialize + Send + Sync {
    /// The name, such as `RunInstances`.
    const NAME: &'static str;
    /// The service that it is sent to.
    const SERVICE: Service = Service::Ec2;
    /// True if it may be sent again when its outcome is unknown: it only reads, has the same effect if it is repeated, or
    /// carries a client token.
    const REPEATABLE: bool;
    /// The part of the answer that is read.
    type Answer: DeserializeOwned + Send;

    /// Checks what the service would not: limits of the request, and what makes it safe to send.
    ///
    /// # Errors
    /// `usage` with what is wrong.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// A request whose answer comes in pages.
pub trait Paged: Action + Clone {
    /// One entry of the list.
    type Entry: Send;

    /// Asks for the page that a token stands for.
    fn set_token(&mut self, token: String);

    /// Takes an answer apart: its entries, and the token of the next page.
    fn page(answer: Self::Answer) -> (Vec<Self::Entry>, Option<String>);
}

/// Declares an action: `action!(DeleteVpc, repeatable, Done)`.
macro_rules! action {
    ($name:ident, repeatable, $answer:ty) => {
        $crate::ec2::action::action!(@ $name, true, $answer);
    };
    ($name:ident, once, $answer:ty) => {
        $crate::ec2::action::action!(@ $name, false, $answer);
    };
    (@ $name:ident, $repeatable:literal, $answer:ty) => {
        impl $crate::ec2::Action for $name {
            const NAME: &'static str = stringify!($name);
            const REPEATABLE: bool = $repeatable;
            type Answer = $answer;
        }
    };
}

/// Declares an action that only reads, with an answer in pages: the request, its answer and the entries in it. With
/// `check = …`, the request is checked before it is sent.
macro_rules! listing {
    (
        $(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
        => $answer:ident.$entries:ident $wire:literal: $entry:ty $(, check = $check:path)?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
        #[serde(rename_all = "PascalCase")]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            /// Filters: all must match.
            #[serde(rename = "Filter")]
            pub filters: Vec<$crate::ec2::Filter>,
            /// Maximum number of entries of one page.
            pub max_results: Option<u32>,
            /// The page, as the answer before it named it.
            pub next_token: Option<String>,
        }

        #[doc = concat!("The answer to [`", stringify!($name), "`].")]
        #[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $answer {
            /// The entries of this page.
            #[serde(rename = $wire)]
            pub $entries: $crate::ec2::Set<$entry>,
            /// The next page, if there is one.
            pub next_token: Option<String>,
        }

        impl $crate::ec2::Action for $name {
            const NAME: &'static str = stringify!($name);
            const REPEATABLE: bool = true;
            type Answer = $answer;
            $(fn check(&self) -> cloudron_core::Result<()> {
                $check(self)
            })?
        }

        impl $crate::ec2::Paged for $name {
            type Entry = $entry;
            fn set_token(&mut self, token: String) {
                self.next_token = Some(token);
            }
            fn page(answer: $answer) -> (Vec<$entry>, Option<String>) {
                (answer.$entries.item, answer.next_token.filter(|token| !token.is_empty()))
            }
        }
    };
}

pub(super) use {action, listing};
