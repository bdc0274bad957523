//! Commands of the original Cloudron that this version does not have fail with a hint.

use crate::common::Home;

#[test]
fn a_command_that_is_not_here_names_the_one_to_use_and_does_nothing() {
    let home = Home::new();
    let ec2 = "machine create ec2 --region eu-central-1 --type t2.small --disk-size 30 --ssh-key key --access-key-id ID \
               --secret-access-key s3cr3t --backup-bucket bucket --backup-key secret --fqdn example.com";
    let list = "machine backup list --provider ec2 --region eu-central-1 --access-key-id ID --secret-access-key s3cr3t \
                --backup-bucket bucket example.com";
    for (line, next) in [
        (ec2, "machine create generic"),
        ("machine create ec2 --help", "machine create generic"),
        ("machine create ec2", "machine create generic"),
        ("machine create digitalocean --fqdn example.com --region fra1 --token T", "machine create generic"),
        ("machine create hetzner --fqdn example.com", "machine create generic"),
        ("machine restore example.com", "--backup latest"),
        ("machine restore", "--backup latest"),
        ("machine migrate example.com --to 192.0.2.1", "backup download"),
        ("machine update example.com", "--backup latest"),
        ("machine upgrade example.com", "--backup latest"),
        ("machine hotfix --ssh-key key example.com", "--backup latest"),
        (list, "--store s3://"),
        ("policy iam --bucket x", "docs/stores.md"),
    ] {
        let run = home.run(&line.split_whitespace().collect::<Vec<_>>());
        run.failed(2, "not-yet", next);
        assert!(!run.stderr.contains("destroy"), "{line}: {}", run.stderr);
        assert!(run.stdout.is_empty() && !run.stderr.contains("s3cr3t"), "{line}: {}", run.stderr);
    }
    assert!(!home.path(".local").exists());
    for help in [&["machine", "--help"][..], &["machine", "create", "--help"], &["policy", "--help"]] {
        let help = home.ok(help);
        for hidden in ["ec2", "hotfix", "migrate", "iam"] {
            assert!(!help.contains(hidden), "{hidden} is offered: {help}");
        }
    }
}
