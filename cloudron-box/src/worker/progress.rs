//! Combines progress events into one percentage and one sentence.

use std::collections::BTreeMap;

use cloudron_core::{Event, TaskId, Unit};

/// The combined progress of a job's tasks.
#[derive(Debug, Default)]
pub(super) struct Meter {
    tasks: BTreeMap<TaskId, Task>,
    percent: u8,
    message: String,
}

#[derive(Debug)]
struct Task {
    unit: Unit,
    done: u64,
    total: Option<u64>,
}

impl Meter {
    /// Processes an event. Returns the percentage, which never decreases and is at most 99, and the current
    /// activity.
    pub(super) fn note(&mut self, event: &Event) -> (u8, &str) {
        match event {
            Event::Started { task, label, unit, total } => {
                self.message.clone_from(label);
                self.tasks.insert(*task, Task { unit: *unit, done: 0, total: *total });
            }
            Event::Advanced { task, done, total } => {
                if let Some(task) = self.tasks.get_mut(task) {
                    (task.done, task.total) = (*done, *total);
                }
            }
            Event::Finished { task, .. } | Event::Left { task } => {
                self.tasks.remove(task);
            }
            _ => {}
        }
        // Bytes are the best estimate of the remaining time.
        let counts =
            |unit| self.tasks.values().filter(move |t| t.unit == unit).filter_map(Task::part).next_back();
        if let Some(part) = counts(Unit::Bytes).or_else(|| counts(Unit::Items)) {
            self.percent = self.percent.max(part);
        }
        (self.percent, &self.message)
    }
}

impl Task {
    fn part(&self) -> Option<u8> {
        let total = self.total.filter(|t| *t > 0)?;
        u8::try_from(u128::from(self.done.min(total)) * 99 / u128::from(total)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentage_never_falls_and_100_is_left_to_the_end() {
        let mut meter = Meter::default();
        let label = "Reading".to_owned();
        meter.note(&Event::Started { task: 0, label, unit: Unit::Bytes, total: Some(200) });
        assert_eq!(meter.note(&Event::Advanced { task: 0, done: 100, total: Some(200) }), (49, "Reading"));
        assert_eq!(meter.note(&Event::Advanced { task: 0, done: 100, total: Some(2000) }).0, 49);
        assert_eq!(meter.note(&Event::Advanced { task: 0, done: 9000, total: Some(2000) }).0, 99);
        assert_eq!(meter.note(&Event::Finished { task: 0, done: 1, ok: true }).0, 99);
    }
}
