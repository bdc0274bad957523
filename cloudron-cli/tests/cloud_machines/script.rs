//! A setup script in place of the installer.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use cloudron_machine::CreateRequest;
use cloudron_provision::codes;

use crate::bench::{Bench, KEY};

fn script(bench: &Bench, text: &str) -> PathBuf {
    let path = bench.home("script.sh").path().to_owned();
    std::fs::write(&path, text).unwrap();
    path
}

fn request(bench: &Bench, script: &Path) -> CreateRequest {
    let mut request = bench.request();
    request.setup_script = Some(script.to_str().unwrap().to_owned());
    request
}

/// Installs by our installer, after a change of its own.
fn good(bench: &Bench) -> String {
    let mark = bench.machine.path("script-ran");
    format!("#!/bin/sh\necho ran >>{}\necho noise\nexec \"$@\"\n", mark.display())
}

fn runs(bench: &Bench) -> usize {
    std::fs::read_to_string(bench.machine.path("script-ran")).unwrap_or_default().lines().count()
}

/// Returns the journals of a computer.
fn journals(folder: &Path) -> String {
    let mut found = String::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path().is_dir() {
            true => found += &journals(&entry.path()),
            false => found += &String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()),
        }
    }
    found
}

#[test]
fn a_setup_script_installs_the_server_once_and_its_digest_is_kept() {
    let Some(bench) = Bench::new() else { return };
    let path = script(&bench, &good(&bench));
    let home = bench.home("laptop");
    // It has run when the next command is the last one of this computer.
    std::fs::write(bench.machine.path("stop"), "box start").unwrap();
    let (stop, stopped) = (bench.stop.clone(), bench.machine.path("stopped"));
    let watcher = std::thread::spawn(move || {
        while !stopped.exists() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        stop.die();
    });
    assert!(bench.create_until(&home, (0, false), request(&bench, &path)).is_none());
    watcher.join().unwrap();
    assert_eq!(runs(&bench), 1);
    let kept = journals(home.path());
    assert!(kept.contains("\"setupScript\":{\"sha256\":\""), "{kept}");

    // Another script, or none, is noticed.
    let mut again = request(&bench, &path);
    again.resume = true;
    let mut none = again.clone();
    none.setup_script = None;
    let error = bench.create_until(&home, (0, false), none).unwrap().unwrap_err();
    assert!(error.is(&codes::SETUP_SCRIPT_CHANGED), "{error:?}");
    std::fs::write(&path, "#!/bin/sh\nexit 1\n").unwrap();
    let error = bench.create_until(&home, (0, false), again.clone()).unwrap().unwrap_err();
    assert!(error.is(&codes::SETUP_SCRIPT_CHANGED), "{error:?}");

    std::fs::write(&path, good(&bench)).unwrap();
    bench.create_until(&home, (0, false), again).unwrap().unwrap();
    assert_eq!(runs(&bench), 1, "it is not run again");
    let left = std::fs::read_dir(bench.machine.path("usr/local/lib/cloudron"));
    let parts =
        left.into_iter().flatten().flatten().filter(|e| e.file_name().to_string_lossy().ends_with(".part"));
    assert_eq!(parts.count(), 0, "the script stays on the machine");
    bench.destroy(&home).unwrap();
    bench.assert_nothing("destroyed");
}

#[test]
fn a_setup_script_that_fails_says_its_last_lines_without_secrets_and_is_undone() {
    let Some(bench) = Bench::new() else { return };
    let home = bench.home("laptop");
    let path = script(
        &bench,
        "#!/bin/sh\ntee /dev/stderr | cat >/dev/null\nprintf '\\n\\033[1mno such package\\n' >&2\nexit 3\n",
    );
    let error = bench.create_until(&home, (0, false), request(&bench, &path)).unwrap().unwrap_err();
    assert!(error.is(&codes::SETUP_SCRIPT), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("ended with status 3") && text.contains("no such package"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let kept = journals(home.path()) + &text;
    for secret in [KEY, "AGE-SECRET-KEY", "PRIVATE KEY"] {
        assert!(!kept.contains(secret), "{secret}: {kept}");
    }
    bench.assert_nothing("failed");

    let path = script(&bench, "#!/bin/sh\necho '{}'\n");
    let error = bench.create_until(&home, (0, false), request(&bench, &path)).unwrap().unwrap_err();
    assert!(error.is(&codes::SETUP_SCRIPT) && error.to_string().contains("response"), "{error:?}");
    bench.assert_nothing("no response");
}

#[test]
fn what_is_no_setup_script_is_refused_before_any_call() {
    let Some(bench) = Bench::new() else { return };
    let home = bench.home("laptop");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut head = [0; 2000];
            let n = stream.read(&mut head).unwrap_or_default();
            let lost = head[..n].starts_with(b"GET /moved");
            let (status, length) = if lost { ("302 Found", 0) } else { ("200 OK", 2 << 20) };
            let _ =
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(&vec![b'#'; length]);
        }
    });
    let with = |source: String| {
        let mut request = bench.request();
        request.setup_script = Some(source);
        bench.create_until(&home, (0, false), request).unwrap().unwrap_err()
    };
    let long = script(&bench, &format!("#!/bin/sh\n{}", "#".repeat(1 << 20)));
    let long = long.to_str().unwrap().to_owned();
    for (source, code) in [
        (long, "setup-script-invalid"),
        ("http://192.0.2.1/x.sh".into(), "setup-script-invalid"),
        ("http://127.0.0.1.example.com/x.sh".into(), "setup-script-invalid"),
        ("https://me:canary@example.com/x.sh".into(), "setup-script-invalid"),
        ("https://example.com/x.sh?token=canary".into(), "setup-script-invalid"),
        ("ftp://example.com/x.sh".into(), "setup-script-invalid"),
        (format!("http://{address}/moved"), "setup-script-invalid"),
        (format!("http://{address}/long"), "http-unreachable"),
        ("/nowhere/x.sh".into(), "file-missing"),
    ] {
        let error = with(source.clone());
        assert_eq!(error.code().name, code, "{source}: {error:?}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    assert_eq!(bench.cloud.take_calls(), []);
}
