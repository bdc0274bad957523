//! The life cycle of a machine in a program that uses the library: runs the example with this program
//! installed.

mod common;

#[path = "../../examples/src/bin/local_machine.rs"]
#[allow(dead_code, unreachable_pub, clippy::print_stdout, reason = "it is a program by itself")]
mod local_machine;

use common::{FAST_KEY, Home};

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_created_backed_up_destroyed_and_restored_from_rust() {
    let home = Home::new();
    std::fs::write(home.path("key"), format!("{FAST_KEY}\n")).unwrap();
    let path = |name: &str| home.path(name).to_str().unwrap().to_owned();
    local_machine::live(&path("machines"), env!("CARGO_BIN_EXE_cloudron"), &path("key")).await.unwrap();
    let left = |folder: &str| std::fs::read_dir(home.path(folder)).map_or(0, Iterator::count);
    assert_eq!(left("machines/state/machines"), 0);
    assert_eq!(left("machines/state/local"), 0);
    assert_eq!(left("machines/data/backups"), 0);
}
