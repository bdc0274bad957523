//! `cloudron explain`

use cloudron_core::{Code, Error, Result, human};
use serde_json::json;

use crate::codes;
use crate::hints::explanation;
use crate::output::{Output, Table};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The code that an error message ends with; all of them when left out
    code: Option<String>,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let Some(name) = &options.code else { return list(out) };
    let code = codes::find(name).ok_or_else(|| {
        Error::new(&codes::CODE_UNKNOWN, format!("there is no error code {name:?}"))
            .with_hint("`cloudron explain` lists all of them")
    })?;
    out.data("code", &describe(code), || {
        format!(
            "{} (exit code {})\n\n{}",
            code.name,
            code.kind.exit_code(),
            human::wrapped(&explanation(code), 80)
        )
    })
}

fn list(out: &Output) -> Result<()> {
    let codes = codes::all();
    let data: Vec<_> = codes.iter().map(|c| describe(c)).collect();
    out.data("codes", &data, || {
        let mut table = Table::new(["Code", "Exit"]);
        for code in &codes {
            table.row([code.name.to_owned(), code.kind.exit_code().to_string()]);
        }
        table.render()
    })
}

fn describe(code: &Code) -> serde_json::Value {
    json!({ "code": code.name, "exitCode": code.kind.exit_code(), "explanation": explanation(code) })
}
