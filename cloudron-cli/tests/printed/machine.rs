//! The life cycle of a machine on this computer.

use crate::story::Story;

#[test]
fn a_machine_from_its_making_to_its_end_and_back() {
    let mut story = Story::new();
    std::fs::create_dir(story.home.path("photos")).unwrap();
    std::fs::write(story.home.path("photos/a"), "picture").unwrap();
    let photos = story.home.path("photos").display().to_string();
    let create = "machine create local --fqdn demo.localhost --backup-key file:key";
    story.types("machine list");
    story.types("machine status demo.localhost");
    story.types(&format!("{create} --dry-run"));
    story.types(create);
    story.types(create);
    story.types("machine list");
    story.types("machine status demo.localhost");
    story.types("machine setup-link demo.localhost");
    story.types("machine include list demo.localhost");
    story.types(&format!("machine include add demo.localhost {photos}"));
    story.types("machine include add demo.localhost /nowhere");
    story.types("machine backup list demo.localhost");
    story.types("machine backup create demo.localhost");
    story.types("machine backup list demo.localhost");
    story.types("machine backup verify demo.localhost --backup-key file:key --full");
    story.types("machine backup download demo.localhost --decrypt -o x.tar --backup-key file:key");
    story.types("machine backup prune demo.localhost --keep-last 3 --backup-key file:key");
    story.types("machine sessions demo.localhost");
    story.types("machine eventlog demo.localhost --action backup.finish");
    story.types("machine retire demo.localhost --yes");
    story.types("machine status demo.localhost");
    story.types("machine unretire demo.localhost --yes");
    story.types("machine start demo.localhost");
    story.types("machine destroy demo.localhost");
    story.types("machine destroy demo.localhost --yes");
    story.types("machine list");
    story.types("machine backup list demo.localhost --store");
    story.types(&format!("{create} --backup latest"));
    story.types(&format!("{create} --backup latest --restore-path {photos}"));
    story.types("machine destroy demo.localhost --delete-backups --yes");
    story.is("machine");
}

#[test]
fn what_is_not_there_yet_says_what_to_use() {
    let mut story = Story::new();
    for words in
        ["machine update demo.localhost", "machine migrate demo.localhost", "machine restore demo.localhost"]
    {
        story.types(words);
    }
    story.is("planned");
}
