//! `/dev/mcs`: every call, every error.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use shmem::Memory;

use super::refused;
use crate::core::{self, CPU, Offline};
use crate::mcs::{self, Mcs};
use crate::module::{MCS, Module, RPROC};
use crate::suite::Test;

pub const TESTS: &[Test] = &[
    Test::new("mcs: opening it needs CAP_SYS_RAWIO", opening_needs_rawio),
    Test::new("mcs: calls that do not exist are EINVAL", unknown_calls),
    Test::new("mcs: pointers to nothing are EFAULT", bad_pointers),
    Test::new("mcs: a file has one of two types", types),
    Test::new("mcs: the first region is told", first_region),
    Test::new("mcs: the window for bulk data begins in the first region", copy_messages),
    Test::new("mcs: a region of the module's parameters replaces the device tree's", parameters),
    Test::new("mcs: an offset is a physical address inside one region", mapping),
    Test::new("mcs: memory is the same for everybody who maps it", shared_memory),
    Test::new("mcs: a core is off or not", affinity),
    Test::new("mcs: a core that Linux runs on is not started", busy_core).provoking(&[]),
    Test::new("mcs: a ring is told once, to one poller", one_shot),
    Test::new("mcs: it does not load where IRQ 8 is taken", taken_irq).provoking(&["mcs: IRQ 8 is not free"]),
];

/// Beyond what the machine has.
const NO_CPU: u32 = 99;
/// The regions of the device tree.
const SHARED: (u64, u64) = (0x7000_0000, 0x140_0000);
const FIRMWARE: (u64, u64) = (0x7a00_0000, 0x400_0000);
const PAGE: usize = 4096;
/// For what must not come: it can't fail by being short.
const MOMENT: Duration = Duration::from_millis(100);
/// For what must come.
const DEADLINE: Duration = Duration::from_secs(60);

fn opening_needs_rawio() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    Mcs::open()?;
    // The test's process ends with the test.
    let mut sets = capabilities(None)?;
    sets.effective.remove(CapabilitySet::SYS_RAWIO);
    set_capabilities(None, sets)?;
    refused("opening", Mcs::open(), Errno::PERM)?;
    sets.effective.insert(CapabilitySet::SYS_RAWIO);
    Ok(set_capabilities(None, sets)?)
}

fn unknown_calls() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    let mcs = Mcs::open()?;
    // Number 6, type 'B', a size that no call has.
    for number in [0x4004_4106, 0x4004_4200, 0x4010_4100, 0] {
        refused(&format!("{number:#x}"), mcs.call(number, &mut [0; 5]), Errno::INVAL)?;
    }
    Ok(())
}

fn bad_pointers() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    let mcs = Mcs::open()?;
    let calls =
        [mcs::SEND_IPI, mcs::CPU_ON, mcs::AFFINITY_INFO, mcs::QUERY_MEM, mcs::COPY_MSG_MEM, mcs::SET_TYPE];
    calls
        .iter()
        .try_for_each(|number| refused(&format!("{number:#x}"), mcs.call_with_null(*number), Errno::FAULT))
}

fn types() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    let (mcs, other) = (Mcs::open()?, Mcs::open()?);
    for wrong in [-1, 2] {
        refused(&format!("type {wrong}"), mcs.set_type(wrong), Errno::INVAL)?;
    }
    mcs.set_type(mcs::RISCV)?;
    refused("regions of the other type", mcs.query_mem(), Errno::NODEV)?;
    refused("mapping as the other type", mcs.map(SHARED.0, PAGE), Errno::INVAL)?;
    other.query_mem().context("the type is the file's")?;
    mcs.set_type(mcs::BARE_METAL)?;
    mcs.query_mem()?;
    Ok(())
}

fn first_region() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    let region = Mcs::open()?.query_mem()?;
    ensure!(region == SHARED, "{region:#x?}");
    Ok(())
}

fn copy_messages() -> Result<()> {
    {
        let _module = Module::load(MCS, &format!("rmem_base={} rmem_size={}", SHARED.0, 0x10_0000))?;
        let mcs = Mcs::open()?;
        refused("a window in 1 MiB", mcs.call(mcs::COPY_MSG_MEM, &mut [0; 5]), Errno::INVAL)?;
    }
    let _module = Module::load(MCS, &format!("rmem_base={} rmem_size={}", FIRMWARE.0, FIRMWARE.1))?;
    let mcs = Mcs::open()?;
    for (instance, offset) in [(0, 0xd0_0000), (1, 0xd0_0000 + 0x240_0000)] {
        let mut words = [instance, 1, 2, 3, 4];
        mcs.call(mcs::COPY_MSG_MEM, &mut words)?;
        ensure!(words == [instance, FIRMWARE.0 + offset, 2, 0x20_0000, 4], "{words:#x?}");
    }
    // The fifth begins behind the region; there is no sixth.
    for instance in [4, 5] {
        let mut words = [instance, 0, 0, 0, 0];
        refused(&format!("instance {instance}"), mcs.call(mcs::COPY_MSG_MEM, &mut words), Errno::INVAL)?;
    }
    Ok(())
}

fn parameters() -> Result<()> {
    let _module = Module::load(MCS, &format!("rmem_base={} rmem_size={}", SHARED.0, 0x2000))?;
    let mcs = Mcs::open()?;
    ensure!(mcs.query_mem()? == (SHARED.0, 0x2000));
    mcs.map(SHARED.0, 0x2000)?;
    refused("more than the parameters say", mcs.map(SHARED.0, 0x3000), Errno::INVAL)?;
    refused("a region of the device tree", mcs.map(FIRMWARE.0, PAGE), Errno::INVAL)
}

fn mapping() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    let mcs = Mcs::open()?;
    for (base, size) in [SHARED, FIRMWARE] {
        let (end, len) = (base + size, size.try_into()?);
        mcs.map(base, len)?;
        mcs.map(end - PAGE as u64, PAGE)?;
        refused("one page too many", mcs.map(base, len + PAGE), Errno::INVAL)?;
        refused("beginning before it", mcs.map(base - PAGE as u64, 2 * PAGE), Errno::INVAL)?;
        refused("beginning behind it", mcs.map(end, PAGE), Errno::INVAL)?;
    }
    refused("memory of Linux", mcs.map(0x4000_0000, PAGE), Errno::INVAL)?;
    refused("address 0", mcs.map(0, PAGE), Errno::INVAL)?;
    refused("the last page of all", mcs.map(0x7fff_ffff_ffff_f000, PAGE), Errno::INVAL)
}

fn shared_memory() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    let (ours, theirs) = (Mcs::open()?, Mcs::open()?);
    let ours = ours.map(SHARED.0, PAGE)?;
    ours.window().store_u32(8, 0x600d_cafe)?;
    let theirs = theirs.map(SHARED.0, 2 * PAGE)?;
    ensure!(theirs.window().load_u32(8)? == 0x600d_cafe);
    Ok(())
}

fn affinity() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    let mcs = Mcs::open()?;
    refused("a core of Linux", mcs.affinity_info(CPU), Errno::FAULT)?;
    refused("a core that is not there", mcs.affinity_info(NO_CPU), Errno::INVAL)?;
    let core = Offline::take()?;
    mcs.affinity_info(CPU).context("a core that was taken from Linux")?;
    core.give_back()
}

fn busy_core() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    let mcs = Mcs::open()?;
    refused("starting a core of Linux", mcs.cpu_on(CPU, FIRMWARE.0), Errno::INVAL)?;
    refused("starting no core", mcs.cpu_on(NO_CPU, FIRMWARE.0), Errno::INVAL)?;
    ensure!(core::is_online(CPU)?, "the core is not Linux's any more");
    mcs.send_ipi(NO_CPU).context("the result of kicking is not checked")
}

fn one_shot() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    let (mcs, other, riscv) = (Mcs::open()?, Mcs::open()?, Mcs::open()?);
    riscv.set_type(mcs::RISCV)?;
    ensure!(!mcs.rung(Duration::ZERO)?, "nobody has rung");
    // Linux can ring at itself: the interrupt is the same.
    mcs.send_ipi(0)?;
    ensure!(mcs.rung(DEADLINE)?, "no ring");
    ensure!(!mcs.rung(MOMENT)? && !other.rung(MOMENT)?, "a ring is told twice");
    mcs.send_ipi(0)?;
    ensure!(other.rung(DEADLINE)?, "no ring for the other file");
    ensure!(!mcs.rung(MOMENT)? && !riscv.rung(MOMENT)?, "a ring is told to several");
    Ok(())
}

fn taken_irq() -> Result<()> {
    let _first = Module::load(RPROC, "")?;
    refused("loading", Module::load(MCS, ""), Errno::BUSY)
}
