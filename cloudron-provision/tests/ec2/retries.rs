//! Tests of retries: which requests are repeated, and what a failure says.

use std::time::Duration;

use cloudron_core::ErrorKind;
use cloudron_provision::ec2::{Meaning::*, *};

use super::bench::{self, answer, broken, client, refusal};
use super::samples;

const EMPTY: &str = "<DescribeAddressesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
                     <addressesSet/></DescribeAddressesResponse>";

fn group() -> CreateSecurityGroup {
    CreateSecurityGroup { group_name: "g".into(), vpc_id: "vpc-1".into(), ..CreateSecurityGroup::default() }
}

#[tokio::test]
async fn what_only_reads_is_repeated_and_signed_anew_each_time() {
    let passing = [
        refusal(503, "RequestLimitExceeded", "Request limit exceeded."),
        refusal(400, "Throttling", "Rate exceeded"),
        refusal(500, "InternalError", "An internal error has occurred"),
        answer(502, "<html>Bad Gateway</html>"),
        broken(),
        answer(200, EMPTY),
    ];
    let (client, script) = client(passing);
    client.call(&DescribeAddresses::default()).await.unwrap();
    assert_eq!(script.count(), 6);
    assert!(client.clock.monotonic() > Duration::ZERO);
    let sent = script.sent.lock().unwrap();
    let dates: Vec<_> = sent.iter().map(|request| request.headers()["x-amz-date"].clone()).collect();
    assert!(dates[0] == "20261130T120000Z" && dates.iter().is_sorted(), "{dates:?}");
}

#[tokio::test]
async fn what_creates_without_a_token_is_sent_once() {
    for (failing, unknown) in [
        (broken(), true),
        (answer(502, ""), true),
        (refusal(500, "InternalError", ""), true),
        (refusal(503, "Unavailable", ""), true),
        (refusal(503, "RequestLimitExceeded", ""), false),
        (refusal(400, "InvalidGroup.Duplicate", ""), false),
        (answer(200, "nonsense"), true),
        (
            answer(200, "<CreateSecurityGroupResponse><return>true</return></CreateSecurityGroupResponse>"),
            true,
        ),
    ] {
        let (client, script) = client([failing]);
        let failure = client.call(&group()).await.unwrap_err();
        assert_eq!((script.count(), failure.unknown), (1, unknown), "{failure}");
    }
    for (name, once) in [
        (AllocateAddress::NAME, AllocateAddress::REPEATABLE),
        (AuthorizeSecurityGroupIngress::NAME, AuthorizeSecurityGroupIngress::REPEATABLE),
        (CreateInternetGateway::NAME, CreateInternetGateway::REPEATABLE),
        (CreateRoute::NAME, CreateRoute::REPEATABLE),
        (CreateSnapshot::NAME, CreateSnapshot::REPEATABLE),
        (CreateSubnet::NAME, CreateSubnet::REPEATABLE),
        (CreateVpc::NAME, CreateVpc::REPEATABLE),
        (ImportKeyPair::NAME, ImportKeyPair::REPEATABLE),
    ] {
        assert!(!once, "{name}");
    }
}

#[tokio::test]
async fn an_instance_is_started_by_its_token_as_often_as_needed_and_never_without_one() {
    let started = "<RunInstancesResponse><instancesSet><item><instanceId>i-1</instanceId></item></instancesSet></RunInstancesResponse>";
    let (client, script) = client([broken(), answer(500, ""), answer(200, started)]);
    let answer = client.call(&samples::launch()).await.unwrap();
    assert_eq!(answer.instances[0].instance_id, "i-1");
    let bodies = script.bodies();
    assert!(bodies.len() == 3 && bodies.iter().all(|body| *body == bodies[0]));
    assert!(bodies[0].contains("ClientToken=0123456789abcdef"));
    let long = "x".repeat(65);
    for token in ["", "ä", &*long] {
        let failure = client.call(&RunInstances { client_token: token.into(), ..samples::launch() }).await;
        assert_eq!(failure.unwrap_err().error.kind(), ErrorKind::Usage);
    }
    let data = Some(cloudron_core::Secret::new("x".repeat(LONGEST_USER_DATA + 1)));
    let failure = client.call(&RunInstances { user_data: data, ..samples::launch() }).await.unwrap_err();
    assert!(failure.to_string().contains("16385 bytes"), "{failure}");
    let two = client.call(&RunInstances { max_count: 2, ..samples::launch() }).await;
    assert_eq!(two.unwrap_err().error.kind(), ErrorKind::Usage);
    let unowned = client.call(&DescribeImages::default()).await.unwrap_err();
    assert_eq!(unowned.error.kind(), ErrorKind::Usage);
    assert_eq!(script.count(), 3, "nothing more was sent");
}

#[tokio::test]
async fn a_request_that_is_used_up_remembers_that_it_may_have_arrived() {
    let (mut client, script) = client([broken(), refusal(503, "RequestLimitExceeded", "")]);
    client.policy = cloudron_core::RetryPolicy::attempts(3);
    let failure = client.call(&samples::launch()).await.unwrap_err();
    assert!(failure.unknown && failure.is(Throttled), "{failure}");
    assert_eq!(script.count(), 3);
}

#[tokio::test]
async fn each_error_has_its_code_its_exit_and_its_advice() {
    for (status, name, message, meaning, kind, advice) in [
        (503, "RequestLimitExceeded", "", Throttled, ErrorKind::Unavailable, Some("wait a minute")),
        (500, "InsufficientInstanceCapacity", "", NoCapacity, ErrorKind::Unavailable, Some("another zone")),
        (400, "Unsupported", "", NoCapacity, ErrorKind::Unavailable, Some("another zone")),
        (400, "VcpuLimitExceeded", "", Quota, ErrorKind::Denied, Some("higher limit")),
        (400, "AddressLimitExceeded", "", Quota, ErrorKind::Denied, Some("higher limit")),
        (400, "PendingVerification", "", Account, ErrorKind::Denied, Some("verified")),
        (401, "AuthFailure", "", Credentials, ErrorKind::Denied, Some("access key")),
        (
            403,
            "UnauthorizedOperation",
            "",
            Permission,
            ErrorKind::Denied,
            Some("ec2:CreateSecurityGroup, ec2:CreateTags"),
        ),
        (400, "InvalidVpcID.NotFound", "", Missing, ErrorKind::NotFound, None),
        (400, "InvalidGroup.Duplicate", "", Exists, ErrorKind::Conflict, None),
        (400, "DependencyViolation", "", InUse, ErrorKind::Conflict, None),
        (400, "IncorrectInstanceState", "", WrongState, ErrorKind::Conflict, None),
        (400, "OperationNotPermitted", "", Protected, ErrorKind::Denied, None),
        (400, "IdempotentParameterMismatch", "", TokenReused, ErrorKind::Failed, None),
        (400, "InvalidParameterValue", "", Refused, ErrorKind::Failed, None),
    ] {
        let (client, _) = client([refusal(status, name, message)]);
        let failure = client.call(&group()).await.unwrap_err();
        assert_eq!((failure.meaning, failure.error.kind()), (meaning, kind), "{name}");
        assert_eq!(failure.name, name);
        assert_eq!(failure.error.request_id(), Some("ea966190-f9aa-478e-9ede-example"));
        let hint = failure.error.hint();
        assert_eq!(hint.is_some(), advice.is_some(), "{name}: {hint:?}");
        assert!(hint.is_none_or(|hint| hint.contains(advice.unwrap()) && !hint.contains("--")), "{hint:?}");
    }
}

#[tokio::test]
async fn clocks_that_differ_are_both_named() {
    // Ours is set by the test; theirs is in the head of the answer.
    let late = http::Response::builder().status(401).header("date", "Mon, 30 Nov 2026 14:30:00 GMT");
    let body = "<Response><Errors><Error><Code>AuthFailure</Code><Message>AWS was not able to validate the provided \
                access credentials</Message></Error></Errors></Response>";
    let expired = "Request has expired. Timestamp date is 2026-11-30T12:00:00Z";
    for (refused, theirs) in [
        (Ok(late.body(body.into()).unwrap()), "AWS's 2026-11-30T14:30:00Z"),
        (refusal(400, "RequestExpired", expired), "AWS's 2026-11-30T12:00:01Z"),
    ] {
        let (client, script) = client([refused]);
        let failure = client.call(&DescribeAddresses::default()).await.unwrap_err();
        assert!(failure.is(Clock) && script.count() == 1, "{failure}");
        let text = failure.to_string();
        assert!(
            text.contains("this computer's clock says 2026-11-30T12:00:00Z") && text.contains(theirs),
            "{text}"
        );
        assert!(failure.error.hint().unwrap().contains("timedatectl"));
    }
    // The key itself is wrong when the clocks agree.
    let (client, _) = client([refusal(401, "AuthFailure", "not able to validate")]);
    assert!(client.call(&DescribeAddresses::default()).await.unwrap_err().is(Credentials));
}

#[tokio::test]
async fn a_trial_that_would_succeed_is_a_success_and_one_that_is_carried_out_is_none() {
    let (client, script) = client([
        refusal(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."),
        refusal(403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
        answer(200, EMPTY),
    ]);
    let launch = RunInstances { dry_run: false, ..samples::launch() };
    client.could_run(&launch).await.unwrap();
    assert!(client.could_run(&launch).await.unwrap_err().is(Permission));
    assert!(client.could_run(&launch).await.unwrap_err().unknown);
    assert!(script.bodies().iter().all(|body| body.contains("DryRun=true")));
}

#[tokio::test]
async fn other_services_are_asked_at_their_own_address_and_their_errors_are_read() {
    let caller = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/a</Arn>\
                  <Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
    let denied = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                  <Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.\
                  </Message></Error><RequestId>r-1</RequestId></ErrorResponse>";
    let (client, script) = client([
        answer(200, caller),
        answer(403, denied),
        answer(200, "{\"Parameter\":{\"Name\":\"n\",\"Value\":\"ami-1\",\"Version\":1}}"),
        answer(400, "{\"__type\":\"ParameterNotFound\",\"message\":\"none\",\"Message\":\"none\"}"),
        answer(400, "{\"__type\":\"com.amazon.coral.service#AccessDeniedException\",\"Message\":\"no\"}"),
    ]);
    assert_eq!(client.call(&GetCallerIdentity {}).await.unwrap().caller.account, "1");
    let failure = client.call(&GetCallerIdentity {}).await.unwrap_err();
    assert!(failure.is(Credentials) && failure.error.request_id() == Some("r-1"), "{failure}");
    let name = "/aws/service/debian/release/13/latest/amd64";
    assert_eq!(parameters::public(&client, name).await.unwrap(), "ami-1");
    assert!(parameters::public(&client, name).await.unwrap_err().is(Missing));
    let failure = parameters::public(&client, name).await.unwrap_err();
    assert!(
        failure.is(Permission) && failure.error.hint().unwrap().contains("ssm:GetParameter"),
        "{failure}"
    );
    assert_eq!(parameters::public(&client, "/mine").await.unwrap_err().error.kind(), ErrorKind::Usage);
    let sent = script.sent.lock().unwrap();
    let hosts: Vec<_> = sent.iter().map(|request| request.uri().to_string()).collect();
    assert_eq!(hosts[0], "https://sts.us-east-1.amazonaws.com/");
    assert_eq!(hosts[2], "https://ssm.us-east-1.amazonaws.com/");
    assert_eq!(sent[2].headers()["x-amz-target"], "AmazonSSM.GetParameter");
    let signed = sent[2].headers()["authorization"].to_str().unwrap();
    assert!(
        signed.contains("/20261130/us-east-1/ssm/aws4_request") && signed.contains("x-amz-target"),
        "{signed}"
    );
    assert_eq!(bench::NOON, 1_796_040_000);
}

#[test]
fn an_endpoint_keeps_what_is_sent_from_being_read() {
    let (mut client, _) = client([broken()]);
    for good in ["http://127.0.0.1:5000", "http://[::1]:5000/", "http://localhost", "https://ec2.example.com"]
    {
        client.set_endpoint(Service::Ec2, good).unwrap();
    }
    for bad in
        ["http://ec2.example.com", "ftp://localhost", "https://a@b", "https://b/path", "https://b?x", "", "b"]
    {
        let error = client.set_endpoint(Service::Ec2, bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{bad}");
    }
}
