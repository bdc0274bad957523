//! `cloudron version`

use cloudron_core::{Result, Version};

use crate::output::Output;

pub(crate) fn run(out: &Output) -> Result<()> {
    let version = Version::current();
    out.data("version", &version, || format!("cloudron {version}"))
}
