//! AWS's public parameters, such as the newest image of a distribution.

use bytes::Bytes;
use cloudron_core::{Error, codes};
use serde::Deserialize;

use super::{Client, Failure, Service};

const ACTION: &str = "GetParameter";
/// Maximum length of a value in bytes.
const LONGEST: usize = 4096;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    value: String,
}

/// Returns the value of a public parameter, such as
/// `/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id`.
///
/// # Errors
/// [`Missing`](super::Meaning::Missing) if there is none of that name.
pub async fn public(client: &Client, name: &str) -> Result<String, Failure> {
    if !name.starts_with("/aws/service/") {
        let error = Error::new(&codes::USAGE, format!("{name} is not the name of a public parameter"));
        return Err(Failure::unsent(error));
    }
    let body = Bytes::from(serde_json::json!({ "Name": name }).to_string());
    let headers =
        [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AmazonSSM.GetParameter")];
    let answer = client.send(Service::Ssm, ACTION, true, (&headers, body)).await?;
    let parsed =
        (answer.body().len() <= 4 * LONGEST).then(|| serde_json::from_slice(answer.body()).ok()).flatten();
    match parsed {
        Some(Answer { parameter: Parameter { value } }) if value.len() <= LONGEST => Ok(value),
        _ => Err(Failure::garbled(ACTION, "it is not the JSON that was expected")),
    }
}
