//! `cloudron box serve`

use cloudron_box::{Layout, serve};
use cloudron_core::Result;

use crate::runtime::block_on;

pub(super) fn run(layout: &Layout) -> Result<()> {
    block_on(|cancel| async move { serve(layout, async move { cancel.cancelled().await }).await })
}
