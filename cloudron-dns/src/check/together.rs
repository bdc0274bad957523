//! Waits for several concurrent checks.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use super::finding::Findings;

pub(super) type Task<'a> = Pin<Box<dyn Future<Output = Findings> + Send + 'a>>;

/// Runs all tasks concurrently; the findings are in the tasks' order.
pub(super) async fn together(mut tasks: Vec<Task<'_>>) -> Vec<Findings> {
    let mut done: Vec<Option<Findings>> = tasks.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (task, done) in tasks.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(findings) = task.as_mut().poll(context) {
                *done = Some(findings);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
