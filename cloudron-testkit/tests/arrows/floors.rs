//! The folders of a crate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::imports::imports;

/// The modules of cloudron-backup, lowest layer first.
const BACKUP: &[&[&str]] = &[
    &["codes", "issue"],
    &["buffers", "files", "runtime"],
    &["chunk", "keys"],
    &["encrypt", "layout"],
    &["store"],
    &["format"],
    &["cache", "packer"],
    &["snapshot"],
    &["backup", "browse", "copy", "export", "prune", "restore", "verify"],
    &["import", "upgrade"],
    &["repository"],
    &["fuzzing"],
];

/// The modules of cloudron-box, lowest layer first.
const BOX: &[&[&str]] = &[
    &["codes"],
    &["api_error", "failure", "time"],
    &["finding", "password", "system"],
    &["host", "include", "log", "settings", "tls"],
    &["db", "firewall", "hardening", "store"],
    &["front", "parts"],
    &["helper"],
    &["worker"],
    &["service", "state"],
    &["admin", "health", "quirks", "upkeep"],
    &["install", "jobs", "repair", "restore"],
    &["http"],
    &["server"],
    &["command"],
    &["tests"],
];

/// Re-exports in `lib.rs` of the core and of the messages, which every module may use.
const OF_ALL: [&str; 6] = ["Error", "Result", "api", "layout", "Include", "Layout"];

#[test]
fn no_folder_of_cloudron_backup_imports_upwards() {
    assert_eq!(upwards(BACKUP, &sources("cloudron-backup")), [""; 0]);
}

#[test]
fn no_folder_of_cloudron_box_imports_upwards() {
    assert_eq!(upwards(BOX, &sources("cloudron-box")), [""; 0]);
}

#[test]
fn an_import_of_a_higher_floor_or_a_neighbour_is_found() {
    let floors: &[&[&str]] = &[&["low"], &["left", "right"], &["high"]];
    let text = |file: &str, source: &str| (PathBuf::from(file), source.to_owned());
    let good = [
        text("lib.rs", "mod low;\npub use high::Face;"),
        text("low.rs", "use crate::Error;"),
        text("left/mod.rs", "use crate::low::{a, b::{C, D}};\nuse super::low::E;"),
        text("left/inner.rs", "use super::Left;"),
        text("right.rs", "mod tests { use super::*; }"),
        text("high/mod.rs", "use crate::{left::Left, right};"),
    ];
    assert_eq!(upwards(floors, &good), [""; 0]);
    let with = |file: &str, source: &str| {
        let files: Vec<_> = good.iter().filter(|(f, _)| f != Path::new(file)).cloned().collect();
        upwards(floors, &[files, vec![text(file, source)]].concat())
    };
    let up = ["low.rs:2 imports high::x, which lies above low"];
    assert_eq!(with("low.rs", "\nuse crate::{Error, high::x};"), up);
    assert_eq!(with("low.rs", "\nfn f() { crate::high::x() }"), up);
    let beside = ["left/inner.rs:1 imports right::R, which lies beside left"];
    assert_eq!(with("left/inner.rs", "use super::super::right::R;"), beside);
    assert_eq!(with("left/inner.rs", "mod tests { use crate::right::R; }"), beside);
    assert_eq!(
        with("low.rs", "use crate::Face;"),
        ["low.rs:1 imports Face, which is no room: import it from its own"]
    );
    assert_eq!(with("attic.rs", ""), ["attic is on no floor"]);
    let without: Vec<_> = good.iter().filter(|(f, _)| f != Path::new("right.rs")).cloned().collect();
    assert!(upwards(floors, &without).contains(&"there is no right".to_owned()));
}

/// Returns the imports from the same or a higher layer, and the modules missing from the list.
fn upwards(floors: &[&[&str]], files: &[(PathBuf, String)]) -> Vec<String> {
    let floor_of: BTreeMap<&str, usize> =
        floors.iter().enumerate().flat_map(|(n, rooms)| rooms.iter().map(move |room| (*room, n))).collect();
    let mut wrong = Vec::new();
    let mut met: BTreeMap<&str, bool> = floor_of.keys().map(|room| (*room, false)).collect();
    for (file, source) in files {
        let module = module_of(file);
        // `lib.rs` itself.
        let Some(room) = module.first() else { continue };
        let Some(floor) = floor_of.get(room.as_str()) else {
            wrong.push(format!("{room} is on no floor"));
            continue;
        };
        met.insert(floor_of.get_key_value(room.as_str()).unwrap().0, true);
        let module: Vec<&str> = module.iter().map(String::as_str).collect();
        for import in imports(&module, source) {
            let (place, path) = (format!("{}:{}", file.display(), import.line), import.path.join("::"));
            let to = import.path.first().map_or("", String::as_str);
            match floor_of.get(to) {
                _ if to == room || OF_ALL.contains(&to) => {}
                None => {
                    wrong.push(format!("{place} imports {path}, which is no room: import it from its own"))
                }
                Some(n) if n > floor => {
                    wrong.push(format!("{place} imports {path}, which lies above {room}"))
                }
                Some(n) if n == floor => {
                    wrong.push(format!("{place} imports {path}, which lies beside {room}"))
                }
                Some(_) => {}
            }
        }
    }
    wrong.extend(met.into_iter().filter(|(_, met)| !met).map(|(room, _)| format!("there is no {room}")));
    wrong.sort();
    wrong.dedup();
    wrong
}

/// Returns the module path of a file below `src`, empty for the crate's root.
fn module_of(file: &Path) -> Vec<String> {
    let mut words: Vec<String> =
        file.with_extension("").iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if words.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        words.pop();
    }
    words
}

/// Returns the source files of a crate, with their paths below `src`.
pub(crate) fn sources(package: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_owned();
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(files.len() > 4, "the sources of {package} are in {}", root.display());
    files
}
