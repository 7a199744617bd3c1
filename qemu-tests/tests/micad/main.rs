//! Containers whose cores micad drives, under containerd, with a micad that is played.
//!
//! What went over micad's sockets is kept in `golden/micad`, byte for byte; with `MICRUN_GOLDEN=write` it is written anew.

mod changes;
mod crowd;
mod lives;
mod refusals;
mod restarts;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use containerd_shim_protos::api::{CreateTaskRequest, UpdateTaskRequest};
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::ttrpc::{Code, Error, context};
use containerd_shim_protos::{Client, TaskClient};
use fake_micad::{Exchange, Micad, text};
use firmware::test_elf::TestElf;
use qemu_tests::by_hand::{self, Server};
use qemu_tests::{Artifacts, DEADLINE, Image, Options, PROMPT, Pty, Task, Testbed, kill_9, wait_for};

/// A cell's description: signature, architecture, revision 13, name.
const CELL: &[u8] = b"JHCLL\x01\x0d\x00zephyr\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// A node with micad and containerd.
struct Ground {
    ground: fake_micad::Ground,
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
        Ground::configured(kind, named, "")
    }

    /// With this file of the node.
    fn configured(kind: &Kind, named: bool, conf: &str) -> Result<Ground> {
        let turn = kind.turn.map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        let ground = fake_micad::Ground::new()?;
        let file = ground.path("micrun.toml");
        fs::write(&file, conf)?;
        let mut options = Options::with(&Artifacts::from_env())
            .env("MICRUN_MICAD", ground.path("mica"))
            .env("MICRUN_CONF_FILE", file);
        options.path.push(ground.xl()?);
        let micad = start(&ground, named)?;
        Ok(Ground { bed: Testbed::with(&options)?, ground, micad: Some(micad), _turn: turn })
    }

    fn micad(&self) -> Result<&Micad> {
        self.micad.as_ref().context("no micad runs")
    }

    /// micad is killed and started again.
    fn restart(&mut self) -> Result<Vec<Exchange>> {
        let before = self.micad.take().context("no micad runs")?;
        let log = before.log();
        before.kill();
        self.micad = Some(start(&self.ground, false)?);
        Ok(log)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.ground.path(name)
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
        self.run_with(kind, image, id, &[])
    }

    /// The same with more words for `ctr run`.
    fn run_with(&self, kind: &Kind, image: &str, id: &str, more: &[&str]) -> Result<Task<'_>> {
        let pedestal = format!("org.openeuler.micrun.ped.pedestal={}", kind.pedestal);
        let options = ["-d", "-t", "--annotation", &pedestal];
        let words = self.bed.run_words(&[&options, more].concat(), image, id);
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
        let directories =
            [(self.bed.containerd.directory(), "CONTAINERD"), (self.ground.directory(), "NODE")];
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
}

fn start(ground: &fake_micad::Ground, named: bool) -> Result<Micad> {
    // So that every status has the terminal, and logs are alike.
    Ok(ground.micad(fake_micad::Options { announce: Duration::ZERO, named, ..ground.options() })?)
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
