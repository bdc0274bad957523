//! A server as a separate process: this program is the test and, called as `box serve`, the server.

#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::{Duration, Instant};

use cloudron_backup::{Identity, InitOptions, Repository, open_store};
use cloudron_box::install::{InstallRequest, Supervisor, install, uninstall};
use cloudron_box::{Layout, admin, codes, service};
use cloudron_core::{Domain, Secret};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["box", "serve", "--root", folder] => be_a_server(Path::new(folder)),
        // The query of a test runner before it runs a test.
        ["--list", ..] => println!("a_server_outlives_its_starter_and_survives_being_killed: test"),
        _ => test(),
    }
}

fn be_a_server(folder: &Path) {
    let stop = async {
        let kind = tokio::signal::unix::SignalKind::terminate();
        tokio::signal::unix::signal(kind).expect("signals can be listened to").recv().await;
    };
    let layout = Layout::rooted(folder);
    let served = runtime().block_on(cloudron_box::serve(&layout, stop));
    std::process::exit(served.map_or_else(|e| e.kind().exit_code().into(), |()| 0));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime can be made")
}

const LIMIT: Duration = Duration::from_secs(30);

fn test() {
    let home = tempfile::tempdir().unwrap();
    let layout = Layout::rooted(home.path().join("machine"));
    install(&layout, &request(home.path())).unwrap();
    let program = std::env::current_exe().unwrap();
    let begun = Instant::now();
    let first = service::start_program(&layout, &program, LIMIT).unwrap();
    println!("started in {} ms", begun.elapsed().as_millis());
    let pid = first.pid.unwrap();
    assert_ne!(pid, std::process::id());
    assert_eq!(first.answer.unwrap().fqdn, "demo.localhost");

    // Starting it again has no effect; a second server with the same state is refused.
    assert_eq!(service::start_program(&layout, &program, LIMIT).unwrap().pid, Some(pid));
    let second = std::process::Command::new(&program).args(layout.serve_arguments()).status().unwrap();
    assert_eq!(second.code(), Some(5));
    assert!(service::status(&layout).unwrap().answer.is_some());

    // It is a session leader, so that no terminal and no logout ends it.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().to_owned();
    assert_eq!(session, pid.to_string());

    // After a kill, it is reported as not running, and starts again on the same port.
    assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    let begun = Instant::now();
    while service::status(&layout).unwrap().running {
        assert!(begun.elapsed() < LIMIT);
        std::thread::sleep(Duration::from_millis(10));
    }
    let again = service::start_program(&layout, &program, LIMIT).unwrap();
    assert_eq!(again.port, first.port);
    assert_ne!(again.pid, Some(pid));
    admin::mint_token(&layout, "test", Duration::from_secs(60)).unwrap();

    // When stopped, it releases everything; an error at the start has its own code.
    service::stop(&layout).unwrap();
    service::stop(&layout).unwrap();
    assert!(!service::status(&layout).unwrap().running);
    let taken = std::net::TcpListener::bind(("127.0.0.1", again.port)).unwrap();
    let error = service::start_program(&layout, &program, LIMIT).unwrap_err();
    assert!(error.is(&codes::PORT_IN_USE), "{error:?}");
    drop(taken);
    std::fs::write(layout.database(), vec![7; 9000]).unwrap();
    let error = service::start_program(&layout, &program, LIMIT).unwrap_err();
    assert!(error.is(&codes::DATABASE_CORRUPT), "{error:?}");

    uninstall(&layout, false).unwrap();
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    println!("test a_server_outlives_its_starter_and_survives_being_killed ... ok");
}

fn request(home: &Path) -> InstallRequest {
    let store = home.join("store").display().to_string();
    let options = InitOptions { work_factor: Some(2) };
    let key = Secret::new("a key for a test");
    let made = runtime().block_on(Repository::init(open_store(&store).unwrap(), &key, options));
    let identity: Identity = made.unwrap().1;
    InstallRequest {
        fqdn: Domain::parse_any("demo.localhost").unwrap(),
        provider: "local".into(),
        run: "run".into(),
        supervisor: Supervisor::Detached,
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        store,
        writer_keys: Secret::new(serde_json::to_string(&identity.writer_keys()).unwrap()),
        repository: Vec::new(),
        repository_id: None,
        store_access: None,
        includes: Vec::new(),
        backup_hour: None,
    }
}
