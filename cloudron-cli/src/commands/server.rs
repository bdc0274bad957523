//! `cloudron box`: what the program does on the machine itself.

use cloudron_api::BoxCall;
use cloudron_box::{Layout, command};
use cloudron_core::{Progress, Result};

use crate::output::Output;
use crate::runtime::{block_on, stop};

/// Prints what a restore does as JSON lines, and the answer as the last one.
pub(crate) fn run(call: &BoxCall, out: &Output) -> Result<()> {
    let layout = call.root.as_ref().map_or_else(Layout::system, Layout::rooted);
    let sink = out.clone();
    let progress = Progress::to(move |event| {
        // A closed stdout does not stop the restore.
        let _ = sink.json_line(event);
    });
    let work = command::begin(&layout, &call.command, std::io::stdin().lock(), &progress, &stop());
    let answer = work.and_then(|work| block_on(|_| work));
    // Errors of the server are for the journal, not for a calling program.
    if !call.command.is_service() {
        out.json_line(&command::told(&answer))?;
    }
    answer.map(drop)
}
