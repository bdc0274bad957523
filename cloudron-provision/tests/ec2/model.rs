//! Requests and answers against Amazon's own description of its interfaces, as botocore brings it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cloudron_provision::ec2::{parameters, permissions};
use cloudron_testkit::moto::Moto;
use serde_json::{Value, json};

use super::bench;
use super::samples::{self, Sample};

/// Runs the script with a line for each value. Returns whether it succeeded, and what it printed.
pub(crate) fn botocore(mode: &str, lines: &[Value]) -> Option<(bool, String)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ec2/model.py");
    let mut command = Command::new(Moto::python()?);
    let process = command.arg(script).arg(mode).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = process.spawn().expect("Python starts");
    let mut input = process.stdin.take().unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let writing = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = process.wait_with_output().unwrap();
    writing.join().unwrap().expect("the script reads all lines");
    Some((output.status.success(), String::from_utf8(output.stdout).unwrap()))
}

fn described(sample: &Sample) -> Value {
    let mut parameters: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in &sample.parameters {
        assert!(parameters.insert(name, value).is_none(), "{name} is sent twice");
    }
    parameters.extend([("Action", sample.action), ("Version", sample.service.version())]);
    json!({ "service": sample.service.name(), "action": sample.action, "parameters": parameters })
}

#[test]
fn every_request_is_one_that_amazon_describes() {
    let lines: Vec<Value> = samples::all().iter().map(described).collect();
    let Some((good, printed)) = botocore("requests", &lines) else { return };
    assert!(good && printed.is_empty(), "{printed}");
}

#[test]
fn an_unknown_a_missing_and_a_wrong_parameter_are_found() {
    let stop = |parameters: Value| {
        let mut line = json!({ "service": "ec2", "action": "StopInstances", "parameters": parameters });
        let given = line["parameters"].as_object_mut().unwrap();
        given.entry("Action").or_insert("StopInstances".into());
        given.entry("Version").or_insert("2016-11-15".into());
        line
    };
    let wrong = [
        (json!({ "InstanceId.1": "i-1", "Instance": "i-2" }), "is unknown"),
        (json!({ "instanceId.1": "i-1" }), "is unknown"),
        (json!({}), "Missing required parameter"),
        (json!({ "InstanceId": "i-1" }), "is a list"),
        (json!({ "InstanceId.2": "i-1" }), "numbered from 1"),
        (json!({ "InstanceId.1": "i-1", "Force": "yes" }), "KeyError"),
        (json!({ "InstanceId.1": "i-1", "Version": "2014-01-01" }), "Version"),
    ];
    let right = stop(json!({ "InstanceId.1": "i-1" }));
    let lines: Vec<Value> =
        wrong.iter().map(|(parameters, _)| stop(parameters.clone())).chain([right]).collect();
    let Some((good, printed)) = botocore("requests", &lines) else { return };
    let printed: Vec<&str> = printed.lines().filter(|line| line.starts_with("ec2 StopInstances: ")).collect();
    assert!(!good && printed.len() == wrong.len(), "{printed:#?}");
    for ((_, complaint), line) in wrong.iter().zip(printed) {
        assert!(line.contains(complaint), "{complaint}: {line}");
    }
}

#[test]
fn every_field_that_is_read_is_in_the_answer_that_amazon_describes() {
    let samples = samples::all();
    let lines: Vec<Value> = samples.iter().map(described).collect();
    let Some((_, printed)) = botocore("answers", &lines) else { return };
    let answers: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), samples.len());
    for (sample, answer) in samples.iter().zip(answers) {
        let shown = (sample.read)(answer["body"].as_str().unwrap().as_bytes());
        let shown = shown.unwrap_or_else(|why| panic!("{}: {why}", sample.action));
        // Every element of it has a content other than the default.
        for empty in ["None", "\"\"", "[]", ": false", ": 0"] {
            assert!(!shown.contains(empty), "{}: {empty} in {shown}", sample.action);
        }
    }
}

#[tokio::test]
async fn requests_are_signed_as_amazons_own_tools_sign_them() {
    let (client, script) = bench::client([bench::broken()]);
    let _ = client.call(&samples::launch()).await;
    let _ = parameters::public(&client, "/aws/service/none").await;
    let (mut lines, mut signatures) = (Vec::new(), Vec::new());
    for request in script.sent.lock().unwrap().iter() {
        let text = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        let authorization = text("authorization");
        let part =
            |name: &str| authorization.split(name).nth(1).unwrap().split(',').next().unwrap().to_owned();
        let scope = part("Credential=");
        let scope: Vec<&str> = scope.split('/').collect();
        let signed = part("SignedHeaders=");
        let names = signed.split(';').filter(|name| *name != "host");
        let headers: BTreeMap<&str, String> = names.map(|name| (name, text(name))).collect();
        assert!(
            headers.contains_key("x-amz-date") && headers.contains_key("x-amz-security-token"),
            "{signed}"
        );
        assert!(headers.contains_key("content-type"), "{signed}");
        let body = std::str::from_utf8(request.body()).unwrap();
        lines.push(json!({
            "service": scope[3], "region": scope[2], "url": request.uri().to_string(), "headers": headers, "body": body,
            "id": scope[0], "secret": bench::SECRET,
        }));
        signatures.push(part("Signature="));
    }
    assert!(signatures.len() > 2);
    let Some((good, printed)) = botocore("signatures", &lines) else { return };
    assert!(good && printed.lines().eq(signatures.iter()), "{printed}{signatures:#?}");
}

#[test]
fn what_is_created_with_tags_needs_the_permission_to_tag() {
    for sample in samples::all() {
        let tagged = sample.parameters.iter().any(|(name, _)| name.starts_with("TagSpecification."));
        let needed = permissions::needed(sample.service, sample.action);
        let may_tag = needed.iter().any(|needed| matches!(needed.limit, permissions::Limit::Creating(_)));
        assert_eq!(tagged, may_tag, "{}: {needed:?}", sample.action);
    }
}

#[test]
fn there_is_a_sample_of_every_action() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ec2/messages");
    let mut declared = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let by_macro = line.strip_prefix("action!(").and_then(|rest| rest.split(',').next());
            let by_hand = line.strip_prefix("impl Action for ").and_then(|rest| rest.split(' ').next());
            let listing = || lines[n + 1..].iter().find_map(|l| l.trim().strip_suffix(" {"));
            let by_list = if line.starts_with("listing! {") { listing() } else { None };
            declared.extend(by_macro.or(by_hand).or(by_list).map(str::to_owned));
        }
    }
    let sampled: BTreeSet<String> = samples::all().iter().map(|sample| sample.action.to_owned()).collect();
    assert!(declared.len() > 40, "{declared:?}");
    assert_eq!(declared, sampled);
}
