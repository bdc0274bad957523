//! The backup key of a new repository.

use cloudron_core::Secret;

use crate::output::Output;

/// Shows a key that was generated, once: it is written nowhere. Called when its repository exists, and before anything
/// is backed up.
pub(crate) fn show(key: &Secret, out: &Output) {
    out.say(&format!(
        "\nNo backup key specified.\nGenerated backup key:  {}\nRemember to keep the backup key in a safe \
         location. You will need it to restore your Cloudron!\n",
        key.expose()
    ));
}
