//! Converts lifecycle rules between the service's types and this crate's.

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::operation::get_bucket_lifecycle_configuration::GetBucketLifecycleConfigurationOutput;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{self as s3, TransitionDefaultMinimumObjectSize as Minimum};
use cloudron_core::{Error, Result};

use crate::codes;
use crate::store::lifecycle::{
    AbortUploads, And, Expiration, Filter, Lifecycle, NoncurrentExpiration, NoncurrentTransition, Rule, Tag,
    Transition,
};

pub(super) fn from_service(answer: GetBucketLifecycleConfigurationOutput) -> Lifecycle {
    let minimum = answer.transition_default_minimum_object_size().map(|m| m.as_str().to_owned());
    Lifecycle {
        rules: answer.rules.unwrap_or_default().into_iter().map(rule_from).collect(),
        transition_default_minimum_object_size: minimum,
    }
}

#[expect(deprecated, reason = "old rules have their prefix outside of the filter, and are kept as they are")]
fn rule_from(rule: s3::LifecycleRule) -> Rule {
    let transition = |t: s3::Transition| Transition {
        days: t.days,
        date: written(t.date),
        storage_class: t.storage_class.map(|c| c.as_str().to_owned()),
    };
    let noncurrent_transition = |t: s3::NoncurrentVersionTransition| NoncurrentTransition {
        noncurrent_days: t.noncurrent_days,
        newer_noncurrent_versions: t.newer_noncurrent_versions,
        storage_class: t.storage_class.map(|c| c.as_str().to_owned()),
    };
    Rule {
        id: rule.id,
        status: rule.status.as_str().to_owned(),
        filter: rule.filter.map(filter_from),
        prefix: rule.prefix,
        expiration: rule.expiration.map(|e| Expiration {
            days: e.days,
            date: written(e.date),
            expired_object_delete_marker: e.expired_object_delete_marker,
        }),
        transitions: rule.transitions.unwrap_or_default().into_iter().map(transition).collect(),
        noncurrent_version_expiration: rule.noncurrent_version_expiration.map(|e| NoncurrentExpiration {
            noncurrent_days: e.noncurrent_days,
            newer_noncurrent_versions: e.newer_noncurrent_versions,
        }),
        noncurrent_version_transitions: rule
            .noncurrent_version_transitions
            .unwrap_or_default()
            .into_iter()
            .map(noncurrent_transition)
            .collect(),
        abort_incomplete_multipart_upload: rule
            .abort_incomplete_multipart_upload
            .map(|a| AbortUploads { days_after_initiation: a.days_after_initiation }),
    }
}

fn filter_from(filter: s3::LifecycleRuleFilter) -> Filter {
    let tag = |t: s3::Tag| Tag { key: t.key, value: t.value };
    Filter {
        prefix: filter.prefix,
        tag: filter.tag.map(tag),
        object_size_greater_than: filter.object_size_greater_than,
        object_size_less_than: filter.object_size_less_than,
        and: filter.and.map(|and| And {
            prefix: and.prefix,
            tags: and.tags.unwrap_or_default().into_iter().map(tag).collect(),
            object_size_greater_than: and.object_size_greater_than,
            object_size_less_than: and.object_size_less_than,
        }),
    }
}

pub(super) fn to_service(
    lifecycle: &Lifecycle,
) -> Result<(s3::BucketLifecycleConfiguration, Option<Minimum>)> {
    let rules: Result<Vec<_>> = lifecycle.rules.iter().map(rule_to).collect();
    let rules = s3::BucketLifecycleConfiguration::builder().set_rules(Some(rules?)).build().map_err(built)?;
    let minimum = lifecycle.transition_default_minimum_object_size.as_deref().map(Minimum::from);
    Ok((rules, minimum))
}

#[expect(deprecated, reason = "old rules have their prefix outside of the filter, and are kept as they are")]
fn rule_to(rule: &Rule) -> Result<s3::LifecycleRule> {
    let class = |class: &Option<String>| class.as_deref().map(s3::TransitionStorageClass::from);
    let mut built_rule = s3::LifecycleRule::builder()
        .set_id(rule.id.clone())
        .status(s3::ExpirationStatus::from(rule.status.as_str()))
        .set_filter(rule.filter.as_ref().map(filter_to).transpose()?)
        .set_prefix(rule.prefix.clone());
    if let Some(e) = &rule.expiration {
        let expiration = s3::LifecycleExpiration::builder()
            .set_days(e.days)
            .set_date(read(&e.date)?)
            .set_expired_object_delete_marker(e.expired_object_delete_marker);
        built_rule = built_rule.expiration(expiration.build());
    }
    for t in &rule.transitions {
        let transition = s3::Transition::builder().set_days(t.days).set_date(read(&t.date)?);
        built_rule = built_rule.transitions(transition.set_storage_class(class(&t.storage_class)).build());
    }
    if let Some(e) = &rule.noncurrent_version_expiration {
        let expiration = s3::NoncurrentVersionExpiration::builder()
            .set_noncurrent_days(e.noncurrent_days)
            .set_newer_noncurrent_versions(e.newer_noncurrent_versions);
        built_rule = built_rule.noncurrent_version_expiration(expiration.build());
    }
    for t in &rule.noncurrent_version_transitions {
        let transition = s3::NoncurrentVersionTransition::builder()
            .set_noncurrent_days(t.noncurrent_days)
            .set_newer_noncurrent_versions(t.newer_noncurrent_versions)
            .set_storage_class(class(&t.storage_class));
        built_rule = built_rule.noncurrent_version_transitions(transition.build());
    }
    if let Some(a) = &rule.abort_incomplete_multipart_upload {
        let abort = s3::AbortIncompleteMultipartUpload::builder();
        let abort = abort.set_days_after_initiation(a.days_after_initiation);
        built_rule = built_rule.abort_incomplete_multipart_upload(abort.build());
    }
    built_rule.build().map_err(built)
}

fn filter_to(filter: &Filter) -> Result<s3::LifecycleRuleFilter> {
    let tag = |t: &Tag| s3::Tag::builder().key(&t.key).value(&t.value).build().map_err(built);
    let and = match &filter.and {
        None => None,
        Some(and) => {
            let tags: Result<Vec<_>> = and.tags.iter().map(tag).collect();
            let tags = Some(tags?).filter(|tags| !tags.is_empty());
            let built = s3::LifecycleRuleAndOperator::builder()
                .set_prefix(and.prefix.clone())
                .set_tags(tags)
                .set_object_size_greater_than(and.object_size_greater_than)
                .set_object_size_less_than(and.object_size_less_than);
            Some(built.build())
        }
    };
    let built = s3::LifecycleRuleFilter::builder()
        .set_prefix(filter.prefix.clone())
        .set_tag(filter.tag.as_ref().map(tag).transpose()?)
        .set_object_size_greater_than(filter.object_size_greater_than)
        .set_object_size_less_than(filter.object_size_less_than)
        .set_and(and);
    Ok(built.build())
}

fn built(error: BuildError) -> Error {
    Error::new(&codes::STORE_OPTION, format!("the lifecycle rules are not complete: {error}"))
}

fn written(date: Option<DateTime>) -> Option<String> {
    date?.fmt(DateTimeFormat::DateTime).ok()
}

fn read(date: &Option<String>) -> Result<Option<DateTime>> {
    let read = |text: &String| DateTime::from_str(text, DateTimeFormat::DateTime);
    date.as_ref().map(read).transpose().map_err(|e| {
        Error::new(&codes::STORE_OPTION, format!("a date in the lifecycle rules is malformed: {e}"))
    })
}
