//! Images that were made for other runtimes run as they are. They are made by hand, in the shape that their builders give
//! them.

use std::fs;

use anyhow::Result;
use firmware::layout::PLACEHOLDER;
use qemu_tests::{Artifacts, DEADLINE, Image, PROMPT, Testbed};

/// Imports an image with the test RTOS as `file`, runs it to its prompt, and ends it.
fn runs(name: &str, entry_point: &str, file: &str, options: &[&str], command: &[&str]) -> Result<()> {
    let bed = Testbed::new()?;
    let mut image = Image::new(name, entry_point);
    image.file(file.trim_start_matches('/'), &fs::read(Artifacts::from_env().rtos())?)?;
    let archive = bed.containerd.directory().join("foreign.tar");
    image.write(&archive)?;
    bed.ctr.import(&archive)?;
    let words = bed.run_words(&[&["--rm", "-t"], options].concat(), name, "foreign");
    let words: Vec<&str> = words.iter().map(String::as_str).chain(command.iter().copied()).collect();
    let mut console = bed.ctr.pty(&words)?;
    console.expect(PROMPT, DEADLINE)?;
    console.send(b"exit 5\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(5));
    bed.clean()
}

/// Arm's runtime: the entry point is the firmware, under any name, and there is nothing else in the image.
#[test]
fn an_image_of_arms_runtime_names_its_firmware_by_the_entry_point() -> Result<()> {
    runs("localhost/arm:1", "/zephyr-hello.elf", "/zephyr-hello.elf", &[], &[])
}

/// The older micrun: no entry point, so that a command has to be given; what counts is said by annotations.
#[test]
fn an_image_of_the_older_micrun_says_all_by_annotations() -> Result<()> {
    let annotations = [
        "org.openeuler.micrun.ped.pedestal=baremetal",
        "org.openeuler.micrun.ped.pedestal_version=1",
        "org.openeuler.micrun.ped.conf=firmware.elf",
        "org.openeuler.micrun.container.os=zephyr",
        "org.openeuler.micrun.container.version=1",
        "org.openeuler.micrun.container.firmware_path=/firmware.elf",
        "org.openeuler.micrun.compatibility.zephyr=3.7",
    ];
    let options: Vec<&str> = annotations.iter().flat_map(|pair| ["--annotation", pair]).collect();
    runs("localhost/older:1", "", "/firmware.elf", &options, &[PLACEHOLDER])
}
