//! Firmware over `/dev/mcs`, without micrun: what the device and the test RTOS owe to each other.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use firmware::elf::Elf;
use openamp::placement::Placement;
use openamp::resource_table::DRIVER_OK;
use openamp::rpmsg::{EndpointId, Host, Incoming, PAYLOAD_LEN};
use openamp::state::{CPU_OFF, CPU_ON, STATE_WORD};
use qemu_tests::wait_for;
use shmem::{Mapping, Memory, barrier};

use super::lives;
use crate::core::{CPU, Offline};
use crate::mcs::Mcs;
use crate::module::{MCS, Module};
use crate::suite::Test;

pub const TESTS: &[Test] = &[
    Test::new("mcs: firmware starts, talks and powers itself off", life),
    Test::new("mcs: a core survives many starts and stops", many_lives).within(600),
];

/// For what firmware must do.
const DEADLINE: Duration = Duration::from_secs(60);
const RTOS: &str = "/artifacts/test-rtos.elf";
const PROMPT: &str = "rtos# ";

/// Running firmware.
struct Firmware {
    mcs: Mcs,
    table: Mapping,
    table_at: usize,
    memory: Mapping,
    host: Host,
    tty: Option<EndpointId>,
    said: String,
}

impl Firmware {
    fn start() -> Result<Firmware> {
        let mcs = Mcs::open()?;
        let file = fs::read(RTOS)?;
        let elf = Elf::parse(&file)?;
        for segment in elf.segments() {
            let memory = mcs.map(segment.addr, usize::try_from(segment.mem_len)?.next_multiple_of(4096))?;
            let bytes = &file[segment.file.clone()];
            memory.window().copy_in(0, bytes)?;
            memory.window().zero(bytes.len(), memory.window().size() - bytes.len())?;
        }
        // MICA's window of the core.
        let window = 0x7000_0000 + CPU * 0x2_0000;
        let memory = mcs.map(window.into(), 0x2_0000)?;
        let layout = *elf.table_layout();
        let placement = Placement::new(&layout, window, 0x2_0000)?;
        let host = Host::new(&memory.window(), placement)?;
        let page = elf.resource_table().addr & !0xfff;
        let table = mcs.map(page, 4096)?;
        let table_at = usize::try_from(elf.resource_table().addr - page)?;
        let live = table.window().part(table_at, layout.len())?;
        layout.write_vrings(&live, placement.ring_addresses())?;
        layout.write_status(&live, DRIVER_OK)?;
        live.store_u32(STATE_WORD, CPU_ON)?;
        barrier::full();
        mcs.cpu_on(CPU, elf.entry())?;
        mcs.send_ipi(CPU)?;
        Ok(Firmware { mcs, table, table_at, memory, host, tty: None, said: String::new() })
    }

    /// Serves the rings until the firmware has said `text`.
    fn expect(&mut self, text: &str) -> Result<()> {
        let end = Instant::now() + DEADLINE;
        while !self.said.contains(text) {
            ensure!(Instant::now() < end, "no {text:?} in {:?}", self.said);
            self.serve()?;
            // Somebody else might have had the ring: nobody sleeps for ever on it.
            self.mcs.rung(Duration::from_millis(100))?;
        }
        Ok(())
    }

    fn serve(&mut self) -> Result<()> {
        let mut payload = [0; PAYLOAD_LEN];
        while let Some(incoming) = self.host.receive(&self.memory.window(), &mut payload)? {
            match incoming {
                Incoming::Announced { name, addr } if name.as_str() == "rpmsg-tty" => {
                    self.tty = Some(self.host.bind(name, addr)?);
                    self.type_in(b"")?;
                }
                Incoming::Message { len, .. } => self.said += &String::from_utf8_lossy(&payload[..len]),
                _ => {}
            }
        }
        self.kick()
    }

    fn type_in(&mut self, bytes: &[u8]) -> Result<()> {
        let tty = self.tty.context("no console")?;
        self.host.send(&self.memory.window(), tty, bytes)?;
        self.kick()
    }

    fn kick(&mut self) -> Result<()> {
        if self.host.wants_kick(&self.memory.window())? {
            self.mcs.send_ipi(CPU)?;
        }
        Ok(())
    }

    fn state(&self) -> Result<u32> {
        Ok(self.table.window().load_u32(self.table_at + STATE_WORD)?)
    }

    fn request_power_off(&self) -> Result<()> {
        self.table.window().store_u32(self.table_at + STATE_WORD, CPU_OFF)?;
        barrier::full();
        Ok(self.mcs.send_ipi(CPU)?)
    }

    fn wait_until_off(&self) -> Result<()> {
        wait_for("the core's end", DEADLINE, || self.mcs.affinity_info(CPU).is_ok().then_some(()))
    }
}

fn life() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    let core = Offline::take()?;
    let mut firmware = Firmware::start()?;
    firmware.expect(PROMPT)?;
    ensure!(firmware.said.contains("on CPU 3"), "{:?}", firmware.said);
    if let Err(error) = firmware.mcs.affinity_info(CPU) {
        ensure!(error.raw_os_error() == Some(libc::EFAULT), "the core is on: {error}");
    } else {
        bail!("a core that talks is called off");
    }
    firmware.type_in(b"echo one  two\r")?;
    firmware.expect("\r\none  two\r\n")?;
    firmware.type_in(b"exit 3\r")?;
    firmware.wait_until_off()?;
    ensure!(firmware.state()? == CPU_OFF);
    core.give_back()
}

fn many_lives() -> Result<()> {
    let _module = Module::load(MCS, "")?;
    let core = Offline::take()?;
    for round in 1..=lives() {
        let mut firmware = Firmware::start().with_context(|| format!("start {round}"))?;
        firmware.expect(PROMPT).with_context(|| format!("start {round}"))?;
        firmware.request_power_off()?;
        firmware.wait_until_off().with_context(|| format!("stop {round}"))?;
    }
    core.give_back()
}
