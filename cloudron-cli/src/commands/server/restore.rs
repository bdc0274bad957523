//! `cloudron box restore`

use cloudron_box::Layout;
use cloudron_box::restore::{RestoreRequest, restore};
use cloudron_core::{Progress, Result};
use serde_json::{Value, json};

use super::{request, value};
use crate::output::Output;
use crate::runtime::block_on;

/// Prints its events as JSON lines while it works, and then `{"result": …}`.
pub(super) fn run(layout: Layout, out: &Output) -> Result<Value> {
    let request: RestoreRequest = request()?;
    let sink = out.clone();
    let progress = Progress::to(move |event| {
        // Nobody reading the progress is no reason to stop a restore.
        let _ = sink.json_line(event);
    });
    let answer = block_on(|cancel| async move { restore(&layout, request, &progress, &cancel).await })?;
    Ok(json!({ "result": value(answer)? }))
}
