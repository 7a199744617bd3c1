//! Bulk data between a program on the host and firmware: the socket in the bundle, the window in memory, `rpmsg-umt`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use qemu_tests::{DEADLINE, PROMPT, Testbed, ask};
use test_rtos::buffer::Buffer;
use test_rtos::bulk::HALF;
use test_rtos::flood::Flood;

const SOCKET: &str = "rpmsg-umt.sock";
/// What the firmware says of the first 1,000,001 bytes of [`data`]; computed with zlib.
const DESCRIBED: &str = "1000001 bytes, crc32 2cef4b2b";

fn bundle(bed: &Testbed, id: &str) -> PathBuf {
    bed.containerd.directory().join("state/io.containerd.runtime.v2.task/micrun").join(id)
}

fn connect(bundle: &Path) -> Result<UnixStream> {
    let path = bundle.join(SOCKET);
    let client = UnixStream::connect(&path).with_context(|| path.display().to_string())?;
    client.set_read_timeout(Some(DEADLINE))?;
    client.set_write_timeout(Some(DEADLINE))?;
    Ok(client)
}

/// Bytes in which no part is like another.
fn data(len: u64) -> Vec<u8> {
    let mut state = 1_u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(step).collect()
}

fn send(client: &mut UnixStream, data: &[u8]) -> Result<()> {
    client.write_all(&u32::try_from(data.len())?.to_le_bytes())?;
    Ok(client.write_all(data)?)
}

fn receive(client: &mut UnixStream) -> Result<Vec<u8>> {
    let mut head = [0; 4];
    client.read_exact(&mut head)?;
    let mut data = vec![0; u32::from_le_bytes(head) as usize];
    client.read_exact(&mut data)?;
    Ok(data)
}

#[test]
fn data_goes_to_the_firmware_and_comes_back_byte_by_byte() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("bulk")?;
    let mut client = connect(&bundle(&bed, "bulk"))?;
    for len in [1, 1023, HALF] {
        let sent = data(len);
        send(&mut client, &sent)?;
        ask(&mut console, "return")?;
        ensure!(receive(&mut client)? == sent, "{len} bytes came back changed");
    }
    // What the firmware itself makes of it.
    send(&mut client, &data(1_000_001))?;
    let described = ask(&mut console, "take")?;
    ensure!(described.trim_end() == DESCRIBED, "{described}");
    console.send(b"exit 0\r")?;
    ensure!(console.wait(DEADLINE)?.success());
    ensure!(!bundle(&bed, "bulk").join(SOCKET).exists());
    bed.clean()
}

#[test]
fn the_firmware_sends_without_being_asked_and_a_client_may_come_late() -> Result<()> {
    let bed = Testbed::new()?;
    let mut console = bed.console("gives")?;
    // Nobody is there: it is lost, and the firmware goes on.
    ensure!(ask(&mut console, "give 5000")?.is_empty());
    let mut client = connect(&bundle(&bed, "gives"))?;
    for len in [64, 65_537, HALF] {
        console.send(format!("give {len}\r").as_bytes())?;
        ensure!(receive(&mut client)? == numbered_lines(len), "{len} bytes came changed");
        console.expect(PROMPT, DEADLINE)?;
    }
    bed.task("gives").kill("SIGKILL")?;
    console.wait(DEADLINE)?;
    bed.task("gives").gone()?;
    bed.clean()
}

fn numbered_lines(len: u64) -> Vec<u8> {
    let (mut flood, mut part, mut all) = (Flood::new(len), Buffer::<4096>::new(), Vec::new());
    loop {
        let last = flood.fill(&mut part);
        all.extend_from_slice(part.as_slice());
        part.clear();
        if last {
            return all;
        }
    }
}
