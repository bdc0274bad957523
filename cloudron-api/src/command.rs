//! Commands of the program on a machine, as values shared by the caller and the program.

use std::path::PathBuf;

#[cfg(feature = "clap")]
use clap::{Args, Subcommand};

/// `<program> box COMMAND [--root DIR]`: a command, and the server that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(Args))]
pub struct BoxCall {
    /// What is to be done.
    #[cfg_attr(feature = "clap", command(subcommand))]
    pub command: BoxCommand,
    /// The folder of a local machine; without it, the machine that this program runs on
    #[cfg_attr(feature = "clap", arg(long, value_name = "DIR", global = true))]
    pub root: Option<PathBuf>,
}

impl BoxCall {
    /// Returns the command line for a program at this path.
    pub fn argv(&self, program: &str) -> Vec<String> {
        let mut argv = vec![program.to_owned(), "box".to_owned()];
        argv.extend(self.command.words());
        if let Some(root) = &self.root {
            argv.extend(["--root".to_owned(), root.to_string_lossy().into_owned()]);
        }
        argv
    }
}

/// What the program does on the machine itself. It answers with one line of JSON, also when it fails; the parts of the
/// server that run until they are told to stop answer nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(Subcommand))]
pub enum BoxCommand {
    /// Run the server until it is told to stop; on a machine of its own, its interface
    Serve,
    /// Run the front, which systemd passes its ports
    Front,
    /// Run the backup worker, which systemd starts by its socket
    Worker,
    /// Run the helper of root, which systemd starts by its socket
    Helper,
    /// Make this place into a server, as the request on standard input says
    Install(FromStdin),
    /// Install this version over the one that is here, and keep everything
    Reinstall,
    /// Remove the server
    Uninstall(Uninstall),
    /// Start the server and wait until it answers
    Start,
    /// Stop the server
    Stop,
    /// Say whether the server runs
    Status,
    /// Put a backup back, as the request on standard input says
    Restore(FromStdin),
    /// Print a token for the interface that is valid for some minutes
    Token,
    /// Print a new token for the first-time setup
    SetupLink,
    /// List the sessions
    Sessions,
    /// End the session of the request on standard input, or all
    EndSessions(FromStdin),
    /// Give the owner the password of the request on standard input
    ResetPassword(FromStdin),
    /// Retire the server, because another machine took over
    Retire,
    /// Take back that the server was retired
    Unretire,
    /// Use the database that is there, or begin a new one
    RepairDatabase,
    /// Say what the machine is, to a computer that adopts it
    Describe,
    /// Keep the owner's record of the machine, as the request on standard input says
    Record(FromStdin),
    /// Say which folders are backed up besides the server's own
    #[cfg_attr(feature = "clap", command(subcommand))]
    Include(IncludeCommand),
    /// Say which names the front passes on to programs of the machine
    #[cfg_attr(feature = "clap", command(subcommand))]
    Proxy(ProxyCommand),
    /// List the objects of the backup store
    StoreList,
    /// Put the objects of the tar on standard input into the backup store
    StoreReceive,
    /// Write or delete an object of the backup store, as the request on standard input says
    StoreChange(FromStdin),
}

/// What is done about the folders that are backed up besides the server's own. The answer is the list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(Subcommand))]
pub enum IncludeCommand {
    /// Add the folder of the request on standard input
    Add(FromStdin),
    /// Remove the folder of the request on standard input
    Remove(FromStdin),
    /// List the folders
    List,
}

/// What is done about the names that the front passes on. The answer is the list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(Subcommand))]
pub enum ProxyCommand {
    /// Add the name of the request on standard input
    Add(FromStdin),
    /// Remove the name of the request on standard input
    Remove(FromStdin),
    /// List the names
    List,
}

/// How a server is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(Args))]
pub struct Uninstall {
    /// Leave the backups
    #[cfg_attr(feature = "clap", arg(long, required_unless_present = "delete_backups"))]
    pub keep_backups: bool,
    /// Remove the backups as well
    #[cfg_attr(feature = "clap", arg(long, conflicts_with = "keep_backups"))]
    pub delete_backups: bool,
    /// Remove the repository of this id all the same when nothing is stored in it
    #[cfg_attr(feature = "clap", arg(long, value_name = "ID"))]
    pub unused_repository: Option<String>,
}

impl Uninstall {
    /// Returns options that remove the server and keep its backups.
    pub fn keeping_backups() -> Self {
        Self { keep_backups: true, delete_backups: false, unused_repository: None }
    }
}

/// The request is JSON on standard input: arguments are visible to every user of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(Args))]
pub struct FromStdin {
    /// The request is JSON on standard input
    #[cfg_attr(feature = "clap", arg(long, required = true))]
    from_stdin: bool,
}

/// A marker for a request read from standard input.
pub const STDIN: FromStdin = FromStdin { from_stdin: true };

impl BoxCommand {
    /// Returns true for a part of the server itself, which logs and answers nobody.
    pub fn is_service(&self) -> bool {
        matches!(self, Self::Serve | Self::Front | Self::Worker | Self::Helper)
    }

    /// Returns the command's name and options as program arguments.
    pub fn words(&self) -> Vec<String> {
        let (name, stdin) = match self {
            Self::Serve => ("serve", false),
            Self::Front => ("front", false),
            Self::Worker => ("worker", false),
            Self::Helper => ("helper", false),
            Self::Install(_) => ("install", true),
            Self::Reinstall => ("reinstall", false),
            Self::Uninstall(uninstall) => return uninstall.words(),
            Self::Start => ("start", false),
            Self::Stop => ("stop", false),
            Self::Status => ("status", false),
            Self::Restore(_) => ("restore", true),
            Self::Token => ("token", false),
            Self::SetupLink => ("setup-link", false),
            Self::Sessions => ("sessions", false),
            Self::EndSessions(_) => ("end-sessions", true),
            Self::ResetPassword(_) => ("reset-password", true),
            Self::Retire => ("retire", false),
            Self::Unretire => ("unretire", false),
            Self::RepairDatabase => ("repair-database", false),
            Self::Describe => ("describe", false),
            Self::Record(_) => ("record", true),
            Self::Include(IncludeCommand::Add(_)) => ("include add", true),
            Self::Include(IncludeCommand::Remove(_)) => ("include remove", true),
            Self::Include(IncludeCommand::List) => ("include list", false),
            Self::Proxy(ProxyCommand::Add(_)) => ("proxy add", true),
            Self::Proxy(ProxyCommand::Remove(_)) => ("proxy remove", true),
            Self::Proxy(ProxyCommand::List) => ("proxy list", false),
            Self::StoreList => ("store-list", false),
            Self::StoreReceive => ("store-receive", false),
            Self::StoreChange(_) => ("store-change", true),
        };
        let words = name.split(' ').chain(stdin.then_some("--from-stdin"));
        words.map(str::to_owned).collect()
    }
}

impl Uninstall {
    fn words(&self) -> Vec<String> {
        let mut words = vec!["uninstall".to_owned()];
        words.extend(self.keep_backups.then(|| "--keep-backups".to_owned()));
        words.extend(self.delete_backups.then(|| "--delete-backups".to_owned()));
        if let Some(id) = &self.unused_repository {
            words.extend(["--unused-repository".to_owned(), id.clone()]);
        }
        words
    }
}
