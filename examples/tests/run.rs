//! Runs every example and checks its output.

use std::fs;
use std::process::{Command, Output};

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

fn succeeded(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn dns_records_are_planned_in_memory() {
    let printed = succeeded(run(env!("CARGO_BIN_EXE_plan_dns_in_memory"), &[]));
    assert_eq!(
        printed,
        r#"- example.com. 300 IN TXT "v=spf1 include:_spf.example.net -all"
+ example.com. 300 IN TXT "v=spf1 include:_spf.example.net a:my.example.com -all"
+ example.com. 300 IN MX 10 my.example.com.
+ *.example.com. 300 IN A 192.0.2.1
+ _dmarc.example.com. 300 IN TXT "v=DMARC1; p=none"
+ my.example.com. 300 IN A 192.0.2.1
after applying it:
= 5 record sets are right already
"#
    );
}

#[test]
fn a_folder_is_backed_up_restored_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir_all(path("folder/inner")).unwrap();
    fs::write(path("folder/note"), "remember").unwrap();
    // Larger than a chunk and a pack.
    let large: Vec<u8> = (0..20_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(path("folder/inner/large"), &large).unwrap();
    fs::write(path("key"), "correct horse battery staple\n").unwrap();
    let arguments = ["folder", "store", "target", "key"].map(path);
    let arguments = arguments.each_ref().map(String::as_str);

    let printed = succeeded(run(env!("CARGO_BIN_EXE_back_up_a_folder"), &arguments));
    assert!(printed.contains(": 2 files, 20000008 bytes\n"), "{printed}");
    assert!(printed.contains("entries are identical\n"), "{printed}");
    let restored = dir.path().join("target");
    let folder = arguments[0].trim_start_matches('/');
    let found = [restored.join(folder), restored].into_iter().find(|p| p.join("note").exists()).unwrap();
    assert!(fs::read(found.join("inner/large")).unwrap() == large);

    // A second run finds the existing repository and reports it instead of overwriting it.
    let again = run(env!("CARGO_BIN_EXE_back_up_a_folder"), &arguments);
    assert!(!again.status.success());
    assert!(!String::from_utf8_lossy(&again.stderr).contains("correct horse"));
}
