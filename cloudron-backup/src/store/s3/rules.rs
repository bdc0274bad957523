//! The bucket's own rules.

use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled};
use cloudron_core::Result;

use super::S3Store;
use super::failure::Failure;
use super::lifecycle::{from_service, to_service};
use super::repeat::checked;
use crate::store::lifecycle::Lifecycle;
use crate::store::{Known, ObjectLock, StoreRules};

impl S3Store {
    pub(super) async fn all_rules(&self) -> Result<StoreRules> {
        Ok(StoreRules::new(self.versioning().await?, self.object_lock().await?, self.get_lifecycle().await?))
    }

    async fn versioning(&self) -> Result<Known<bool>> {
        let asked = self
            .repeat(|| async {
                checked(self.client.get_bucket_versioning().bucket(&self.bucket).send().await)
            })
            .await;
        let is_on = asked.map(|answer| answer.status() == Some(&BucketVersioningStatus::Enabled));
        self.fact("s3:GetBucketVersioning", is_on)
    }

    async fn object_lock(&self) -> Result<Known<ObjectLock>> {
        let asked = self
            .repeat(|| async {
                checked(self.client.get_object_lock_configuration().bucket(&self.bucket).send().await)
            })
            .await;
        let asked = match asked {
            // No configuration exists.
            Err(f) if f.is_missing() => Ok(ObjectLock::default()),
            Err(f) => Err(f),
            Ok(answer) => Ok(answer.object_lock_configuration().map_or_else(ObjectLock::default, |lock| {
                let retention = lock.rule().and_then(|r| r.default_retention()).map(|r| {
                    let mode = r.mode().map_or("", |m| m.as_str());
                    match (r.days(), r.years()) {
                        (Some(days), _) => format!("{mode} {days} days"),
                        (None, Some(years)) => format!("{mode} {years} years"),
                        (None, None) => mode.to_owned(),
                    }
                });
                ObjectLock {
                    enabled: lock.object_lock_enabled() == Some(&ObjectLockEnabled::Enabled),
                    default_retention: retention,
                }
            })),
        };
        self.fact("s3:GetBucketObjectLockConfiguration", asked)
    }

    pub(super) async fn get_lifecycle(&self) -> Result<Known<Lifecycle>> {
        let asked = self
            .repeat(|| async {
                checked(self.client.get_bucket_lifecycle_configuration().bucket(&self.bucket).send().await)
            })
            .await;
        let rules = match asked {
            // No rules exist.
            Err(f) if f.is_missing() => Ok(Lifecycle::default()),
            Err(f) => Err(f),
            Ok(answer) => Ok(from_service(answer)),
        };
        self.fact("s3:GetLifecycleConfiguration", rules)
    }

    pub(super) async fn put_lifecycle(&self, lifecycle: &Lifecycle) -> Result<()> {
        let (rules, minimum) = to_service(lifecycle)?;
        self.repeat(|| async {
            let request = self.client.put_bucket_lifecycle_configuration().bucket(&self.bucket);
            let request = request.set_transition_default_minimum_object_size(minimum.clone());
            checked(request.lifecycle_configuration(rules.clone()).send().await)
        })
        .await
        .map(drop)
        .map_err(|f| f.error("setting the lifecycle rules of", &format!("s3://{}", self.bucket)))
    }

    /// Turns a denied or unsupported query into an unknown fact. A missing bucket or a missing response is an error.
    fn fact<T>(&self, permission: &str, asked: Result<T, Failure>) -> Result<Known<T>> {
        let place = format!("s3://{}", self.bucket);
        match asked {
            Ok(fact) => Ok(Known::Is(fact)),
            Err(f) if f.is_refused_question() => {
                Ok(Known::Unknown(format!("{} ({permission})", f.error("asking", &place).message())))
            }
            Err(f) => Err(f.error("asking", &place)),
        }
    }
}
