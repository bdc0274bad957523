//! The states in which a machine's life on a server can be interrupted, and what a user types then. Every error is
//! answered with its `next:` line.

use cloudron_e2e::{Cloudron, Server, available};
use cloudron_testkit::hints::{Hint, hints, next};

use std::time::{Duration, Instant};

use super::scene::{DOMAIN, ONLY_COPY, Scene};

const PATIENCE: Duration = Duration::from_secs(60);

/// How often a run may be too fast to be killed in time.
const ATTEMPTS: usize = 10;

/// Number of consecutive errors after which the hints count as circular.
const ERRORS: usize = 5;

impl Scene {
    /// Starts to create the machine, and kills the program when its journal has this record of a step.
    fn killed_at(&self, extra: &[&str], kind: &str, step: &str) {
        let arguments = self.create_arguments(extra);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let record = format!("\"kind\":\"{kind}\",\"step\":\"{step}\"");
        for _ in 0..ATTEMPTS {
            let mut running = self.laptop.spawn(&arguments);
            let begun = Instant::now();
            // A step may take only milliseconds.
            while !journals(&self.laptop).contains(&record) && running.runs() {
                assert!(begun.elapsed() < PATIENCE, "the journal never has {record}");
                std::thread::sleep(Duration::from_millis(1));
            }
            if running.kill().code != 0 {
                return;
            }
            // The run ended before it could be killed.
            self.laptop.ok(&["machine", "destroy", DOMAIN, "--delete-backups", "--yes"]);
            std::fs::remove_dir_all(self.laptop.home().join(".local/state/cloudron/runs")).unwrap();
        }
        panic!("create ends before it can be killed at {step}");
    }

    /// Types the command that creates the machine, and then follows the hints of errors: `choose` selects an
    /// alternative. Returns all that was typed.
    #[track_caller]
    fn typed(&self, extra: &[&str], choose: impl Fn(&[Hint]) -> usize) -> String {
        let mut command = self.create_arguments(extra);
        let mut story = String::new();
        for _ in 0..ERRORS {
            let run = self.laptop.run(&command.iter().map(String::as_str).collect::<Vec<_>>());
            story += &run.to_string();
            if run.code == 0 {
                return story;
            }
            let ways = hints(&run.stderr, &self.backup_key);
            assert!(!ways.is_empty(), "an error names no way on: {story}");
            command = next(&command, &ways[choose(&ways).min(ways.len() - 1)]);
        }
        panic!("the hints lead nowhere: {story}");
    }

    /// Checks that the machine is healthy and makes backups.
    #[track_caller]
    fn is_well(&self) {
        self.back_up();
        self.laptop.ok(&["machine", "status", DOMAIN]);
    }

    /// Switches to another computer of the same owner, for the same server.
    fn on_another_computer(self) -> Self {
        let laptop = Cloudron::new();
        let backup_key = laptop.secret("backup-key", super::scene::BACKUP_KEY);
        Self { server: self.server, laptop, backup_key }
    }
}

fn journals(laptop: &Cloudron) -> String {
    let runs = std::fs::read_dir(laptop.home().join(".local/state/cloudron/runs"));
    let files = runs.into_iter().flatten().flatten().map(|entry| entry.path());
    files
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .map(|path| std::fs::read_to_string(path).unwrap_or_default())
        .collect()
}

/// Selects the alternative that adds this option, or is this command.
fn with(words: &str) -> impl Fn(&[Hint]) -> usize {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    move |ways| {
        let is = |way: &Hint| match way {
            Hint::Add(more) | Hint::Command(more) => more.starts_with(&words),
            Hint::Leave(_) => false,
        };
        ways.iter().position(is).unwrap_or(0)
    }
}

#[test]
fn a_run_that_died_after_ssh_had_moved_is_resumed_with_the_same_options() {
    if !available() {
        return;
    }
    let scene = Scene::bare("resume");
    scene.killed_at(&[], "done", "ssh-port");
    assert!(!scene.server.listens(22));
    scene.create(&["--resume"]);
    scene.is_well();
}

#[test]
fn a_run_that_died_at_any_step_is_resumed_or_destroyed_and_leaves_nothing() {
    if !available() {
        return;
    }
    let scene = Scene::bare("died");
    for (n, step) in
        ["first-contact", "program", "server", "start", "ssh-port", "health", "record"].iter().enumerate()
    {
        scene.killed_at(&[], "intent", step);
        if n % 2 == 0 {
            // The hint of `run-exists` contains both commands.
            scene.typed(&[], with("--resume"));
            scene.is_well();
        } else {
            let story = scene.typed(&[], with("machine destroy"));
            assert_eq!(scene.traces(), "", "{story}");
            scene.create(&[]);
            scene.is_well();
        }
        scene.laptop.ok(&["machine", "destroy", DOMAIN, "--delete-backups", "--yes"]);
        assert_eq!(scene.traces(), "", "after {step}");
        assert!(scene.server.greets(22) && !scene.server.listens(202));
        // The journals are removed, so that only the next run's is searched.
        std::fs::remove_dir_all(scene.laptop.home().join(".local/state/cloudron/runs")).unwrap();
    }
}

#[test]
fn a_run_that_failed_leaves_no_repository_and_the_next_one_makes_backups() {
    if !available() {
        return;
    }
    let scene = Scene::bare("failed");
    // The server is installed, with its repository, and cannot start.
    let folder = "/etc/systemd/system/cloudron-box.service.d";
    scene.server.exec_ok(&format!(
        "mkdir {folder} && printf '[Service]\\nExecStartPre=false\\n' >{folder}/broken.conf"
    ));
    let run = scene.try_create(&[]);
    scene.server.exec_ok(&format!("rm -r {folder}"));
    assert_ne!(run.code, 0, "{run}");
    assert!(run.stderr.contains("Start the server: not done"), "{run}");
    assert_eq!(scene.traces(), "", "{run}");
    scene.create(&[]);
    scene.is_well();
}

#[test]
fn the_backups_of_a_destroyed_machine_are_asked_about_and_never_in_the_way() {
    if !available() {
        return;
    }
    let scene = Scene::bare("again");
    scene.create(&[]);
    // An unused repository is not kept.
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--yes"]);
    scene.create(&["--backup-key", &scene.laptop.secret("second", "kanari-second-key-11")]);
    let backup = scene.back_up();
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--yes"]);

    // The repository has the second key; the first one does not open it.
    let wrong = scene.try_create(&[]);
    assert_eq!(wrong.code, 4, "{wrong}");
    assert!(wrong.stderr.contains(&backup) && wrong.stderr.contains("--discard-backups"), "{wrong}");
    let second = format!("file:{}", scene.laptop.place("secrets").join("second").display());
    let scene = Scene { backup_key: second, ..scene };
    scene.create(&["--backup", "latest"]);
    assert_eq!(scene.laptop.backups(DOMAIN), [backup.as_str()]);
    scene.is_well();
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--yes"]);
    // A new server in the same repository.
    let run = scene.create(&[]);
    assert!(run.stderr.contains("Continuing in the repository on"), "{run}");
    assert!(scene.laptop.backups(DOMAIN).contains(&backup));
    scene.is_well();
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--yes"]);
    scene.create(&["--discard-backups"]);
    assert!(scene.laptop.backups(DOMAIN).is_empty());
    scene.is_well();
}

#[test]
fn the_backups_of_a_destroyed_machine_are_read_and_removed_by_the_commands_that_it_names() {
    if !available() {
        return;
    }
    let scene = Scene::with_files("kept", 1_000_000);
    let backup = scene.back_up();
    let run = scene.laptop.ok(&["machine", "destroy", DOMAIN, "--yes"]);
    let place = format!("on {} in /var/backups/cloudron", scene.server.ip());
    assert!(run.stdout.contains(&place), "{run}");
    assert!(run.stderr.contains("machine backup list example.com"), "{run}");
    assert_eq!(scene.laptop.backups(DOMAIN), [backup.as_str()]);
    scene.laptop.ok(&["machine", "backup", "verify", DOMAIN]);
    let copy = scene.laptop.place("copy").display().to_string();
    scene.laptop.ok(&["machine", "backup", "download", DOMAIN, "--repository", &copy]);
    scene.laptop.ok(&[
        "machine",
        "backup",
        "verify",
        DOMAIN,
        "--store",
        &copy,
        "--full",
        "--backup-key",
        &scene.backup_key,
    ]);
    let status = scene.laptop.fails(3, &["machine", "status", DOMAIN]);
    assert!(status.stderr.contains(&place), "{status}");
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--delete-backups", "--yes"]);
    assert_eq!(scene.traces(), "");
    scene.laptop.fails(3, &["machine", "backup", "list", DOMAIN]);
}

#[test]
fn a_server_whose_owner_lost_the_laptop_is_adopted_by_another_one() {
    if !available() {
        return;
    }
    let scene = Scene::bare("adopted");
    scene.create(&[]);
    let backup = scene.back_up();
    let scene = scene.on_another_computer();
    // The error names the whole command.
    let story = scene.typed(&["--ssh-port", "202"], with("machine adopt"));
    assert!(story.contains(ONLY_COPY), "{story}");
    assert_eq!(scene.laptop.backups(DOMAIN), [backup.as_str()]);
    scene.is_well();
    assert_eq!(scene.laptop.ok(&["machine", "ssh", DOMAIN, "--", "echo", "here"]).stdout, "here\n");
    // A server is not reinstalled under another name, and the hint contains the command to remove it.
    let other = scene.create_arguments(&["--ssh-port", "202"]);
    let other: Vec<&str> =
        other.iter().map(|word| if word == DOMAIN { "other.org" } else { word.as_str() }).collect();
    let run = scene.laptop.run(&other);
    assert!(
        run.stderr.contains("machine-taken") && run.stderr.contains("machine adopt example.com"),
        "{run}"
    );
    // If its record is deleted by mistake, it is adopted again without any option.
    std::fs::remove_dir_all(scene.laptop.home().join(".local/state/cloudron/machines")).unwrap();
    scene.typed(&["--ssh-port", "202"], with("machine adopt"));
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--delete-backups", "--yes"]);
    assert_eq!(scene.traces(), "");
    assert!(scene.server.greets(22) && !scene.server.listens(202));
}

#[test]
fn a_burnt_server_is_forgotten_as_the_errors_say_and_comes_back_on_another_one() {
    if !available() {
        return;
    }
    let mut scene = Scene::bare("burnt");
    // The key outlives the server.
    let key = scene.laptop.place("id_ed25519");
    std::fs::copy(scene.server.key_path(), &key).unwrap();
    let run = scene.create(&["--ssh-key", key.to_str().unwrap()]);
    let backup = scene.back_up();
    let copy = scene.laptop.place("copy");
    let before = scene.laptop.ok(&["machine", "status", DOMAIN]);
    assert!(run.stderr.contains(ONLY_COPY) && before.stderr.contains(ONLY_COPY), "{run}{before}");
    scene.download_repository(&copy);
    let after = scene.laptop.ok(&["machine", "status", DOMAIN]);
    assert!(!after.stderr.contains(ONLY_COPY), "{after}");
    scene.server = Server::boot("after-the-fire");
    let restore = ["--backup", "latest", "--store", copy.to_str().unwrap()];
    let known = scene.try_create(&restore);
    assert_eq!(known.code, 5, "{known}");
    assert!(known.stderr.contains("`cloudron machine destroy example.com --forget`"), "{known}");
    let unreachable = scene.laptop.run(&["machine", "destroy", DOMAIN, "--yes"]);
    assert!([7, 8].contains(&unreachable.code), "{unreachable}");
    assert!(unreachable.stderr.contains("machine destroy example.com --forget"), "{unreachable}");
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--forget", "--yes"]);
    scene.create(&restore);
    assert_eq!(scene.laptop.backups(DOMAIN), [backup.as_str()]);
    scene.is_well();
}

#[test]
fn a_destruction_that_was_cut_off_is_finished_by_the_same_command() {
    if !available() {
        return;
    }
    let scene = Scene::bare("half-destroyed");
    for millis in [300, 800, 1500] {
        scene.create(&["--discard-backups"]);
        scene.back_up();
        let running = scene.laptop.spawn(&["machine", "destroy", DOMAIN, "--yes"]);
        std::thread::sleep(Duration::from_millis(millis));
        running.kill();
        let again = scene.laptop.run(&["machine", "destroy", DOMAIN, "--yes"]);
        assert!(again.code == 0 || again.stderr.contains("was destroyed"), "{again}");
        assert_eq!(scene.traces(), "/var/backups/cloudron\n", "after {millis} ms: {again}");
        assert!(scene.server.greets(22) && !scene.server.listens(202), "after {millis} ms: {again}");
    }
}
