//! Backups without a server.

use crate::story::Story;

#[test]
fn a_repository_from_its_making_to_a_restore() {
    let mut story = Story::new();
    let files = story.home.path("files");
    std::fs::create_dir_all(files.join("sub")).unwrap();
    std::fs::write(files.join("a.txt"), "one\n").unwrap();
    std::fs::write(files.join("sub/b.txt"), "two\n").unwrap();
    let used = "--store store --backup-key file:key";
    story.types("backup list --store store");
    story.types(&format!("backup init {used}"));
    story.types(&format!("backup init {used}"));
    story.types("backup list --store store");
    story.types(&format!("backup create files {used} --dry-run"));
    let first = story.types(&format!("backup create files {used}"));
    std::fs::write(files.join("c.txt"), "three\n").unwrap();
    std::fs::write(files.join("a.txt"), "changed\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    story.types(&format!("backup create files {used} --tag second --exclude b.txt"));
    story.types(&format!("backup create files {used} --exclude ./b.txt"));
    story.types(&format!("backup create nowhere {used}"));
    story.types("backup list --store store");
    story.types("backup list --store store --tag nothing");
    story.types(&format!("backup find b.txt {used}"));
    story.types(&format!("backup find nothing {used}"));
    let first = first.lines().next().unwrap();
    story.types(&format!("backup diff {first} latest {used}"));
    story.types("backup verify --store store");
    story.types(&format!("backup verify {used} --full"));
    story.types(&format!("backup restore latest {used} --target out"));
    std::fs::write(story.home.path("out").join(files.strip_prefix("/").unwrap()).join("c.txt"), "mine\n")
        .unwrap();
    story.types(&format!("backup restore latest {used} --target out"));
    story.types(&format!("backup export latest {used} -o x.tar --decrypt"));
    story.types(&format!("backup export latest {used} -o x.tar --decrypt"));
    story.types("backup copy --store store --to copy");
    story.types("backup copy --store store --to copy");
    story.types(&format!("backup prune {used} --keep-last 1 --dry-run"));
    story.types(&format!("backup prune {used} --keep-last 1"));
    story.types(&format!("backup prune {used} --keep-last 9"));
    story.types(&format!("backup repair {used}"));
    story.types(&format!("backup upgrade {used}"));
    story.types("backup verify --store nowhere");
    story.types("backup verify --store ftp://example.com/x");
    story.is("backup");
}

#[test]
fn the_keys_of_a_repository() {
    let mut story = Story::new();
    std::fs::write(story.home.path("other"), "another key of this repository\n").unwrap();
    std::fs::set_permissions(story.home.path("other"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let used = "--store store --backup-key file:key";
    story.types(&format!("backup init {used}"));
    story.types(&format!("backup key add spare --new-key file:other {used}"));
    story.types(&format!("backup key paper safe {used}"));
    story.types("backup key list --store store");
    story.types(&format!("backup key writer --name laptop -o writer.json {used}"));
    story.types("backup key writers --store store");
    story.types(&format!("backup key revoke laptop {used} --keep-none --yes"));
    story.types("backup key writers --store store");
    story.types(&format!("backup key remove spare {used} --yes"));
    story.types(&format!("backup key remove main {used} --yes"));
    story.types("backup verify --store store --backup-key file:other --full");
    story.is("keys");
}
