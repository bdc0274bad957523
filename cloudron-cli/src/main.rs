//! The `cloudron` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    cloudron_cli::run()
}
