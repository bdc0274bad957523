//! The files in a repository with instructions for restoring without this program.

use crate::layout;

const RECOVER_MD: &str = include_str!("../../recover/RECOVER.md");
const RECOVER_PY: &str = include_str!("../../recover/recover.py");
const RECOVER_SH: &str = include_str!("../../recover/recover.sh");

/// Returns the recovery files, by name.
pub(crate) fn recovery_files() -> [(&'static str, &'static [u8]); 3] {
    [
        (layout::RECOVER_MD, RECOVER_MD.as_bytes()),
        (layout::RECOVER_PY, RECOVER_PY.as_bytes()),
        (layout::RECOVER_SH, RECOVER_SH.as_bytes()),
    ]
}
