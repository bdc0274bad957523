//! Progress on stderr: bars on a terminal, one line per task elsewhere.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use cloudron_core::{Event, TaskId, Unit};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::terminal::{Text, stderr_is_terminal, tell};
use super::warning;

pub(super) struct Bars {
    terminal: bool,
    multi: MultiProgress,
    tasks: Mutex<HashMap<TaskId, Shown>>,
}

struct Shown {
    label: String,
    unit: Unit,
    bar: Option<ProgressBar>,
}

impl Bars {
    pub(super) fn new() -> Self {
        Self { terminal: stderr_is_terminal(), multi: MultiProgress::new(), tasks: Mutex::default() }
    }

    /// Runs `work` on the terminal while no bars are drawn.
    pub(super) fn hidden<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.terminal { self.multi.suspend(work) } else { work() }
    }

    pub(super) fn show(&self, event: &Event) {
        let mut tasks = self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Started { task, label, unit, total } => {
                let bar = self.terminal.then(|| self.multi.add(bar(label, *unit, *total)));
                let before = tasks.insert(*task, Shown { label: label.clone(), unit: *unit, bar });
                self.clear(before.and_then(|shown| shown.bar));
            }
            Event::Advanced { task, done, total } => {
                let Some(shown) = tasks.get(task) else { return };
                let Some(bar) = &shown.bar else { return };
                if let Some(total) = total.filter(|t| bar.length() != Some(*t)) {
                    bar.set_length(total);
                    bar.set_style(style(shown.unit, true));
                }
                bar.set_position(*done);
            }
            Event::Finished { task, done, ok } => {
                let mark = if *ok { "done" } else { "not done" };
                self.end(&mut tasks, *task, *done, mark);
            }
            Event::Left { task } => self.end(&mut tasks, *task, 0, "not yet"),
            Event::Note { text } => self.line(Text::line(text)),
            Event::Warning { text } => self.line(warning(text)),
            _ => {}
        }
    }

    fn clear(&self, bar: Option<ProgressBar>) {
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.multi.remove(&bar);
        }
    }

    fn line(&self, text: Text) {
        self.hidden(|| tell(&text.ended()));
    }

    /// Replaces a task's bar with a line with its result.
    fn end(&self, tasks: &mut HashMap<TaskId, Shown>, task: TaskId, done: u64, mark: &str) {
        let Some(shown) = tasks.remove(&task) else { return };
        self.clear(shown.bar);
        let amount = match shown.unit {
            Unit::Bytes if done > 0 => format!(" ({})", super::bytes(done)),
            Unit::Items if done > 0 => format!(" ({done})"),
            _ => String::new(),
        };
        self.line(Text::line(&format!("{}{amount}: {mark}", shown.label)));
    }
}

fn bar(label: &str, unit: Unit, total: Option<u64>) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    bar.set_style(style(unit, total.is_some()));
    bar.set_message(Text::line(label).into_string());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn style(unit: Unit, bounded: bool) -> ProgressStyle {
    let template = match (unit, bounded) {
        (Unit::Bytes, true) => "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        (Unit::Bytes, false) => "{spinner} {msg} {bytes} {bytes_per_sec}",
        (Unit::Items, true) => "{msg} [{bar:30}] {pos}/{len} {eta}",
        (Unit::Items, false) => "{spinner} {msg} {pos}",
        _ => "{spinner} {msg} {elapsed}",
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
