//! Commands that this program has itself run on a machine: what one computer writes, the program there understands.

use std::collections::BTreeSet;

use clap::FromArgMatches;
use cloudron_api::command::{IncludeCommand, ProxyCommand, STDIN, Uninstall as HowRemoved};
use cloudron_api::{BoxCall, BoxCommand};

/// Returns one of each command, and of each way to remove a server.
fn all() -> Vec<BoxCommand> {
    use BoxCommand::*;
    let id = Some("0a1b".to_owned());
    vec![
        Serve,
        Front,
        Worker,
        Helper,
        Install(STDIN),
        Reinstall,
        Uninstall(HowRemoved::keeping_backups()),
        Uninstall(HowRemoved { keep_backups: false, delete_backups: true, unused_repository: None }),
        Uninstall(HowRemoved { keep_backups: true, delete_backups: false, unused_repository: id }),
        Start,
        Stop,
        Status,
        Restore(STDIN),
        Token,
        SetupLink,
        Sessions,
        EndSessions(STDIN),
        ResetPassword(STDIN),
        Retire,
        Unretire,
        RepairDatabase,
        Describe,
        Record(STDIN),
        Include(IncludeCommand::Add(STDIN)),
        Include(IncludeCommand::Remove(STDIN)),
        Include(IncludeCommand::List),
        Proxy(ProxyCommand::Add(STDIN)),
        Proxy(ProxyCommand::Remove(STDIN)),
        Proxy(ProxyCommand::List),
        StoreList,
        StoreReceive,
        StoreChange(STDIN),
    ]
}

#[test]
fn every_command_that_is_written_is_parsed_back_equal() {
    for command in all() {
        for root in [None, Some("/a place/demo.localhost".into())] {
            let call = BoxCall { command: command.clone(), root };
            let argv = call.argv("/usr/local/bin/cloudron");
            let matches = cloudron_cli::command()
                .try_get_matches_from(&argv)
                .unwrap_or_else(|e| panic!("{argv:?}: {e}"));
            let (name, of_box) = matches.subcommand().unwrap();
            assert_eq!(name, "box", "{argv:?} is another command");
            assert_eq!(BoxCall::from_arg_matches(of_box).unwrap(), call, "{argv:?}");
        }
    }
}

#[test]
fn the_test_above_knows_every_command() {
    let program = cloudron_cli::command();
    let of_box = program.find_subcommand("box").unwrap();
    let names = of_box.get_subcommands().map(|c| c.get_name().to_owned()).collect::<BTreeSet<_>>();
    let tried = all().iter().map(|c| c.words()[0].clone()).collect::<BTreeSet<_>>();
    assert_eq!(tried, names);
}
