//! Containers whose cores micad drives, under containerd, with a micad that is played.
//!
//! What went over micad's sockets is kept in `golden/micad`, byte for byte; with `MICRUN_GOLDEN=write` it is written anew.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use containerd_shim_protos::api::{CreateTaskRequest, UpdateTaskRequest};
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::ttrpc::{Code, Error, context};
use containerd_shim_protos::{Client, TaskClient};
use fake_micad::{Exchange, Micad, Node, text};
use firmware::test_elf::TestElf;
use qemu_tests::by_hand::{self, Server};
use qemu_tests::{Artifacts, DEADLINE, Image, Options, PROMPT, Pty, Task, Testbed, kill_9, wait_for};
use tempfile::TempDir;

/// A cell's description: signature, architecture, revision 13, name.
const CELL: &[u8] = b"JHCLL\x01\x0d\x00zephyr\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// What a micad needs to be told that its `xl` is called: domains are files.
const XL: &str = r#"#!/bin/sh
echo "xl $*" >> NODE/xl.log
domain="NODE/domains/$2"
case "$1" in
domid) test -e "$domain" ;;
pause) test -e "$domain" && echo paused > "$domain" ;;
unpause) test -e "$domain" && echo running > "$domain" ;;
destroy) rm "$domain" ;;
*) exit 2 ;;
esac
"#;

/// A node with micad and containerd.
struct Ground {
    directory: TempDir,
    node: Arc<Node>,
    micad: Option<Micad>,
    bed: Testbed,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Ground {
    fn new(kind: &Kind) -> Result<Ground> {
        Ground::with(kind, false)
    }

    /// With a micad whose terminals are `named`.
    fn with(kind: &Kind, named: bool) -> Result<Ground> {
        let turn = kind.turn.map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        // Short, as sockets' paths have to be.
        let directory = tempfile::Builder::new().prefix("micad.").tempdir_in("/tmp")?;
        let node = Node::new(&directory.path().join("domains"))?;
        let bin = directory.path().join("bin");
        fs::create_dir(&bin)?;
        let script = XL.replace("NODE", &directory.path().display().to_string());
        fs::write(bin.join("xl"), script)?;
        fs::set_permissions(bin.join("xl"), fs::Permissions::from_mode(0o755))?;
        let mut options =
            Options::with(&Artifacts::from_env()).env("MICRUN_MICAD", directory.path().join("mica"));
        options.path.push(bin);
        let micad = start(directory.path(), &node, named)?;
        Ok(Ground { bed: Testbed::with(&options)?, directory, node, micad: Some(micad), _turn: turn })
    }

    fn micad(&self) -> Result<&Micad> {
        self.micad.as_ref().context("no micad runs")
    }

    /// micad is killed and started again.
    fn restart(&mut self) -> Result<Vec<Exchange>> {
        let before = self.micad.take().context("no micad runs")?;
        let log = before.log();
        before.kill();
        self.micad = Some(start(self.directory.path(), &self.node, false)?);
        Ok(log)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Imports an image for `kind`; gives its name.
    fn image(&self, kind: &Kind, cpu: &str) -> Result<String> {
        let name = format!("localhost/{}-{cpu}:1", kind.pedestal);
        let mut image = Image::new(&name, "/firmware.elf");
        image.file("firmware.elf", &TestElf::new().build())?;
        image.file("pedestal.bin", CELL)?;
        let conf = format!("[Mica]\nName=app\nClientPath=/firmware.elf\nCPU={cpu}\n{}", kind.conf);
        image.file("etc/mica/client.conf", conf.as_bytes())?;
        let archive = self.path(&format!("{}-{cpu}.tar", kind.pedestal));
        image.write(&archive)?;
        self.bed.ctr.import(&archive)?;
        Ok(name)
    }

    /// Runs it in the background.
    fn run(&self, kind: &Kind, image: &str, id: &str) -> Result<Task<'_>> {
        let pedestal = format!("org.openeuler.micrun.ped.pedestal={}", kind.pedestal);
        let options = ["-d", "-t", "--annotation", &pedestal];
        let words = self.bed.run_words(&options, image, id);
        let mut client = self.bed.ctr.pty(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        if !client.wait(DEADLINE)?.success() {
            bail!("ctr run -d: {}", String::from_utf8_lossy(&client.transcript()));
        }
        // So that logs are alike, however soon the test goes on.
        let socket = format!("micrun--{id}.socket");
        let asked = |exchange: &Exchange| exchange.socket == socket && exchange.request == b"status";
        let log = || self.micad().is_ok_and(|micad| micad.log().iter().any(asked)).then_some(());
        wait_for("the console", DEADLINE, log)?;
        Ok(self.bed.task(id))
    }

    fn running(&self, kind: &Kind, id: &str) -> Result<Task<'_>> {
        self.run(kind, &self.image(kind, kind.cpu)?, id)
    }

    /// The log as text, without what is this run's alone.
    fn wire(&self, log: &[Exchange]) -> String {
        let directories = [(self.bed.containerd.directory(), "CONTAINERD"), (self.directory.path(), "NODE")];
        let named =
            |text: String, (path, name): (&Path, &str)| text.replace(&path.display().to_string(), name);
        directories.into_iter().fold(text(log), named)
    }

    /// Demands that `log` is as it was kept.
    fn golden(&self, name: &str, log: &[Exchange]) -> Result<()> {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/micad").join(name).with_extension("txt");
        let wire = self.wire(log);
        if std::env::var_os("MICRUN_GOLDEN").is_some() {
            return Ok(fs::write(path, wire)?);
        }
        assert_eq!(wire, fs::read_to_string(&path).with_context(|| path.display().to_string())?);
        Ok(())
    }

    /// Nothing is left anywhere.
    fn clean(&self) -> Result<()> {
        let left: Vec<_> =
            fs::read_dir(self.path("mica"))?.flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["mica-create.socket"]);
        assert_eq!(fs::read_dir(self.path("dev"))?.count(), 0, "links of terminals");
        self.bed.clean()
    }

    /// Changes resources of a task. `ctr` has no word for it, so its shim is asked.
    fn update(&self, id: &str, resources: &str) -> Result<()> {
        let bundle =
            self.bed.containerd.directory().join("state/io.containerd.runtime.v2.task/micrun").join(id);
        let client = TaskClient::new(Client::connect(&fs::read_to_string(bundle.join("address"))?)?);
        let type_url = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources".to_owned();
        let resources = Any { type_url, value: resources.as_bytes().to_vec(), ..Default::default() };
        let request = UpdateTaskRequest {
            id: id.to_owned(),
            resources: MessageField::some(resources),
            ..Default::default()
        };
        Ok(client.update(context::with_duration(DEADLINE), &request).map(drop)?)
    }

    fn xl(&self) -> String {
        fs::read_to_string(self.path("xl.log")).unwrap_or_default()
    }
}

fn start(directory: &Path, node: &Arc<Node>, named: bool) -> Result<Micad> {
    let mut options = fake_micad::Options::new(directory.join("mica"), directory.join("dev"));
    // So that every status has the terminal, and logs are alike.
    options.announce = Duration::ZERO;
    options.named = named;
    Ok(Micad::start(options, node.clone())?)
}

/// A pedestal and an image's words for it.
struct Kind {
    pedestal: &'static str,
    cpu: &'static str,
    conf: &'static str,
    /// There is only one of its cores on a machine, whatever test has it.
    turn: Option<&'static Mutex<()>>,
}

static CORE: Mutex<()> = Mutex::new(());
static CELL_MEMORY: Mutex<()> = Mutex::new(());
static OTHER_CORE: Mutex<()> = Mutex::new(());

static BAREMETAL: Kind = Kind { pedestal: "micad", cpu: "41", conf: "", turn: Some(&CORE) };
static JAILHOUSE: Kind = Kind {
    pedestal: "jailhouse",
    cpu: "42",
    conf: "Pedestal=jailhouse\nPedestalConf=/pedestal.bin\n",
    turn: Some(&CELL_MEMORY),
};
static HETERO: Kind = Kind {
    pedestal: "hetero",
    cpu: "riscv",
    conf: "Pedestal=hetero\nPedestalConf=/pedestal.bin\n",
    turn: Some(&OTHER_CORE),
};
static XEN: Kind = Kind {
    turn: None,
    pedestal: "xen",
    cpu: "0-1",
    conf: "Pedestal=xen\nPedestalConf=/pedestal.bin\nVCPU=2\nMaxVCPU=4\nCPUWeight=512\nCPUCapacity=150\n\
           Memory=64\nMaxMemory=64\nDebug=yes\n",
};

/// Attaches to the console. Firmware prints nothing before somebody has typed.
fn console(task: &Task<'_>) -> Result<Pty> {
    let mut console = task.attach()?;
    console.send(b"\r")?;
    // The banner has one, and so has the answer to nothing.
    for _ in 0..2 {
        console.expect(&format!("\n{PROMPT}"), DEADLINE)?;
    }
    Ok(console)
}

/// How the container ended, as the attached client says, which deletes the task then.
fn end_of(task: &Task<'_>, console: &mut Pty) -> Result<i32> {
    let status = console.wait(DEADLINE)?.code().context("a signal ended the client")?;
    task.gone()?;
    task.remove_container()?;
    Ok(status)
}

/// micad makes two characters of each line feed.
fn ask(console: &mut Pty, word: &str) -> Result<()> {
    console.send(format!("echo {word}\r").as_bytes())?;
    console.expect(&format!("\n{word}\r\r\n{PROMPT}"), DEADLINE)?;
    Ok(())
}

/// A life from run to SIGTERM, its console attached to twice.
fn life(kind: &Kind) -> Result<()> {
    let ground = Ground::new(kind)?;
    let task = ground.running(kind, "app")?;
    let mut first = console(&task)?;
    ask(&mut first, "hello")?;
    drop(first);
    let mut second = task.attach()?;
    ask(&mut second, "again")?;
    task.kill("SIGTERM")?;
    assert_eq!(end_of(&task, &mut second)?, 143);
    ground.golden(kind.pedestal, &ground.micad()?.log())?;
    ground.clean()
}

#[test]
fn a_life_on_bare_metal() -> Result<()> {
    life(&BAREMETAL)
}

#[test]
fn a_life_in_a_cell() -> Result<()> {
    life(&JAILHOUSE)
}

#[test]
fn a_life_on_another_architecture() -> Result<()> {
    life(&HETERO)
}

#[test]
fn a_life_in_a_domain() -> Result<()> {
    life(&XEN)
}

/// The container ends when its firmware does.
fn end(kind: &Kind, typed: &str, status: i32) -> Result<()> {
    let ground = Ground::new(kind)?;
    let task = ground.running(kind, "app")?;
    let mut console = console(&task)?;
    console.send(format!("{typed}\r").as_bytes())?;
    assert_eq!(end_of(&task, &mut console)?, status);
    let word = typed.split(' ').next().unwrap_or_default();
    ground.golden(&format!("{}-{word}", kind.pedestal), &ground.micad()?.log())?;
    ground.clean()
}

#[test]
fn firmware_that_ends_on_bare_metal_ends_its_container() -> Result<()> {
    end(&BAREMETAL, "exit 0", 0)
}

#[test]
fn firmware_that_ends_in_a_cell_ends_its_container() -> Result<()> {
    end(&JAILHOUSE, "exit 0", 0)
}

#[test]
fn firmware_that_ends_on_another_architecture_ends_its_container() -> Result<()> {
    end(&HETERO, "exit 0", 0)
}

#[test]
fn firmware_that_ends_in_a_domain_ends_its_container() -> Result<()> {
    end(&XEN, "exit 0", 0)
}

#[test]
fn a_domain_that_crashes_ends_its_container() -> Result<()> {
    end(&XEN, "crash", 139)
}

#[test]
fn firmware_that_hangs_is_killed() -> Result<()> {
    for kind in [&BAREMETAL, &JAILHOUSE, &HETERO, &XEN] {
        let ground = Ground::new(kind)?;
        let task = ground.running(kind, "app")?;
        let mut console = console(&task)?;
        console.send(b"hang\r")?;
        console.expect("hang\r\r\n", DEADLINE)?;
        task.kill("SIGKILL")?;
        assert_eq!(end_of(&task, &mut console)?, 137);
        ground.clean()?;
    }
    Ok(())
}

#[test]
fn a_domain_is_paused_and_changed() -> Result<()> {
    let ground = Ground::new(&XEN)?;
    let task = ground.running(&XEN, "app")?;
    let mut console = console(&task)?;
    ground.bed.ctr.ok(&["task", "pause", "app"])?;
    assert_eq!(task.status()?.as_deref(), Some("PAUSED"));
    console.send(b"echo later\r")?;
    assert!(console.take(1, Duration::from_millis(300)).is_err(), "a domain that stands still answers");
    ground.bed.ctr.ok(&["task", "resume", "app"])?;
    console.expect(&format!("\nlater\r\r\n{PROMPT}"), DEADLINE)?;
    // 300 % of two CPUs, four times the ordinary weight, more memory and then less.
    ground.update("app", r#"{"cpu":{"cpus":"0","shares":4096},"memory":{"limit":134217728}}"#)?;
    ground.update("app", r#"{"cpu":{"quota":50000,"period":100000},"memory":{"limit":33554432}}"#)?;
    task.kill("SIGKILL")?;
    assert_eq!(end_of(&task, &mut console)?, 137);
    let xl = ground.xl();
    let called: Vec<&str> = xl.lines().filter(|line| !line.starts_with("xl domid")).collect();
    assert_eq!(called, ["xl pause micrun--app", "xl unpause micrun--app"]);
    let log = ground.micad()?.log();
    ground.golden(
        "xen-update",
        &log.into_iter().filter(|exchange| exchange.request != b"status").collect::<Vec<_>>(),
    )?;
    ground.clean()
}

#[test]
fn what_is_no_domain_is_not_paused() -> Result<()> {
    for kind in [&BAREMETAL, &JAILHOUSE, &HETERO] {
        let ground = Ground::new(kind)?;
        let task = ground.running(kind, "app")?;
        let refused = ground.bed.ctr.run(&["task", "pause", "app"])?;
        let sentence = "of micad's cores only a xen domain can be paused";
        assert!(refused.complaint().contains(sentence), "{}", refused.complaint());
        assert_eq!(task.end_by("SIGKILL")?, 137);
        ground.clean()?;
    }
    Ok(())
}

/// A new micad knows nothing of the instance. Where nobody can tell whether the core still runs, its container ends: to
/// start the firmware anew is not what anybody asked for.
fn restart(kind: &Kind) -> Result<()> {
    let mut ground = Ground::new(kind)?;
    ground.running(kind, "app")?;
    let before = ground.restart()?;
    let task = ground.bed.task("app");
    task.ended()?;
    assert_eq!(task.delete()?, 255);
    task.remove_container()?;
    assert!(
        ground.bed.containerd.log().contains("micad was restarted and does not know micrun--app any more")
    );
    ground.golden(&format!("{}-restart", kind.pedestal), &[before, ground.micad()?.log()].concat())?;
    if kind.pedestal == "xen" {
        assert!(ground.node.running().is_empty(), "its domain is destroyed");
    }
    ground.bed.clean()
}

#[test]
fn a_restart_of_micad_ends_what_it_cannot_go_on_with() -> Result<()> {
    [&BAREMETAL, &JAILHOUSE, &HETERO, &XEN].into_iter().try_for_each(restart)
}

#[test]
fn a_micad_that_is_gone_does_not_keep_a_container() -> Result<()> {
    let mut ground = Ground::new(&XEN)?;
    ground.running(&XEN, "app")?;
    ground.micad.take().context("no micad runs")?.exit();
    let task = ground.bed.task("app");
    assert_eq!(task.status()?.as_deref(), Some("RUNNING"));
    assert_eq!(task.end_by("SIGKILL")?, 137);
    assert!(ground.node.running().is_empty(), "its domain is destroyed");
    ground.bed.clean()
}

#[test]
fn a_killed_shim_s_instance_is_removed_from_the_record_alone() -> Result<()> {
    for kind in [&BAREMETAL, &JAILHOUSE, &HETERO, &XEN] {
        let ground = Ground::new(kind)?;
        let task = ground.running(kind, "app")?;
        kill_9(task.pid()?)?;
        task.gone()?;
        wait_for("the instance's removal", DEADLINE, || {
            (!ground.path("mica/micrun--app.socket").exists()).then_some(())
        })?;
        task.remove_container()?;
        ground.golden(&format!("{}-orphan", kind.pedestal), &ground.micad()?.log())?;
        ground.clean()?;
    }
    Ok(())
}

/// As many at once, one of which ends by itself; micad serves them one after the other.
fn crowd(kind: &Kind, images: &[String]) -> Result<()> {
    // There are ten terminals that only have numbers.
    let ground = &Ground::with(kind, true)?;
    let made: Vec<String> = images.iter().map(|cpu| ground.image(kind, cpu)).collect::<Result<_>>()?;
    thread::scope(|scope| {
        let one = |number: usize| {
            let id = format!("app-{number:02}");
            let task = ground.run(kind, &made[number % made.len()], &id)?;
            let mut console = console(&task)?;
            ask(&mut console, &id)?;
            if number == 7 && kind.pedestal == "micad" {
                console.send(b"exit 0\r")?;
                assert_eq!(end_of(&task, &mut console)?, 0);
                return Ok(());
            }
            task.kill("SIGTERM")?;
            assert_eq!(end_of(&task, &mut console)?, 143);
            Ok(())
        };
        let all: Vec<_> = (0..20).map(|number| scope.spawn(move || one(number))).collect();
        all.into_iter()
            .try_for_each(|one: thread::ScopedJoinHandle<'_, Result<()>>| one.join().expect("no panic"))
    })?;
    // Each by itself, in order.
    let log = ground.micad()?.log();
    let mut by_name: Vec<Exchange> =
        log.into_iter().filter(|exchange| exchange.request != b"status").collect();
    by_name.sort_by_key(name);
    ground.golden(&format!("{}-crowd", kind.pedestal), &by_name)?;
    ground.clean()
}

/// Whose exchange it is.
fn name(exchange: &Exchange) -> String {
    let create = exchange.socket == "mica-create.socket";
    if create {
        fake_micad::Create::decode(&exchange.request).name + ".socket"
    } else {
        exchange.socket.clone()
    }
}

#[test]
fn twenty_domains_at_once() -> Result<()> {
    crowd(&XEN, &["0-1".to_owned()])
}

#[test]
fn twenty_cores_at_once() -> Result<()> {
    let cpus: Vec<String> = (20..40).map(|cpu| cpu.to_string()).collect();
    crowd(&BAREMETAL, &cpus)
}

/// Demands that a Create by hand, of container `id` with this `client.conf`, is refused; gives code and sentence.
fn refused(sockets: &Path, id: &str, conf: &str) -> (Code, String) {
    let pedestal = r#"{"annotations":{"org.openeuler.micrun.ped.pedestal":"micad"}}"#;
    let bundle = by_hand::bundle_with(pedestal);
    let rootfs = bundle.path().join("rootfs");
    fs::create_dir_all(rootfs.join("etc/mica")).expect("made");
    fs::write(rootfs.join("firmware.elf"), TestElf::new().build()).expect("written");
    fs::write(rootfs.join("pedestal.bin"), CELL).expect("written");
    let conf = format!("[Mica]\nName=app\nClientPath=/firmware.elf\n{conf}");
    fs::write(rootfs.join("etc/mica/client.conf"), conf).expect("written");
    let mut start = by_hand::call(bundle.path(), &["start"]);
    let server = Server { address: by_hand::address(&by_hand::output(start.env("MICRUN_MICAD", sockets))) };
    let client = TaskClient::new(server.connect());
    let path = bundle.path().display().to_string();
    let request = CreateTaskRequest { id: id.to_owned(), bundle: path, ..Default::default() };
    match client.create(context::with_duration(DEADLINE), &request) {
        Err(Error::RpcStatus(status)) => (status.code(), status.message),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn what_micad_would_misunderstand_is_refused_in_one_sentence() -> Result<()> {
    let directory = tempfile::Builder::new().prefix("micad.").tempdir_in("/tmp")?;
    let sockets = directory.path().join("mica");
    let wrong = |reason: &str| (Code::INVALID_ARGUMENT, format!("firmware \"/firmware.elf\": {reason}"));
    let refused = |id: &str, conf: &str| refused(&sockets, id, conf);
    let absent = format!(
        "firmware \"/firmware.elf\": micad does not answer at {}/mica-create.socket: \
         No such file or directory (os error 2)",
        sockets.display()
    );
    assert_eq!(refused("app", "CPU=43\n"), (Code::UNAVAILABLE, absent));
    let node = Node::new(&directory.path().join("domains"))?;
    let micad = start(directory.path(), &node, false)?;
    let core = "micad's bare metal needs a core of its own: set CPU in the image's client.conf, from 1 on";
    assert_eq!(refused("app", ""), wrong(core));
    assert_eq!(refused("app", "CPU=0\n"), wrong(core));
    let long = format!("calls--{}", "x".repeat(60));
    let name =
        format!("micad's names have at most 65 bytes, and {long:?} has 67: choose a shorter container id");
    assert_eq!(refused(&long[7..], "CPU=43\n"), wrong(&name));
    let hetero = "Pedestal=hetero\nPedestalConf=/firmware.elf\nCPU=riscv\n";
    let cell = "Pedestal=jailhouse\nPedestalConf=/firmware.elf\n";
    assert_eq!(refused("app", cell), wrong("PedestalConf is no cell of jailhouse's"));
    let iomem = format!("{hetero}IOMem={}\n", "x".repeat(512));
    let (code, said) = refused("app", &iomem);
    assert_eq!(code, Code::INVALID_ARGUMENT, "{said}");
    assert!(said.contains("IOMem"), "{said}");
    assert!(micad.log().is_empty(), "micad has heard of nothing");
    Ok(())
}

#[test]
fn what_micad_refuses_leaves_nothing() -> Result<()> {
    for kind in [&BAREMETAL, &JAILHOUSE, &HETERO, &XEN] {
        let ground = Ground::new(kind)?;
        ground.micad()?.fail("start");
        let refused = ground.running(kind, "app").err().context("it runs")?.to_string();
        let sentence = "firmware does not start: micad refuses \"start\", its reason is in the system's log";
        assert!(refused.contains(sentence), "{refused}");
        ground.bed.task("app").remove_container()?;
        ground.golden(&format!("{}-refused", kind.pedestal), &ground.micad()?.log())?;
        ground.clean()?;
    }
    Ok(())
}

#[test]
fn a_core_that_another_container_has_is_refused() -> Result<()> {
    let ground = Ground::new(&JAILHOUSE)?;
    let task = ground.running(&JAILHOUSE, "app")?;
    let image = ground.image(&JAILHOUSE, "42")?;
    let refused = ground.run(&JAILHOUSE, &image, "second").err().context("it runs")?.to_string();
    assert!(refused.contains("uio0 is taken by micrun/app"), "{refused}");
    assert_eq!(task.end_by("SIGKILL")?, 137);
    ground.bed.task("second").remove_container()?;
    ground.clean()
}
