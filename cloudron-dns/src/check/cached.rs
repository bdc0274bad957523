//! Caches answers, so that one run asks each question once.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, OnceCell};

use crate::resolve::{Answer, Resolve};
use crate::{Name, RecordType};

type Answers = BTreeMap<(Name, RecordType), Arc<OnceCell<Answer>>>;

pub(super) struct Cached<'a> {
    inner: &'a dyn Resolve,
    answers: Mutex<Answers>,
}

impl<'a> Cached<'a> {
    pub(super) fn new(inner: &'a dyn Resolve) -> Self {
        Self { inner, answers: Mutex::default() }
    }
}

#[async_trait]
impl Resolve for Cached<'_> {
    async fn resolve(&self, name: &Name, rtype: RecordType) -> Answer {
        let cell = self.answers.lock().await.entry((name.clone(), rtype)).or_default().clone();
        cell.get_or_init(|| self.inner.resolve(name, rtype)).await.clone()
    }
}
