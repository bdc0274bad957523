//! `cloudron machine reset-password`

use cloudron_core::{Error, Result, Secret, codes};

use super::Which;
use crate::machines;
use crate::output::{self, Output};
use crate::runtime::interruptible;
use crate::secrets;
use cloudron_api::BoxCommand;
use cloudron_api::command::STDIN;
use cloudron_api::owner::{PasswordReset, ResetPassword};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// The new password: 10 characters at least. Without it, it is asked for
    #[arg(long, value_name = "SECRET")]
    password: Option<String>,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    let request = ResetPassword { password: password(options, out)? };
    let reset: PasswordReset = interruptible(async {
        let program = machines::reach(&machine, out).await?;
        program.call_with(&BoxCommand::ResetPassword(STDIN), &request).await
    })?;
    out.data("reset", &reset, || {
        output::lines([format!("{} has the new password; all their sessions ended.", reset.email)])
    })
}

fn password(options: &Options, out: &Output) -> Result<Secret> {
    if let Some(reference) = &options.password {
        return secrets::resolve(reference, "--password", out);
    }
    let password = out.ask_secret("The new password", "--password")?;
    if out.ask_secret("The same password again", "--password")? != password {
        return Err(Error::new(&codes::USAGE, "the two passwords differ"));
    }
    Ok(password)
}
