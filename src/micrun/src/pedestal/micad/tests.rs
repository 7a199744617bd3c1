//! An instance's life against the fake micad.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fake_micad::{Micad, Options, text};

use super::instance::Instance;
use super::probe::Sight;
use super::*;
use crate::pedestal::{Control, Death};

const DEADLINE: Duration = Duration::from_secs(30);

struct Ground(fake_micad::Ground);

impl Ground {
    fn new() -> Ground {
        let ground = fake_micad::Ground::new().expect("a node");
        for file in ["firmware.elf", "image.bin"] {
            std::fs::write(ground.path(file), "x").expect("written");
        }
        Ground(ground)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    fn micad(&self) -> Micad {
        self.0.micad(self.0.options()).expect("started")
    }

    fn running(&self) -> Vec<String> {
        self.0.node.running()
    }

    fn create(&self, pedestal: Pedestal) -> Create {
        let xen = (pedestal == Pedestal::Xen).then_some(1);
        let cpus = if pedestal == Pedestal::Hetero { "riscv" } else { "3" };
        Create {
            name: "c".into(),
            path: self.path("firmware.elf").display().to_string(),
            pedestal,
            pedestal_conf: self.path("image.bin").display().to_string(),
            debug: false,
            cpus: cpus.into(),
            vcpus: xen,
            max_vcpus: None,
            cpu_weight: None,
            cpu_capacity: None,
            memory: xen,
            max_memory: None,
            iomem: String::new(),
            network: String::new(),
        }
    }

    /// An instance whose core is seen as `probe` says.
    fn instance(&self, pedestal: Pedestal, probe: Probe) -> Instance {
        let (create, sockets) = (self.create(pedestal), Sockets::new(&self.path("mica"), "c"));
        let control = Arc::new(InstanceControl::new(&create, sockets.clone(), CoreLimits::default()));
        let (life, next_status) = (Mutex::default(), Mutex::new(Instant::now()));
        Instance { create, sockets, probe, _claim: None, life, next_status, control }
    }
}

fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < DEADLINE, "in time");
        thread::sleep(Duration::from_millis(5));
    }
}

fn console(instance: &Instance) -> crate::channel::Device {
    eventually(|| instance.console().expect("asked"))
}

const ALWAYS: &dyn Fn() -> bool = &|| true;
const NEVER: &dyn Fn() -> bool = &|| false;

#[test]
fn a_life_and_what_goes_over_the_wire() {
    for trickle in [false, true] {
        let ground = Ground::new();
        let micad = ground.0.micad(Options { trickle, ..ground.0.options() }).expect("started");
        let instance = ground.instance(Pedestal::Baremetal, Probe::Nobody);
        instance.start(NEVER).expect("started");
        console(&instance);
        assert_eq!(instance.death(), None);
        assert_eq!(instance.stop(NEVER).expect("stopped"), Death::PoweredOff);
        // Told to go, the core takes a moment.
        eventually(|| ground.running().is_empty().then_some(()));
        let log = text(&micad.log());
        let words: Vec<&str> =
            log.lines().filter_map(|line| line.split_once(" > ")).map(|(_, sent)| sent).collect();
        let (first, last) = (&words[..2], &words[words.len() - 2..]);
        assert_eq!(first, ["1772 bytes", "\"start\""]);
        assert_eq!(last, ["\"stop\"", "\"rm\""]);
        assert!(words[2..words.len() - 2].iter().all(|word| *word == "\"status\""), "{log}");
    }
}

#[test]
fn a_start_that_fails_leaves_nothing() {
    let ground = Ground::new();
    let micad = ground.micad();
    micad.fail("start");
    let instance = ground.instance(Pedestal::Baremetal, Probe::Nobody);
    let error = instance.start(NEVER).expect_err("refused").to_string();
    assert_eq!(error, "micad refuses \"start\", its reason is in the system's log");
    assert!(!ground.path("mica/c.socket").exists());
    std::fs::remove_file(ground.path("firmware.elf")).expect("removed");
    let error = instance.start(NEVER).expect_err("refused").to_string();
    assert!(error.starts_with("micad refuses \"create\": No such file: /"), "{error}");
    drop(micad);
    let error = instance.start(NEVER).expect_err("nobody").to_string();
    assert!(error.starts_with("micad does not answer at /") && error.contains("refused"), "{error}");
}

#[test]
fn what_an_earlier_container_left_is_removed() {
    let ground = Ground::new();
    let _micad = ground.micad();
    ground.instance(Pedestal::Baremetal, Probe::Nobody).start(NEVER).expect("started");
    let again = ground.instance(Pedestal::Baremetal, Probe::Nobody);
    // Told to go, the core takes a moment.
    eventually(|| again.start(NEVER).ok());
}

#[test]
fn what_somebody_else_made_is_left_alone() {
    let ground = Ground::new();
    let micad = ground.micad();
    ground.instance(Pedestal::Baremetal, Probe::Nobody).start(NEVER).expect("started");
    std::fs::remove_file(ground.path("mica/c.micrun")).expect("marked");
    let sent = micad.log();
    let error = ground.instance(Pedestal::Baremetal, Probe::Nobody).start(NEVER).expect_err("refused");
    let sentence = "micad has an instance \"c\" that no container made: remove it with `mica rm c`, \
                    or choose another container id";
    assert_eq!(error.to_string(), sentence);
    assert_eq!(micad.log(), sent);
    assert_eq!(ground.running(), ["cpu 3"]);
}

#[test]
fn a_kill_ends_a_start_that_takes_too_long() {
    let ground = Ground::new();
    let micad = ground.micad();
    micad.delay("start", Duration::from_millis(300));
    let instance = ground.instance(Pedestal::Baremetal, Probe::Nobody);
    let killed = instance.start(ALWAYS).expect_err("given up");
    assert!(matches!(killed, MachineError::GivenUp), "{killed}");
    eventually(|| (!ground.path("mica/c.socket").exists() && ground.running().is_empty()).then_some(()));
}

#[test]
fn firmware_that_ends_is_noticed_without_a_question_where_that_can_be() {
    let ground = Ground::new();
    let micad = ground.micad();
    let sight = Arc::new(Mutex::new(Sight::Running));
    let instance = ground.instance(Pedestal::Baremetal, Probe::Told(sight.clone()));
    instance.start(NEVER).expect("started");
    assert_eq!(instance.death(), None);
    *sight.lock().unwrap() = Sight::Ended(Death::PoweredOff);
    assert_eq!(instance.death(), Some(Death::PoweredOff));
    assert!(!text(&micad.log()).contains("status"));
    assert!(!ground.path("mica/c.socket").exists());
}

#[test]
fn a_restarted_micad_gets_a_core_back_that_runs_on() {
    let ground = Ground::new();
    let micad = ground.micad();
    let instance = ground.instance(Pedestal::Baremetal, Probe::Told(Arc::new(Mutex::new(Sight::Running))));
    instance.start(NEVER).expect("started");
    console(&instance);
    micad.exit();
    assert_eq!(instance.death(), None, "it may come back");
    let micad = ground.micad();
    assert_eq!(instance.death(), None);
    console(&instance);
    assert_eq!(ground.running(), ["cpu 3"]);
    assert!(text(&micad.log()).starts_with("mica-create.socket > 1772 bytes\n"));
}

#[test]
fn elsewhere_it_is_not_started_anew() {
    for pedestal in [Pedestal::Baremetal, Pedestal::Hetero] {
        let ground = Ground::new();
        let micad = ground.micad();
        let instance = ground.instance(pedestal, Probe::Nobody);
        instance.start(NEVER).expect("started");
        micad.kill();
        assert_eq!(instance.death(), None, "it may come back");
        let micad = ground.micad();
        assert_eq!(instance.death(), Some(Death::Lost));
        assert!(micad.log().is_empty());
    }
}

#[test]
fn an_instance_that_somebody_else_removes_is_lost() {
    let ground = Ground::new();
    let _micad = ground.micad();
    let instance = ground.instance(Pedestal::Baremetal, Probe::Nobody);
    instance.start(NEVER).expect("started");
    instance.sockets.remove(DEADLINE, NEVER).expect("removed");
    assert_eq!(instance.death(), Some(Death::Lost));
}

#[test]
fn only_xen_changes() {
    let ground = Ground::new();
    let micad = ground.micad();
    let settings =
        [Setting::Vcpus(2), Setting::CpuCapacity(150), Setting::MaxMemory(64), Setting::Memory(64)];
    let instance = ground.instance(Pedestal::Xen, Probe::Nobody);
    instance.start(NEVER).expect("started");
    instance.control.set(&settings).expect("set");
    let sent = text(&micad.log());
    for command in ["set VCPU 2", "set CPUCapacity 150", "set MaxMemory 64", "set Memory 64"] {
        assert!(sent.contains(&format!("c.socket > {command:?}\nc.socket < \"MICA-SUCCESS\"\n")), "{sent}");
    }
    let long = [Setting::Vcpus(1), Setting::Cpus("0,2,4,6,8,10,12,14,16,18".to_owned())];
    instance.control.set(&long).expect_err("too long");
    assert_eq!(text(&micad.log()), sent, "all are checked before any is sent");
    let then = CoreLimits { vcpus: 3, memory: 128, max_memory: 128, cpu_weight: 7, ..CoreLimits::default() };
    micad.fail("set VCPU 3");
    let error = instance.control.limit(&then).expect_err("refused").to_string();
    assert!(error.starts_with("micad refuses \"set VCPU 3\""), "{error}");
    let log = text(&micad.log());
    let (_, since) = log.split_at(sent.len());
    let words: Vec<&str> =
        since.lines().filter_map(|line| line.strip_prefix("c.socket > \"set ")?.strip_suffix('"')).collect();
    let there = ["MaxMemory 128", "Memory 128", "CPUWeight 7", "VCPU 3"];
    let back = ["Memory 0", "MaxMemory 0", "CPUWeight 0", "VCPU 0"];
    assert_eq!(words, [there, back].concat(), "what was changed is taken back");
    let other = ground.instance(Pedestal::Jailhouse, Probe::Nobody);
    let error = other.control.set(&settings).expect_err("refused").to_string();
    assert_eq!(error, "of micad's cores only a xen domain can be given other resources");
    let error = other.control.pause().expect_err("refused").to_string();
    assert_eq!(error, "of micad's cores only a xen domain can be paused");
}

#[test]
fn a_silent_micad_is_waited_for_only_so_long() {
    let ground = Ground::new();
    let micad = ground.micad();
    let instance = ground.instance(Pedestal::Baremetal, Probe::Nobody);
    instance.start(NEVER).expect("started");
    micad.delay("status", DEADLINE * 10);
    let late = instance.sockets.command("status", Duration::from_millis(150), NEVER).expect_err("late");
    assert_eq!(late.to_string(), "micad has not answered to \"status\" within 0 s");
}

fn refusal(ground: &Ground, change: impl FnOnce(&mut Spec<'_>)) -> String {
    let create = ground.create(Pedestal::Baremetal);
    let mut spec = Spec {
        namespace: "default",
        id: "c",
        create,
        cpu: Some(63),
        limits: CoreLimits::default(),
        pedestal_conf: None,
    };
    change(&mut spec);
    load_in(&ground.path("mica"), spec).err().expect("refused").to_string()
}

#[test]
fn what_micad_would_misunderstand_is_refused_before_it_hears_of_it() {
    let ground = Ground::new();
    let sentence = refusal(&ground, |_| {});
    assert!(
        sentence.starts_with("micad does not answer at ") && sentence.ends_with("(os error 2)"),
        "{sentence}"
    );
    let micad = ground.micad();
    let refusal = |change: fn(&mut Spec<'_>)| refusal(&ground, change);
    let core = "micad's bare metal needs a core of its own: set CPU in the image's client.conf, from 1 on";
    assert_eq!(refusal(|spec| spec.cpu = None), core);
    assert_eq!(refusal(|spec| spec.cpu = Some(0)), core);
    let hetero = "micad's hetero needs CPU=riscv in the image's client.conf, not \"3\"";
    assert_eq!(refusal(|spec| spec.create.pedestal = Pedestal::Hetero), hetero);
    let file = "micad's xen needs the file that PedestalConf names";
    assert_eq!(refusal(|spec| spec.create.pedestal = Pedestal::Xen), file);
    let jailhouse = |spec: &mut Spec<'_>| {
        (spec.create.pedestal, spec.pedestal_conf) = (Pedestal::Jailhouse, Some(b"JHCLL".as_slice()));
    };
    assert_eq!(refusal(jailhouse), "PedestalConf is no cell of jailhouse's");
    let long = refusal(|spec| spec.create.path = "/x".repeat(200));
    assert!(long.starts_with("micad takes at most 255 bytes of the firmware's path"), "{long}");
    assert!(micad.log().is_empty());
    assert_eq!(
        cell_name(b"JHCLL\x01\x0d\0zephyr\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0").as_deref(),
        Some("zephyr")
    );
}
