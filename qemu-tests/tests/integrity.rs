//! Firmware that is not what was packed does not run, and both checksums are told.

use std::fs;

use anyhow::Result;
use firmware::checksum;
use firmware::layout::{CLIENT_CONF, FIRMWARE};
use qemu_tests::{Artifacts, DEADLINE, Image, PROMPT, Testbed};

const NAME: &str = "localhost/torn:1";
const CHECK: &str = "org.openeuler.micrun.container.firmware_check=sha256";

/// Imports an image of this firmware with what its `client.conf` says of it.
fn import(bed: &Testbed, firmware: &[u8], sums: &str) -> Result<()> {
    let mut image = Image::new(NAME, FIRMWARE);
    image.file(FIRMWARE.trim_start_matches('/'), firmware)?;
    let conf = format!("[Mica]\nName=torn\nClientPath={FIRMWARE}\nCPU=3\n[Micrun]\n{sums}\n");
    image.file(CLIENT_CONF.trim_start_matches('/'), conf.as_bytes())?;
    let archive = bed.containerd.directory().join("torn.tar");
    image.write(&archive)?;
    bed.ctr.import(&archive)
}

/// The test RTOS, and the same with one bit turned where nobody looks but a checksum.
fn firmware() -> Result<(Vec<u8>, Vec<u8>)> {
    let good = fs::read(Artifacts::from_env().rtos())?;
    let mut torn = good.clone();
    // Padding in the file's own header.
    torn[9] ^= 1;
    Ok((good, torn))
}

#[test]
fn torn_firmware_is_refused_with_both_values() -> Result<()> {
    let bed = Testbed::new()?;
    let (good, torn) = firmware()?;
    let (was, is) = (checksum::crc32(&good), checksum::crc32(&torn));
    import(&bed, &torn, &format!("FirmwareCRC32={was}"))?;
    let refused = bed.run(&["--rm"], NAME, "torn")?;
    let said = refused.complaint();
    let why = format!("its crc-32 is {is}, the image's client.conf says {was}: it is torn or was changed");
    assert!(!refused.status.success() && said.contains(&why), "{said}");
    bed.clean()
}

#[test]
fn the_sha_256_is_checked_on_request() -> Result<()> {
    let bed = Testbed::new()?;
    let (good, torn) = firmware()?;
    let (was, is) = (checksum::sha256(&good), checksum::sha256(&torn));
    // Whoever changed it has made the CRC fit.
    import(&bed, &torn, &format!("FirmwareCRC32={}\nFirmwareSHA256={was}", checksum::crc32(&torn)))?;
    let refused = bed.run(&["--rm", "--annotation", CHECK], NAME, "changed")?;
    let said = refused.complaint();
    let why = format!("its sha-256 is {is}, the image's client.conf says {was}: it is torn or was changed");
    assert!(!refused.status.success() && said.contains(&why), "{said}");
    // What is as it was runs.
    import(&bed, &good, &format!("FirmwareCRC32={}\nFirmwareSHA256={was}", checksum::crc32(&good)))?;
    let words = bed.run_words(&["--rm", "-t", "--annotation", CHECK], NAME, "checked");
    let mut console = bed.ctr.pty(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    console.expect(PROMPT, DEADLINE)?;
    console.send(b"exit 5\r")?;
    assert_eq!(console.wait(DEADLINE)?.code(), Some(5));
    bed.clean()
}
