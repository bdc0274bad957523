"""A machine's life with boto3: life.py ENDPOINT"""
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

client = boto3.client(
    "ec2",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="id",
    aws_secret_access_key="secret",
    config=Config(retries={"max_attempts": 4, "mode": "standard"}),
)


def refused(code, call, **parameters):
    try:
        call(**parameters)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return
    raise AssertionError(f"{code} was expected")


def states(**parameters):
    reservations = client.describe_instances(**parameters)["Reservations"]
    return [instance["State"]["Name"] for reservation in reservations for instance in reservation["Instances"]]


tags = [{"Key": "cloudron:fqdn", "Value": "example.com"}]
image = client.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]
subnets = {subnet["AvailabilityZone"]: subnet for subnet in client.describe_subnets()["Subnets"]}
vpc = subnets["us-east-1a"]["VpcId"]

group = client.create_security_group(
    GroupName="g",
    Description="d",
    VpcId=vpc,
    TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
)["GroupId"]
refused("InvalidGroup.NotFound", client.describe_security_groups, GroupIds=[group])
rules = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
client.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)


def launch(zone, token, **more):
    interface = {"DeviceIndex": 0, "SubnetId": subnets[zone]["SubnetId"], "Groups": [group]}
    interface["DeleteOnTermination"] = True
    return client.run_instances(
        ImageId=image,
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        ClientToken=token,
        NetworkInterfaces=[interface],
        DisableApiTermination=True,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        **more,
    )["Instances"][0]["InstanceId"]


refused("InsufficientInstanceCapacity", launch, zone="us-east-1a", token="one")
refused("DryRunOperation", launch, zone="us-east-1b", token="two", DryRun=True)
instance = launch("us-east-1b", "two")
assert launch("us-east-1b", "two") == instance
refused("IdempotentParameterMismatch", launch, zone="us-east-1b", token="two", KeyName="other")
by_tag = [{"Name": "tag:cloudron:fqdn", "Values": ["example.com"]}]
assert states(Filters=by_tag) == []
assert states(Filters=by_tag) == ["running"]
assert states(Filters=[{"Name": "client-token", "Values": ["two"]}]) == ["running"]
assert states(Filters=[{"Name": "client-token", "Values": ["three"]}]) == []

refused("DependencyViolation", client.delete_security_group, GroupId=group)
refused("OperationNotPermitted", client.terminate_instances, InstanceIds=[instance])
client.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
client.terminate_instances(InstanceIds=[instance])
client.terminate_instances(InstanceIds=[instance])
assert states(InstanceIds=[instance]) == ["shutting-down"]
refused("DependencyViolation", client.delete_security_group, GroupId=group)
assert states(InstanceIds=[instance]) == ["terminated"]
client.delete_security_group(GroupId=group)
print("done")
