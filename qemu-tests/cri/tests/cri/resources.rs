//! Resources of a pod's containers as the kubelet gives and changes them: its static CPU manager, a resize in place.

use std::fs;

use anyhow::{Context, Result, ensure};
use cri_tests::api::LinuxContainerResources;
use cri_tests::{Container, Network, Node};
use firmware::test_elf::TestElf;
use qemu_tests::limits::{MemoryGroup, all_cpus, cpus_of, two_cpus};
use qemu_tests::{Artifacts, Image, MICRUN, Process, Version, under_every_containerd};

under_every_containerd!(
    the_static_cpu_manager_moves_cores,
    containers_of_a_pod_share_their_cpus_if_the_node_wants_that,
    a_limit_is_changed_in_place,
    a_xen_domain_is_changed_in_place,
);

/// What the kubelet gives a container of a pod that has guaranteed resources.
fn guaranteed() -> LinuxContainerResources {
    LinuxContainerResources {
        cpu_period: 100_000,
        cpu_quota: 100_000,
        cpu_shares: 1024,
        memory_limit_in_bytes: 64 << 20,
        oom_score_adj: -997,
        ..LinuxContainerResources::default()
    }
}

/// All that its CPU manager says.
fn on(cpus: &str) -> LinuxContainerResources {
    LinuxContainerResources { cpuset_cpus: cpus.to_owned(), ..LinuxContainerResources::default() }
}

/// The emulators of a shim, the oldest first.
fn emulators(shim: u32) -> Vec<u32> {
    let is_one = |process: &Process| process.parent == shim && process.name.starts_with("qemu-system-");
    let mut all: Vec<u32> = Process::all().into_iter().filter(is_one).map(|process| process.pid).collect();
    all.sort_unstable();
    all
}

/// Demands that all threads of an emulator run on `cpus` alone.
fn assert_on(emulator: u32, cpus: &str) -> Result<()> {
    let found = cpus_of(emulator)?;
    ensure!(found.len() > 1 && found.iter().all(|found| found == cpus), "{found:?}, not {cpus}");
    Ok(())
}

/// Two containers without whole CPUs run anywhere; then one of them is given a CPU of its own, and the other one what is
/// left, each in a word.
fn the_static_cpu_manager_moves_cores(version: Version) -> Result<()> {
    let [first, last] = two_cpus()?;
    let node = Node::start(version)?;
    let pod = node.run_pod(MICRUN, "static", Network::Host)?;
    // The kubelet says it before the container is started, and again when others come and go.
    let exclusive = pod.limited("exclusive", Artifacts::HELLO, guaranteed())?;
    let shared = pod.limited("shared", Artifacts::HELLO, guaranteed())?;
    let [one, other] = emulators(exclusive.pid()?)[..] else { anyhow::bail!("two emulators") };
    exclusive.update(on(&last))?;
    shared.update(on(&first))?;
    assert_on(one, &last)?;
    assert_on(other, &first)?;
    // What is not there is refused, and changes nothing.
    let refused = exclusive.update(on("1023")).err().context("it was changed")?.to_string();
    assert!(refused.contains("this host has cpus"), "{refused}");
    assert_on(one, &last)?;
    exclusive.attach()?.greet()?;
    pod.stop()?;
    pod.remove()?;
    node.clean()
}

fn containers_of_a_pod_share_their_cpus_if_the_node_wants_that(version: Version) -> Result<()> {
    let [first, last] = two_cpus()?;
    let directory = tempfile::tempdir()?;
    let conf = directory.path().join("config.toml");
    fs::write(&conf, "resources.shared_cpu_pool = true\n")?;
    let node = Node::with(version.options().env("MICRUN_CONF_FILE", conf))?;
    let pod = node.run_pod(MICRUN, "pool", Network::Host)?;
    let one = pod.limited("one", Artifacts::HELLO, on(&first))?;
    let two = pod.limited("two", Artifacts::HELLO, LinuxContainerResources::default())?;
    let [ones, twos] = emulators(one.pid()?)[..] else { anyhow::bail!("two emulators") };
    assert_on(ones, &first)?;
    assert_on(twos, &first)?;
    one.update(on(&last))?;
    assert_on(ones, &last)?;
    assert_on(twos, &last)?;
    let three = pod.limited("three", Artifacts::HELLO, on(&first))?;
    let threes = *emulators(one.pid()?).last().context("no emulator")?;
    let all = all_cpus()?;
    if all.len() == 3 {
        // Of two CPUs these are all.
        for emulator in [ones, twos, threes] {
            assert_on(emulator, &all)?;
        }
    }
    for gone in [one, three] {
        gone.stop(0)?;
        gone.remove()?;
    }
    assert_on(twos, &all)?;
    assert!(two.is_running()?);
    pod.stop()?;
    pod.remove()?;
    node.clean()
}

fn a_limit_is_changed_in_place(version: Version) -> Result<()> {
    let node = Node::start(version)?;
    let pod = node.run_pod(MICRUN, "resize", Network::Host)?;
    let container = pod.limited("shell", Artifacts::HELLO, guaranteed())?;
    let emulator = *emulators(container.pid()?).first().context("no emulator")?;
    let group = MemoryGroup::of(emulator)?;
    let mib = || -> Result<u64> { Ok(group.limit()? >> 20) };
    assert_eq!(mib()?, 64 + 64);
    container.update(LinuxContainerResources {
        cpu_quota: 150_000,
        memory_limit_in_bytes: 128 << 20,
        ..guaranteed()
    })?;
    assert_eq!(mib()?, 128 + 64);
    let too_little = LinuxContainerResources { memory_limit_in_bytes: 1 << 19, ..guaranteed() };
    let refused = container.update(too_little).err().context("it was changed")?.to_string();
    assert!(refused.contains("memory.limit is 524288, it must be 1 MiB"), "{refused}");
    assert_eq!(mib()?, 128 + 64);
    container.attach()?.greet()?;
    pod.stop()?;
    pod.remove()?;
    node.clean()
}

/// micad has one thread and one directory, so each of these nodes has its own.
fn a_xen_domain_is_changed_in_place(version: Version) -> Result<()> {
    let ground = fake_micad::Ground::new()?;
    let micad = ground.micad(ground.options())?;
    let mut options = version.options().env("MICRUN_MICAD", ground.path("mica"));
    options.path.push(ground.xl()?);
    let node = Node::with(options)?;
    let image = "localhost/domain:1";
    let mut domain = Image::new(image, "/firmware.elf");
    domain.file("firmware.elf", &TestElf::new().build())?;
    domain.file("image.bin", b"a kernel")?;
    let conf = "[Mica]\nName=a\nClientPath=/firmware.elf\nPedestal=xen\nPedestalConf=/image.bin\nCPU=0\n\
                VCPU=1\nMemory=32\n";
    domain.file("etc/mica/client.conf", conf.as_bytes())?;
    let archive = ground.path("domain.tar");
    domain.write(&archive)?;
    node.import(&archive, image)?;
    let pod = node.run_pod(MICRUN, "xen", Network::Host)?;
    let container: Container<'_> = pod.limited("domain", image, guaranteed())?;
    let sets = || -> Vec<String> {
        let log = micad.log().into_iter();
        let sent = log.map(|exchange| String::from_utf8_lossy(&exchange.request).into_owned());
        sent.filter(|sent| sent.starts_with("set ")).collect()
    };
    assert_eq!(sets(), [""; 0]);
    container.update(LinuxContainerResources { memory_limit_in_bytes: 128 << 20, ..guaranteed() })?;
    assert_eq!(sets(), ["set MaxMemory 128", "set Memory 128"]);
    container.update(LinuxContainerResources { cpu_shares: 2048, cpu_quota: 50_000, ..on("0") })?;
    assert_eq!(sets()[2..], ["set CPUCapacity 50", "set CPUWeight 512", "set CPU 0"]);
    pod.stop()?;
    pod.remove()?;
    node.clean()
}
