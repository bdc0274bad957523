//! Typed progress events. Libraries report them; only programs render them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Identifies a task among the events of one [`Progress`].
pub type TaskId = u64;

/// The unit of a task's progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Items without a size: files, chunks, servers.
    Items,
    /// Nothing: the task is either running or finished.
    None,
}

/// An event during long-running work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A task began.
    Started {
        /// The task.
        task: TaskId,
        /// The activity, in the form "Uploading the program".
        label: String,
        /// The unit of its progress.
        unit: Unit,
        /// The total amount of work, if known.
        total: Option<u64>,
    },
    /// A task made progress.
    Advanced {
        /// The task.
        task: TaskId,
        /// How much is done so far.
        done: u64,
        /// The total amount of work, if known by now.
        total: Option<u64>,
    },
    /// A task ended.
    Finished {
        /// The task.
        task: TaskId,
        /// How much was done.
        done: u64,
        /// True if it succeeded. A task that was dropped did not.
        ok: bool,
    },
    /// A task ended without failing, but its goal is not reached yet.
    Left {
        /// The task.
        task: TaskId,
    },
    /// A fact for the user that requires no action.
    Note {
        /// The text: a sentence.
        text: String,
    },
    /// A problem that did not stop the work.
    Warning {
        /// The text: a sentence.
        text: String,
    },
}

type Listener = dyn Fn(&Event) + Send + Sync;

/// A destination for events. It is cheap to clone; the default discards events.
#[derive(Clone, Default)]
pub struct Progress {
    listener: Option<Arc<Listener>>,
    next: Arc<AtomicU64>,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("listening", &self.listener.is_some()).finish_non_exhaustive()
    }
}

impl Progress {
    /// Discards all events.
    pub fn none() -> Self {
        Self::default()
    }

    /// Sends events to a callback, on the thread where they occur. The callback must not block.
    pub fn to(listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self { listener: Some(Arc::new(listener)), next: Arc::default() }
    }

    /// Reports an existing event unchanged, such as one from another process.
    pub fn emit(&self, event: &Event) {
        trace(event);
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }

    /// Reports a fact to the user.
    pub fn note(&self, text: impl Into<String>) {
        self.emit(&Event::Note { text: text.into() });
    }

    /// Warns the user of a problem that did not stop the work.
    pub fn warn(&self, text: impl Into<String>) {
        self.emit(&Event::Warning { text: text.into() });
    }

    /// Returns an ID that no other task of this progress has.
    pub fn fresh_id(&self) -> TaskId {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts a task. It ends with [`Task::finish`], or as failed when it is dropped.
    pub fn task(&self, label: impl Into<String>, unit: Unit, total: Option<u64>) -> Task {
        let id = self.fresh_id();
        self.emit(&Event::Started { task: id, label: label.into(), unit, total });
        Task {
            progress: self.clone(),
            id,
            done: AtomicU64::new(0),
            total: AtomicU64::new(total.unwrap_or(u64::MAX)),
            over: AtomicBool::new(false),
        }
    }
}

/// Traces an event, so that long-running work that reports progress needs no separate traces.
fn trace(event: &Event) {
    match event {
        Event::Started { task, label, total, .. } => tracing::info!(task, total, "begins: {label}"),
        Event::Advanced { task, done, total } => tracing::trace!(task, done, total, "goes on"),
        Event::Finished { task, done, ok: true } => tracing::info!(task, done, "ended"),
        Event::Finished { task, done, ok: false } => tracing::info!(task, done, "failed"),
        Event::Left { task } => tracing::info!(task, "left: not reached yet"),
        Event::Note { text } => tracing::debug!("note: {text}"),
        Event::Warning { text } => tracing::debug!("warning: {text}"),
    }
}

/// A running task.
#[derive(Debug)]
pub struct Task {
    progress: Progress,
    id: TaskId,
    done: AtomicU64,
    total: AtomicU64,
    over: AtomicBool,
}

impl Task {
    /// Adds `amount` to the finished work.
    pub fn advance(&self, amount: u64) {
        let done = self.done.fetch_add(amount, Ordering::Relaxed) + amount;
        self.progress.emit(&Event::Advanced { task: self.id, done, total: self.total() });
    }

    /// Sets the total amount of work, once it is known.
    pub fn set_total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed);
        self.progress.emit(&Event::Advanced { task: self.id, done, total: Some(total) });
    }

    /// Ends the task as succeeded.
    pub fn finish(self) {
        self.end(true);
    }

    /// Ends the task although its goal is not reached yet: something else has to happen first.
    pub fn leave(self) {
        if !self.over.swap(true, Ordering::Relaxed) {
            self.progress.emit(&Event::Left { task: self.id });
        }
    }

    fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|t| *t != u64::MAX)
    }

    fn end(&self, ok: bool) {
        if !self.over.swap(true, Ordering::Relaxed) {
            let done = self.done.load(Ordering::Relaxed);
            self.progress.emit(&Event::Finished { task: self.id, done, ok });
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.end(false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn recorded(work: impl FnOnce(&Progress)) -> Vec<Event> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        work(&Progress::to(move |e| sink.lock().unwrap().push(e.clone())));
        seen.lock().unwrap().clone()
    }

    #[test]
    fn a_task_reports_its_start_its_advance_and_its_end() {
        let events = recorded(|p| {
            let task = p.task("Reading", Unit::Bytes, Some(10));
            task.advance(4);
            task.finish();
        });
        assert_eq!(events.len(), 3);
        assert_eq!(events[1], Event::Advanced { task: 0, done: 4, total: Some(10) });
        assert_eq!(events[2], Event::Finished { task: 0, done: 4, ok: true });
    }

    #[test]
    fn a_dropped_task_counts_as_failed() {
        let events = recorded(|p| drop(p.task("Reading", Unit::None, None)));
        assert_eq!(events[1], Event::Finished { task: 0, done: 0, ok: false });
    }
}
