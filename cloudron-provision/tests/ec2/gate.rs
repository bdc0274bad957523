//! The client against a server that behaves as EC2 does on a bad day.

use cloudron_provision::ec2::{Meaning::*, *};
use cloudron_testkit::ec2_gate::{Fault, Gate};
use cloudron_testkit::moto::Moto;

use super::life::{CANONICAL, XENIAL, client_at};

struct Bench {
    gate: Gate,
    client: Client,
    subnets: Vec<Subnet>,
    image: String,
    _moto: Moto,
}

async fn bench() -> Option<Bench> {
    let moto = Moto::start()?;
    let gate = Gate::before(&moto);
    let (client, _) = client_at(&gate.endpoint());
    let subnets = client.all(&DescribeSubnets::default()).await.unwrap();
    let query = lookup::ImageQuery { owner: CANONICAL, name: XENIAL, architecture: "x86_64" };
    let image = lookup::newest_image(&client, query).await.unwrap().image_id;
    Some(Bench { gate, client, subnets, image, _moto: moto })
}

impl Bench {
    async fn group(&self) -> String {
        let request = CreateSecurityGroup {
            group_name: "cloudron-example.com".into(),
            group_description: "my.example.com".into(),
            vpc_id: self.subnets[0].vpc_id.clone(),
            ..CreateSecurityGroup::default()
        };
        self.client.call(&request).await.unwrap().group_id
    }

    fn launch(&self, token: &str, subnet: &Subnet, group: &str) -> RunInstances {
        RunInstances {
            image_id: self.image.clone(),
            instance_type: "t3.small".into(),
            client_token: token.into(),
            network_interfaces: vec![NewInterface {
                subnet_id: subnet.subnet_id.clone(),
                associate_public_ip_address: true,
                security_groups: vec![group.into()],
                delete_on_termination: true,
                ..NewInterface::default()
            }],
            disable_api_termination: true,
            ..RunInstances::default()
        }
    }

    /// The instances that match, with their state.
    async fn found(&self, filters: Vec<Filter>) -> Vec<(String, String)> {
        let found = self.client.all(&DescribeInstances { filters, ..Default::default() }).await.unwrap();
        let instances = found.into_iter().flat_map(|found| found.instances.item);
        instances.map(|instance| (instance.instance_id, instance.instance_state.name)).collect()
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_starts_no_second_instance() {
    let Some(bench) = bench().await else { return };
    let group = bench.group().await;
    let request = bench.launch("token-1", &bench.subnets[0], &group);
    for (n, fault) in
        [Fault::Unanswered, Fault::Misreported(500, "InternalError"), Fault::Lost].into_iter().enumerate()
    {
        bench.gate.fault(n, fault);
    }
    let id = bench.client.call(&request).await.unwrap().instances[0].instance_id.clone();
    assert_eq!(bench.gate.calls().iter().filter(|call| *call == "RunInstances").count(), 4);
    let again = bench.client.call(&request).await.unwrap();
    assert_eq!(again.instances[0].instance_id, id);
    let other = RunInstances { instance_type: "t3.micro".into(), ..request.clone() };
    let refused = bench.client.call(&other).await.unwrap_err();
    assert!(refused.is(TokenReused) && !refused.unknown, "{refused}");
    assert_eq!(bench.found(vec![Filter::new("client-token", "token-1")]).await, [(id, "running".to_owned())]);
    assert_eq!(bench.found(vec![Filter::new("client-token", "token-2")]).await, []);
    assert_eq!(bench.found(vec![]).await.len(), 1);
}

#[tokio::test]
async fn a_group_whose_creation_is_not_answered_is_made_once_and_found_by_its_name() {
    let Some(bench) = bench().await else { return };
    let request = CreateSecurityGroup {
        group_name: "cloudron-example.com".into(),
        group_description: "my.example.com".into(),
        vpc_id: bench.subnets[0].vpc_id.clone(),
        ..CreateSecurityGroup::default()
    };
    bench.gate.fault(0, Fault::Unanswered);
    let before = bench.gate.calls().len();
    let failure = bench.client.call(&request).await.unwrap_err();
    assert!(failure.unknown && bench.gate.calls().len() == before + 1, "{failure}");
    let filters = vec![Filter::new("group-name", "cloudron-example.com")];
    let list = DescribeSecurityGroups { filters, ..Default::default() };
    assert_eq!(bench.client.all(&list).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_new_is_missing_for_a_while_and_a_full_zone_is_told_from_a_full_account() {
    let Some(bench) = bench().await else { return };
    bench.gate.hide_new(2);
    let group = bench.group().await;
    let list = DescribeSecurityGroups { group_ids: vec![group.clone()], ..Default::default() };
    assert!(bench.client.all(&list).await.unwrap_err().is(Missing));
    let request = AuthorizeSecurityGroupIngress { group_id: group.clone(), rules: vec![Rule::tcp(22)] };
    assert!(bench.client.call(&request).await.unwrap_err().is(Missing));
    bench.client.call(&request).await.unwrap();
    let [first, second] = [&bench.subnets[0], &bench.subnets[1]];
    bench.gate.without_capacity(&first.availability_zone, "InsufficientInstanceCapacity");
    let full = bench.client.call(&bench.launch("token-1", first, &group)).await.unwrap_err();
    assert!(full.is(NoCapacity) && !full.unknown, "{full}");
    let started = bench.client.call(&bench.launch("token-2", second, &group)).await.unwrap();
    let id = &started.instances[0].instance_id;
    for _ in 0..2 {
        assert_eq!(bench.found(vec![]).await, []);
    }
    assert_eq!(bench.found(vec![]).await, [(id.clone(), "running".to_owned())]);
    bench.gate.fault(0, Fault::Refused(401, "AuthFailure"));
    assert!(bench.client.all(&list).await.unwrap_err().is(Credentials));
}

#[tokio::test]
async fn an_instance_ends_slowly_and_holds_its_group_until_then() {
    let Some(bench) = bench().await else { return };
    bench.gate.end_slowly(3);
    let group = bench.group().await;
    let started = bench.client.call(&bench.launch("token-1", &bench.subnets[0], &group)).await.unwrap();
    let id = started.instances[0].instance_id.clone();
    let delete = DeleteSecurityGroup { group_id: group };
    assert!(bench.client.call(&delete).await.unwrap_err().is(InUse));
    let terminate = TerminateInstances { instance_ids: vec![id.clone()] };
    assert!(bench.client.call(&terminate).await.unwrap_err().is(Protected));
    let request = ModifyInstanceAttribute {
        instance_id: id.clone(),
        disable_api_termination: Some(Switch { value: false }),
    };
    bench.client.call(&request).await.unwrap();
    bench.client.call(&terminate).await.unwrap();
    // Twice is the same as once.
    assert_eq!(bench.client.call(&terminate).await.unwrap().instances[0].current_state.name, "shutting-down");
    let states = ["pending", "running", "shutting-down", "stopping", "stopped"];
    let alive = || vec![Filter::any("instance-state-name", states)];
    assert_eq!(bench.found(alive()).await, [(id.clone(), "shutting-down".to_owned())]);
    assert!(bench.client.call(&delete).await.unwrap_err().is(InUse));
    assert_eq!(bench.found(vec![]).await, [(id.clone(), "shutting-down".to_owned())]);
    assert_eq!(bench.found(alive()).await, []);
    assert_eq!(bench.found(vec![]).await, [(id, "terminated".to_owned())]);
    bench.client.call(&delete).await.unwrap();
}
