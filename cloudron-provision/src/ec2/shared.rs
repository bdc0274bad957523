//! What the steps share: whose something is, and requests that are safe to repeat.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use cloudron_core::{Error, Result};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::kind::Kind;
use super::offer::{Image, Place};
use super::{
    Action, Client, DescribeTags, Failure, Filter, InstanceType, Meaning, Set, Settings, Tag,
    TagSpecification,
};
pub(super) use crate::cloud::names::{machine as machine_name, short, shown};
use crate::cloud::{Marks, Patience, codes, names};
use crate::steps::Context;

/// How long to look for something that was made a moment ago and may not be listed yet.
const LISTED: Duration = Duration::from_secs(16);
/// How long a request about something new is repeated while that is not visible yet.
const VISIBLE: Duration = Duration::from_secs(60);

/// Looks for something.
pub(super) type Find<'a, T> =
    &'a (dyn Fn() -> Pin<Box<dyn Future<Output = Result<Option<T>>> + Send + 'a>> + Sync);

/// The result of a creating request.
pub(super) enum Made<A, T> {
    /// It was made.
    New(A),
    /// It was made before, by a request whose answer was lost.
    There(T),
}

/// The state that the steps share.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) settings: Settings,
    /// True if what another run made for the same machine is used.
    pub(super) adopt: bool,
    pub(super) kind: OnceCell<InstanceType>,
    pub(super) zones: OnceCell<Vec<String>>,
    pub(super) image: OnceCell<Image>,
    pub(super) places: OnceCell<Vec<Place>>,
    /// When this process first looked for what another one may have made.
    pub(super) doubting: OnceLock<Duration>,
}

impl Shared {
    pub(super) fn new(client: Client, settings: Settings) -> Self {
        Self {
            client,
            settings,
            adopt: false,
            kind: OnceCell::new(),
            zones: OnceCell::new(),
            image: OnceCell::new(),
            places: OnceCell::new(),
            doubting: OnceLock::new(),
        }
    }

    pub(super) fn marks(&self, context: &Context) -> Result<Marks> {
        Marks::new(context.fqdn(), &context.run())
    }

    /// Returns whether marks say that something belongs to this run, or to this machine where that is enough.
    pub(super) fn owns(&self, context: &Context, marks: &Marks) -> bool {
        marks.is_of(context) || self.adopt && marks.fqdn == context.fqdn()
    }

    /// Returns the tags for types of resources, with a name for the console.
    pub(super) fn tags(marks: &Marks, types: &[&str], name: &str) -> Vec<TagSpecification> {
        let mut tags: Vec<Tag> =
            marks.to_tags().into_iter().map(|(key, value)| Tag::new(key, value)).collect();
        tags.push(Tag::new("Name", name.chars().take(256).collect::<String>()));
        TagSpecification::of(types, &tags)
    }

    /// Returns whether an earlier process may have made what a step makes.
    pub(super) fn in_doubt(&self, context: &Context, step: &str) -> bool {
        self.adopt || context.attempts(step) > 0
    }

    /// Selects ours among what carries the domain.
    ///
    /// # Errors
    /// `step-foreign` if another run made it.
    pub(super) fn ours<T>(
        &self,
        context: &Context,
        kind: &str,
        found: Vec<T>,
        tags: impl Fn(&T) -> &Set<Tag>,
    ) -> Result<Option<T>> {
        let mut foreign = None;
        for one in found {
            match marks_of(tags(&one)) {
                Some(marks) if self.owns(context, &marks) => return Ok(Some(one)),
                Some(marks) if marks.fqdn == context.fqdn() => _ = foreign.get_or_insert(marks),
                _ => {}
            }
        }
        foreign.map_or(Ok(None), |marks| Err(foreign_run(kind, &marks)))
    }

    /// Looks for what another process may have made, until nothing of it can still be unlisted.
    pub(super) async fn find_in_doubt<T>(&self, find: Find<'_, T>) -> Result<Option<T>> {
        let clock = &*self.client.clock;
        let since = *self.doubting.get_or_init(|| clock.monotonic());
        self.look(find, since).await
    }

    /// Looks for what must exist and may not be listed yet.
    pub(super) async fn find_new<T>(&self, find: Find<'_, T>) -> Result<Option<T>> {
        self.look(find, self.client.clock.monotonic()).await
    }

    async fn look<T>(&self, find: Find<'_, T>, since: Duration) -> Result<Option<T>> {
        let clock = &*self.client.clock;
        let mut pause = Duration::from_secs(2);
        loop {
            let late = clock.monotonic().saturating_sub(since) >= LISTED;
            match find().await? {
                Some(found) => return Ok(Some(found)),
                None if late => return Ok(None),
                None => clock.sleep(pause).await,
            }
            pause = (pause * 3 / 2).min(Duration::from_secs(7));
        }
    }

    /// Creates something that has no client token. After an answer that was lost, it is looked for before it is asked for
    /// again.
    pub(super) async fn create<A: Action, T>(
        &self,
        action: &A,
        find: Find<'_, T>,
    ) -> Result<Made<A::Answer, T>> {
        let clock = &*self.client.clock;
        let mut retries = self.client.policy.begin(clock);
        loop {
            let failure = match self.client.call(action).await {
                Ok(answer) => return Ok(Made::New(answer)),
                Err(failure) => failure,
            };
            if (failure.unknown || failure.is(Meaning::Exists))
                && let Some(found) = self.look(find, clock.monotonic()).await?
            {
                return Ok(Made::There(found));
            }
            // What it refers to may be new, and not visible yet.
            let again = failure.meaning.passes() || failure.unknown || failure.is(Meaning::Missing);
            if !again || !retries.again(&failure, None).await {
                return Err(failure.into());
            }
        }
    }

    /// Carries out something that has the same effect if it is repeated, although its repetition may be refused. What it
    /// is about may be new, and not visible yet. `None` means that it was done before.
    pub(super) async fn ensure<A: Action>(&self, action: &A) -> Result<Option<A::Answer>, Failure> {
        let clock = &*self.client.clock;
        let mut retries = self.client.policy.begin(clock);
        let mut visible = visibility().begin(clock);
        loop {
            match self.client.call(action).await {
                Ok(answer) => return Ok(Some(answer)),
                Err(failure) if failure.is(Meaning::Exists) => return Ok(None),
                Err(failure) if failure.is(Meaning::Missing) => {
                    if visible.again("it was not visible").await.is_err() {
                        return Err(failure);
                    }
                }
                Err(failure) if failure.meaning.passes() || failure.unknown => {
                    if !retries.again(&failure, None).await {
                        return Err(failure);
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Returns the IDs of one kind that a run made.
    async fn made_in_run(&self, context: &Context, kind: Kind) -> Result<Vec<String>> {
        let run = context.run().to_lowercase();
        let filters = vec![Filter::new("key", "cloudron:run"), Filter::new("value", run)];
        let found = self.client.all(&DescribeTags { filters, ..DescribeTags::default() }).await?;
        Ok(found.into_iter().map(|tag| tag.resource_id).filter(|id| Kind::of(id) == Some(kind)).collect())
    }

    /// Removes what a step made in this run, by its output or its marks.
    pub(super) async fn undo(&self, context: &Context, kind: Kind, output: Option<&Value>) -> Result<()> {
        if output.is_some_and(|output| output["made"] == false) {
            return Ok(());
        }
        if let Some(id) = output.and_then(id_of) {
            return self.delete_new(kind, &id).await;
        }
        let find: Find<'_, Vec<String>> = &|| {
            Box::pin(async {
                let found = self.made_in_run(context, kind).await?;
                Ok(Some(found).filter(|found| !found.is_empty()))
            })
        };
        for id in self.look(find, self.client.clock.monotonic()).await?.unwrap_or_default() {
            self.delete_new(kind, &id).await?;
        }
        Ok(())
    }
}

/// How long something new may be invisible.
pub(super) fn visibility() -> Patience {
    Patience { first: Duration::from_secs(1), most: Duration::from_secs(8), limit: VISIBLE }
}

/// Returns the filter of what carries a domain.
pub(super) fn of_domain(fqdn: &str) -> Filter {
    Filter::new("tag:cloudron:fqdn", fqdn)
}

/// Returns the marks in tags; none if they are not ours.
pub(super) fn marks_of(tags: &Set<Tag>) -> Option<Marks> {
    let tags: BTreeMap<String, String> =
        tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    Marks::from_tags(&tags)
}

/// Returns the error for something that another run made.
pub(super) fn foreign_run(kind: &str, marks: &Marks) -> Error {
    let name = if kind == "instance" { machine_name(&marks.fqdn) } else { group_name(&marks.fqdn) };
    names::foreign(kind, &name, Some(marks))
}

/// Returns the ID in a step's output.
pub(super) fn id_of(output: &Value) -> Option<String> {
    output.get("id")?.as_str().map(str::to_owned)
}

/// Returns the ID of what a step made.
pub(super) fn made_by(context: &Context, step: &str) -> Result<String> {
    context
        .output(step)
        .as_ref()
        .and_then(id_of)
        .ok_or_else(|| Error::new(&codes::NOT_FOUND, format!("the step `{step}` has no output")))
}

/// Returns the name of everything else of a machine. Names of groups have at most 255 characters.
pub(super) fn group_name(fqdn: &str) -> String {
    names::parts(fqdn, 255)
}
