//! The whole board in QEMU: Linux on the cores of an arm64 machine, and one of them for firmware.

mod board;
mod initramfs;
mod machine;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::setup::guest::Guest;
use crate::setup::kernel::OLDEST;
use crate::setup::{self, rustup};
use crate::sh::{self, Steps};
use crate::test::Count;
use crate::workspace::Workspace;
use crate::{build, kernel};

use self::initramfs::Initramfs;
use self::machine::Machine;

/// Steps of [`fast`].
pub(crate) const STEPS: usize = 6;
/// How long a boot with its tests may take. The tests have limits of their own.
const LIMIT: Duration = Duration::from_secs(900);
/// The same with containerd, whose Go programs take their time on emulated cores, and with many more starts and stops.
const WHOLE_LIMIT: Duration = Duration::from_secs(2700);

/// Where the firmware of a second core is: in the middle of the memory for firmware.
const OTHER_BASE: &str = "0x7c000000";

/// The arguments.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    fast: bool,
    shell: bool,
    /// Part of the names of the tests to run.
    part: Option<String>,
}

pub(crate) fn task(arguments: &[String]) -> Result<ExitCode> {
    let wish = parse(arguments)?;
    let workspace = Workspace::find()?;
    let whole = !wish.fast && !wish.shell;
    let mut steps = Steps::new(STEPS + if whole { build::IMAGE_STEPS } else { 0 });
    let machine = prepare(&workspace, &mut steps, whole)?;
    if wish.shell {
        machine.shell()?;
        return Ok(ExitCode::SUCCESS);
    }
    let count = machine.run(wish.part.as_slice(), if whole { WHOLE_LIMIT } else { LIMIT })?;
    println!("{count}");
    Ok(if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds everything and runs the tests that need no containerd.
///
/// # Errors
/// Something does not build, or the guest does not come to the end of its tests.
pub(crate) fn fast(workspace: &Workspace, steps: &mut Steps) -> Result<Count> {
    prepare(workspace, steps, false)?.run(&[], LIMIT)
}

/// Builds everything and has the guest measure; gives all that it says.
///
/// # Errors
/// As [`fast`].
pub(crate) fn measure(workspace: &Workspace) -> Result<Vec<String>> {
    prepare(workspace, &mut Steps::new(STEPS + build::IMAGE_STEPS), true)?
        .lines(&["--bench".to_owned()], WHOLE_LIMIT)
}

fn parse(arguments: &[String]) -> Result<Wish> {
    let mut wish = Wish::default();
    for argument in arguments {
        match argument.as_str() {
            "--fast" => wish.fast = true,
            "--shell" => wish.shell = true,
            part if !part.starts_with('-') && wish.part.is_none() => wish.part = Some(part.to_owned()),
            other => bail!("argument {other:?}: amp takes --fast, --shell, or a part of the names of tests"),
        }
    }
    Ok(wish)
}

/// A machine that is ready to boot; the `whole` one with containerd and the image of the test RTOS.
fn prepare(workspace: &Workspace, steps: &mut Steps, whole: bool) -> Result<Machine> {
    let tools = workspace.tools();
    steps.next("looking for what is missing");
    let qemu = setup::for_demo(workspace)?;
    let root = OLDEST.root(&tools)?;
    let guest = Guest::of_release(&tools, root.release())?;
    let directory = workspace.target.join("amp");
    std::fs::create_dir_all(&directory)?;
    steps.next("building the kernel modules");
    let modules = directory.join("modules");
    let ours = kernel::build(workspace, &root, &modules)?;
    let rpmsg = kernel::build_rpmsg(workspace, &root, &modules)?;
    steps.next("building the shim for the board");
    let shim = build::shim(workspace, rustup::BOARD)?;
    steps.next("building the test RTOS and the tests");
    let (rtos, tests) = (build::rtos(workspace)?, tests(workspace)?);
    let other = build::other_rtos(workspace, OTHER_BASE)?;
    steps.next("making the initramfs");
    let loaded = [guest.modules()?, rpmsg].concat();
    let mut files = Initramfs::new(&workspace.root.join("qemu-tests/amp/init"))?;
    files.add("/bin/busybox", &guest.busybox())?;
    files.add("/bin/amp-tests", &tests)?;
    files.add("/artifacts/bin/containerd-shim-mica-v2", &shim)?;
    files.add("/artifacts/test-rtos.elf", &rtos)?;
    files.add("/artifacts/other-rtos.elf", &other)?;
    files.add_modules(&loaded, &ours)?;
    if whole {
        add_containerd(workspace, steps, &mut files)?;
    }
    let initrd = files.write(&directory.join("initramfs.cpio"))?;
    steps.next("booting the guest");
    let tree = board::device_tree(workspace, &qemu, &directory)?;
    Ok(Machine { qemu, kernel: guest.kernel(), initrd, tree, disk: None })
}

/// Boots `disk` with the modules that micrun needs of a kernel, and counts what the tests in it say. `init`, a script of
/// the repository, goes over to it.
///
/// # Errors
/// Something does not build, or the guest says nothing of its tests' end within `limit`.
pub(crate) fn boot_disk(workspace: &Workspace, disk: &Path, init: &str, limit: Duration) -> Result<Count> {
    let tools = workspace.tools();
    let qemu = setup::for_demo(workspace)?;
    let root = OLDEST.root(&tools)?;
    let guest = Guest::of_release(&tools, root.release())?;
    let directory = workspace.target.join("amp");
    let modules = directory.join("modules");
    let ours = kernel::build(workspace, &root, &modules)?;
    let rpmsg = kernel::build_rpmsg(workspace, &root, &modules)?;
    // The first of ours is the one that ships.
    let loaded = [guest.modules()?, rpmsg, guest.disk_modules()?, ours[..1].to_vec()].concat();
    let mut files = Initramfs::new(&workspace.root.join(init))?;
    files.add("/bin/busybox", &guest.busybox())?;
    files.add_modules(&loaded, &[])?;
    let initrd = files.write(&directory.join("disk.cpio"))?;
    let tree = board::device_tree(workspace, &qemu, &directory)?;
    Machine { qemu, kernel: guest.kernel(), initrd, tree, disk: Some(disk.to_path_buf()) }.run(&[], limit)
}

/// containerd and the image.
fn add_containerd(workspace: &Workspace, steps: &mut Steps, files: &mut Initramfs) -> Result<()> {
    let image = build::image(workspace, steps)?;
    for (file, place) in Guest::containerd(&workspace.tools())? {
        files.add(place, &file)?;
    }
    files.add("/artifacts/hello.tar", &image)
}

/// The tests, as a static program for the board.
fn tests(workspace: &Workspace) -> Result<PathBuf> {
    let arguments = ["build", "--profile", "guest", "-p", "amp-tests", "--target", rustup::BOARD];
    sh::run(workspace.cargo().args(arguments))?;
    Ok(workspace.target.join(rustup::BOARD).join("guest/amp-tests"))
}

/// The last part of a path, as text.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests_of_arguments {
    use super::*;

    fn wish(arguments: &[&str]) -> Result<Wish> {
        parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn the_arguments_are_read_in_any_order() {
        let all = Wish { fast: true, shell: false, part: Some("mcs".into()) };
        assert_eq!(wish(&["--fast", "mcs"]).unwrap(), all);
        assert_eq!(wish(&["mcs", "--fast"]).unwrap(), all);
        assert!(wish(&["mcs", "rproc"]).is_err());
        assert!(wish(&["--fats"]).is_err());
    }
}
