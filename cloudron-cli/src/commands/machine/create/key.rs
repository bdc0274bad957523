//! The backup key of a new machine.

use cloudron_backup::generate_backup_key;
use cloudron_core::Secret;

use crate::output::Output;

/// Makes a key and shows it, once: it is written nowhere.
pub(crate) fn generate(out: &Output) -> Secret {
    let key = generate_backup_key();
    out.say(&format!(
        "\nNo backup key specified.\nGenerated backup key:  {}\nRemember to keep the backup key in a safe \
         location. You will need it to restore your Cloudron!\n",
        key.expose()
    ));
    key
}
