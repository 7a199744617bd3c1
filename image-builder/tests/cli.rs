//! The command as a user runs it: exit status, one line on standard error, nothing left by a failure.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use firmware::test_elf::TestElf;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_micrun-image-builder");

/// A directory with `app.elf` in it, a valid firmware.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("app.elf"), TestElf::new().build()).expect("written");
    directory
}

/// The command with the mandatory arguments and the directory as its own; `extra` follows.
fn command(directory: &Path, extra: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(directory).env_remove("SOURCE_DATE_EPOCH").arg("bundle");
    command.args(["--firmware", "app.elf", "--board", "qemu-arm64", "--output", "out.tar"]);
    command.args(["--name", "localhost/hello:1"]).args(extra);
    command
}

fn output(mut command: Command) -> Output {
    command.output().expect("the builder runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn names(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").file_name().into()).collect();
    names.sort();
    names
}

/// Runs a command that must fail with this line and leave nothing but the input.
fn refused(directory: &TempDir, command: Command, line: &str) {
    let output = output(command);
    assert_eq!(stderr(&output), format!("micrun-image-builder: {line}\n"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    assert_eq!(names(directory.path()), [Path::new("app.elf")]);
}

#[test]
fn an_image_is_written_and_named() {
    let directory = directory();
    let output = output(command(directory.path(), &[]));
    assert_eq!((stderr(&output).as_str(), output.status.code()), ("", Some(0)));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let digest = text.strip_prefix("localhost/hello:1 sha256:").expect("name and digest");
    assert_eq!(digest.trim_end().len(), 64);
    assert_eq!(names(directory.path()), [Path::new("app.elf"), Path::new("out.tar")]);
}

#[test]
fn equal_input_gives_equal_bytes_wherever_it_is_built() {
    let build = |umask: &str, zone: &str, time: Option<&str>| {
        let directory = directory();
        fs::write(directory.path().join("c.conf"), "[Mica]\nName=a\nClientPath=x\nCPU=3\n").expect("written");
        let extra =
            ["--client-conf", "c.conf", "--rtos", "zephyr", "--annotation", "b=1", "--annotation", "a=2"];
        let bundle = command(directory.path(), &extra);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]).arg(BINARY).args(bundle.get_args());
        shell.current_dir(directory.path()).env("TZ", zone).env("LC_ALL", "C").env("HOME", directory.path());
        shell.env_remove("SOURCE_DATE_EPOCH").envs(time.map(|time| ("SOURCE_DATE_EPOCH", time)));
        let output = output(shell);
        assert!(output.status.success(), "{}", stderr(&output));
        let path = directory.path().join("out.tar");
        let mode = fs::metadata(&path).expect("metadata").permissions().mode() & 0o777;
        (fs::read(&path).expect("readable"), mode)
    };
    for time in [None, Some("1700000000")] {
        let (first, open) = build("022", "UTC", time);
        let (second, closed) = build("077", "Asia/Tokyo", time);
        assert!(first == second, "the archives differ");
        assert_eq!((open, closed), (0o644, 0o600));
    }
    assert!(build("022", "UTC", None).0 != build("022", "UTC", Some("1")).0, "the time has no effect");
}

/// Builds in a new directory that the user owns, for two platforms with a bill of materials.
fn built_by(user: Option<u32>, layer: &str, umask: &str, zone: &str) -> Vec<u8> {
    let directory = directory();
    let path = directory.path();
    if let Some(user) = user {
        for file in [path, &path.join("app.elf")] {
            std::os::unix::fs::chown(file, Some(user), Some(user)).expect("given away");
        }
    }
    let extra = ["--layer", layer, "--platform", "linux/amd64", "--platform", "linux/arm64", "--sbom"];
    let bundle = command(path, &extra);
    // The program may lie where others cannot get at it.
    let program = path.join("builder");
    fs::copy(BINARY, &program).expect("copied");
    let mut shell = match user {
        Some(user) => {
            let mut other = Command::new("setpriv");
            other
                .arg(format!("--reuid={user}"))
                .arg(format!("--regid={user}"))
                .arg("--clear-groups")
                .arg("sh");
            other
        }
        None => Command::new("sh"),
    };
    shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]).arg(&program).args(bundle.get_args());
    shell.current_dir(path).env("TZ", zone).env("TMPDIR", path).env("HOME", path);
    shell.env("SOURCE_DATE_EPOCH", "1700000000");
    let output = output(shell);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(names(path), [Path::new("app.elf"), Path::new("builder"), Path::new("out.tar")]);
    fs::read(path.join("out.tar")).expect("readable")
}

#[test]
fn every_layer_is_the_same_wherever_and_by_whom_it_is_built() {
    // Only root can become somebody else.
    let is_root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    if !is_root {
        eprintln!("not root: what another user builds is not compared");
    }
    for layer in ["tar", "tar+gzip", "tar+zstd", "erofs"] {
        let first = built_by(None, layer, "022", "UTC");
        assert!(first == built_by(None, layer, "077", "Asia/Tokyo"), "{layer}");
        assert!(
            !is_root || first == built_by(Some(65534), layer, "027", "America/New_York"),
            "{layer}, nobody"
        );
    }
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_archive_or_the_new_one() {
    let directory = directory();
    let path = directory.path();
    let big = TestElf::new().segment(0x7a10_0000, &vec![0x55; 2 << 20]).build();
    fs::write(path.join("app.elf"), big).expect("written");
    assert!(output(command(path, &[])).status.success());
    let new = fs::read(path.join("out.tar")).expect("readable");
    let (mut kept, mut replaced) = (0, 0);
    for step in 0..8_u64 {
        fs::write(path.join("out.tar"), "old").expect("written");
        for left in unfinished(path) {
            fs::remove_file(left).expect("removed");
        }
        let mut child = command(path, &[]).stdout(Stdio::null()).spawn().expect("the builder runs");
        // Each time when more has been written than the last time; at last, more than there is.
        let enough = step * new.len() as u64 / 6;
        while child.try_wait().expect("asked").is_none() {
            let len = |file: &PathBuf| fs::metadata(file).is_ok_and(|file| file.len() >= enough);
            if unfinished(path).iter().any(len) {
                child.kill().expect("killed");
                child.wait().expect("ended");
            }
        }
        let left = fs::read(path.join("out.tar")).expect("readable");
        if left == b"old" {
            kept += 1;
        } else {
            assert!(left == new, "after {enough} bytes: neither the old nor the new one");
            replaced += 1;
        }
    }
    assert!(kept > 0 && replaced > 0, "{kept} kept, {replaced} replaced");
}

/// New archives that nobody finished.
fn unfinished(directory: &Path) -> Vec<PathBuf> {
    let names = names(directory).into_iter();
    let begun = names.filter(|name| name.to_string_lossy().starts_with(".micrun-image-builder-"));
    begun.map(|name| directory.join(name)).collect()
}

#[test]
fn firmware_that_is_far_too_long_is_refused_at_once() {
    let directory = directory();
    let file = fs::File::create(directory.path().join("app.elf")).expect("created");
    file.set_len(4 << 30).expect("a sparse file");
    let line = "cannot read app.elf: it is longer than 268435456 bytes, the most that is allowed";
    refused(&directory, command(directory.path(), &[]), line);
}

#[test]
fn firmware_for_32_bits_is_refused() {
    let directory = directory();
    fs::write(directory.path().join("app.elf"), TestElf::new().class(1).build()).expect("written");
    let line = "firmware: elf header: class is 1, it must be 2 (64-bit)";
    refused(&directory, command(directory.path(), &[]), line);
}

#[test]
fn targets_that_cannot_be_written_are_named() {
    let directory = directory();
    let to = |target: &str| {
        let mut bundle = Command::new(BINARY);
        bundle.current_dir(directory.path()).args([
            "bundle",
            "--firmware",
            "app.elf",
            "--board",
            "qemu-arm64",
        ]);
        bundle.args(["--name", "localhost/hello:1", "--output", target]);
        bundle
    };
    let line = "cannot write output none/out.tar: No such file or directory (os error 2)";
    refused(&directory, to("none/out.tar"), line);
    refused(&directory, to("/dev/full"), "output /dev/full exists and is not a regular file");
}

#[test]
fn bills_of_materials_of_others_are_checked() {
    let directory = directory();
    let with = |text: &str| {
        fs::write(directory.path().join("app.spdx.json"), text).expect("written");
        output(command(directory.path(), &["--sbom-file", "app.spdx.json", "--json"]))
    };
    let refused = with("{}");
    let line = "app.spdx.json: it is neither SPDX nor CycloneDX in JSON: there is no spdxVersion, @context or bomFormat";
    assert_eq!(stderr(&refused), format!("micrun-image-builder: {line}\n"));
    let done = with("{\"spdxVersion\":\"SPDX-2.3\"}");
    assert!(String::from_utf8_lossy(&done.stdout).contains("\"digest\": \"sha256:"), "{}", stderr(&done));
}

#[test]
fn the_source_date_must_be_a_number() {
    let directory = directory();
    let mut command = command(directory.path(), &[]);
    command.env("SOURCE_DATE_EPOCH", "today");
    let line = "SOURCE_DATE_EPOCH is \"today\", it must be seconds since 1970, 0 to 8589934591";
    refused(&directory, command, line);
}

#[test]
fn broken_firmware_is_one_line_and_status_1() {
    let directory = directory();
    fs::write(directory.path().join("app.elf"), TestElf::new().machine(40).build()).expect("written");
    let line = "firmware: elf header: machine is 40 (32-bit arm), it must be 183 (aarch64)";
    refused(&directory, command(directory.path(), &[]), line);
}

#[test]
fn unreadable_files_are_named() {
    let directory = directory();
    let line = "cannot read none.conf: No such file or directory (os error 2)";
    refused(&directory, command(directory.path(), &["--client-conf", "none.conf"]), line);
    let line = "cannot read /dev/zero: it is not a regular file";
    refused(&directory, command(directory.path(), &["--client-conf", "/dev/zero"]), line);
    let line = "app.elf: the file is not text in UTF-8";
    fs::write(directory.path().join("app.elf"), b"\x7fELF\xff").expect("written");
    refused(&directory, command(directory.path(), &["--client-conf", "app.elf"]), line);
}

#[test]
fn a_failed_run_keeps_the_old_archive() {
    let directory = directory();
    let path = directory.path().join("out.tar");
    fs::write(&path, "old").expect("written");
    let output = output(command(directory.path(), &["--annotation", "org.openeuler.micrun.board=x"]));
    assert_eq!(output.status.code(), Some(1));
    let line = "annotation org.openeuler.micrun.board is written by the builder or given twice";
    assert_eq!(stderr(&output), format!("micrun-image-builder: {line}\n"));
    assert_eq!(fs::read(&path).expect("readable"), b"old");
    assert_eq!(names(directory.path()), [Path::new("app.elf"), Path::new("out.tar")]);
}

#[test]
fn warnings_do_not_stop_it() {
    let directory = directory();
    let conf = "[Mica]\nName=a\nClientPath=x\nCPU=3\nDebugg=yes\n";
    fs::write(directory.path().join("c.conf"), conf).expect("written");
    let output = output(command(directory.path(), &["--client-conf", "c.conf"]));
    let line = "warning: client.conf: line 5: key \"Debugg\" is unknown and ignored, did you mean Debug";
    assert_eq!(stderr(&output), format!("micrun-image-builder: {line}\n"));
    assert!(output.status.success());
}

/// The command with nothing but a recipe of this text, in a directory of its own below `directory`.
fn recipe_command(directory: &Path, text: &str, extra: &[&str]) -> Command {
    fs::create_dir_all(directory.join("r")).expect("a directory");
    fs::write(directory.join("r/recipe.toml"), text).expect("written");
    let mut command = Command::new(BINARY);
    command.current_dir(directory).env_remove("SOURCE_DATE_EPOCH");
    command.args(["bundle", "--recipe", "r/recipe.toml", "--output", "out.tar"]).args(extra);
    command
}

#[test]
fn a_recipe_and_options_make_the_same_image() {
    let directory = directory();
    let path = directory.path();
    let options = ["--rtos", "zephyr", "--annotation", "a=1"];
    let by_options = output(command(path, &options));
    let recipe = "name = \"localhost/hello:1\"\nboard = \"qemu-arm64\"\nfirmware = \"../app.elf\"\n";
    let full = format!("{recipe}[rtos]\nname = \"zephyr\"\n[annotations]\na = \"1\"\n");
    let by_recipe = output(recipe_command(path, &full, &[]));
    assert_eq!((stderr(&by_recipe), by_recipe.stdout), (String::new(), by_options.stdout.clone()));
    let other = format!("{recipe}[rtos]\nname = \"x\"\n[annotations]\na = \"2\"\n[client-conf]\nCPU = 1\n");
    let conf = "[Mica]\nName=hello\nClientPath=x\nCPU=3\n";
    fs::write(path.join("c.conf"), conf).expect("written");
    let options = [&options[..], &["--client-conf", "c.conf"]].concat();
    let options_win = output(recipe_command(
        path,
        &other.replace("app.elf", "none.elf"),
        &[&options[..], &["--firmware", "app.elf"]].concat(),
    ));
    assert_eq!((stderr(&options_win), options_win.stdout), (String::new(), by_options.stdout));
}

#[test]
fn where_and_of_what_mode_further_files_are_does_not_matter() {
    let build = |mode: u32| {
        let directory = directory();
        fs::create_dir(directory.path().join("r")).expect("a directory");
        let file = directory.path().join("r/ca.pem");
        fs::write(&file, "a certificate").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set");
        let recipe = "name = \"localhost/a:1\"\nboard = \"qemu-arm64\"\nfirmware = \"../app.elf\"\n\
                      [files]\n\"/b/ca.pem\" = \"ca.pem\"\n\"/a/ca.pem\" = \"ca.pem\"\n";
        let output = output(recipe_command(directory.path(), recipe, &[]));
        assert!(output.status.success(), "{}", stderr(&output));
        fs::read(directory.path().join("out.tar")).expect("readable")
    };
    assert!(build(0o600) == build(0o755), "the archives differ");
}

#[test]
fn broken_recipes_are_one_line_and_status_1() {
    let directory = directory();
    let line = |text: &str| {
        let output = output(recipe_command(directory.path(), text, &[]));
        assert_eq!((output.status.code(), directory.path().join("out.tar").exists()), (Some(1), false));
        stderr(&output).trim_end().to_owned()
    };
    let mine = "micrun-image-builder: ";
    assert_eq!(
        line("nmae = 1"),
        format!("{mine}r/recipe.toml: line 1: key \"nmae\" is unknown, did you mean name")
    );
    assert_eq!(line(""), format!("{mine}name is missing, set it in the recipe or give --name"));
    let recipe = "name = \"localhost/a:1\"\nboard = \"qemu-arm64\"\n";
    assert_eq!(line(recipe), format!("{mine}firmware is missing, set it in the recipe or give --firmware"));
    let recipe = format!("{recipe}firmware = \"../app.elf\"\n[files]\n");
    let none = format!("{recipe}\"/a\" = \"none\"");
    assert_eq!(line(&none), format!("{mine}cannot read r/none: No such file or directory (os error 2)"));
    let endless = format!("{recipe}\"/a\" = \"/dev/zero\"");
    assert_eq!(line(&endless), format!("{mine}cannot read /dev/zero: it is not a regular file"));
    let huge = fs::File::create(directory.path().join("r/huge")).expect("created");
    huge.set_len((128 << 20) - 1).expect("a sparse file");
    let two = format!("{recipe}\"/a\" = \"huge\"\n\"/b\" = \"recipe.toml\"");
    assert_eq!(
        line(&two),
        format!("{mine}cannot read r/recipe.toml: it is longer than 1 bytes, the most that is allowed")
    );
}

#[test]
fn shells_get_their_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        let mut command = Command::new(BINARY);
        command.args(["completions", shell]);
        let output = output(command);
        assert_eq!((stderr(&output).as_str(), output.status.code()), ("", Some(0)));
        let script = String::from_utf8(output.stdout).expect("text");
        assert!(script.contains("micrun-image-builder") && script.contains("client-conf"), "{script}");
        let Ok(mut checker) = Command::new(shell).arg("-n").stdin(Stdio::piped()).spawn() else { continue };
        checker.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("the shell reads");
        assert!(checker.wait().expect("the shell ends").success(), "{shell} takes the script");
    }
    let mut full = Command::new(BINARY);
    full.args(["completions", "bash"]).stdout(fs::File::create("/dev/full").expect("a full device"));
    let output = output(full);
    let line = "cannot write to standard output: No space left on device (os error 28)";
    assert_eq!(stderr(&output), format!("micrun-image-builder: {line}\n"));
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().expect("a directory");
    let man = |path: &Path| {
        let mut command = Command::new(BINARY);
        command.arg("man").arg(path);
        output(command)
    };
    let done = man(directory.path());
    assert_eq!((stderr(&done).as_str(), done.status.code()), ("", Some(0)));
    let page = |name: &str| fs::read_to_string(directory.path().join(name)).expect("a page");
    assert!(page("micrun-image-builder.1").contains("micrun\\-image\\-builder\\-bundle(1)"));
    assert!(page("micrun-image-builder-bundle.1").contains("\\-\\-recipe"));
    let none = directory.path().join("none");
    let line = format!("micrun-image-builder: cannot write output {}/", none.display());
    let refused = man(&none);
    assert!(stderr(&refused).starts_with(&line), "{}", stderr(&refused));
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn help_shows_what_to_type_and_what_a_status_means() {
    let help = |words: &[&str]| {
        let mut command = Command::new(BINARY);
        command.args(words);
        let output = output(command);
        assert_eq!((stderr(&output).as_str(), output.status.code()), ("", Some(0)));
        String::from_utf8(output.stdout).expect("text")
    };
    let whole = help(&["--help"]);
    for command in ["bundle", "inspect", "verify", "diff", "push", "pull", "import", "completions", "man"] {
        assert!(whole.contains(&format!("\n  {command} ")), "{command}: {whole}");
        assert!(help(&[command, "--help"]).contains(&format!("Usage: micrun-image-builder {command} ")));
    }
    assert!(whole.contains("\nExit status: 0 done; 1 failed") && whole.contains("bundle --firmware app.elf"));
}

#[test]
fn wrong_usage_is_status_2() {
    let directory = directory();
    for (extra, reason) in [
        (["--board", "rpi5"], "known are: hieulerpi"),
        (["--platform", "linux/riscv64"], "it must be linux/amd64 or linux/arm64"),
        (["--annotation", "novalue"], "it must be of the form KEY=VALUE"),
        (["--rtos", ""], "a value is required"),
    ] {
        let mut command = Command::new(BINARY);
        command.args(["bundle", "--firmware", "app.elf", "--name", "localhost/a:1", "--output", "out.tar"]);
        let board = ["--board", "qemu-arm64"].into_iter().filter(|_| extra[0] != "--board");
        command.args(board).args(extra).current_dir(directory.path());
        let output = output(command);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    }
    let nameless = output(command(directory.path(), &["--no-such-option"]));
    assert_eq!(nameless.status.code(), Some(2));
    assert_eq!(names(directory.path()), [Path::new("app.elf")]);
}
