//! An image that a recipe made, with more in it than firmware, under a real containerd.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use qemu_tests::{Artifacts, DEADLINE, PROMPT, Testbed};
use serde_json::{Value, json};

const NAME: &str = "localhost/recipe:1";

const RECIPE: &str = r#"
name = "localhost/recipe:1"
board = "qemu-arm64"
args = ["-v", "two words"]

[client-conf]
CPU = 2

[files]
"/etc/app/ca.pem" = "ca.pem"
"/etc/mica/notes" = "recipe.toml"
"#;

#[test]
fn files_arguments_and_settings_of_a_recipe_arrive() -> Result<()> {
    let bed = Testbed::new()?;
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    fs::write(path("recipe.toml"), RECIPE)?;
    fs::write(path("ca.pem"), "a certificate")?;
    let artifacts = Artifacts::from_env();
    let mut builder = Command::new(artifacts.builder());
    builder.args(["bundle", "--recipe"]).arg(path("recipe.toml"));
    builder.arg("--firmware").arg(artifacts.rtos()).arg("--output").arg(path("recipe.tar"));
    ensure!(builder.status()?.success());
    bed.ctr.import(&path("recipe.tar"))?;

    fs::create_dir(path("rootfs"))?;
    let rootfs = path("rootfs").to_string_lossy().into_owned();
    bed.ctr.ok(&["image", "mount", NAME, &rootfs])?;
    let certificate = fs::read_to_string(path("rootfs/etc/app/ca.pem"));
    let notes = fs::read_to_string(path("rootfs/etc/mica/notes"));
    bed.ctr.ok(&["image", "unmount", "--rm", &rootfs])?;
    assert_eq!((certificate?.as_str(), notes?.as_str()), ("a certificate", RECIPE));

    let arguments = bed.run_words(&["--rm", "-t"], NAME, "recipe");
    let mut console = bed.ctr.pty(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    assert!(console.expect(PROMPT, DEADLINE)?.contains("on CPU 2"));
    let container: Value = serde_json::from_str(&bed.ctr.ok(&["container", "info", "recipe"])?)?;
    assert_eq!(container["Spec"]["process"]["args"], json!(["/firmware.elf", "-v", "two words"]));
    console.send(b"exit 4\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(4));
    bed.clean()
}
