//! Sockets beside the console: terminals, bulk data, the debugger.

use super::*;

#[test]
fn a_terminal_beside_the_console_is_a_socket() {
    let setting = Setting::new();
    let (container, mut console) = setting.at_prompt();
    setting.type_in(b"announce rpmsg-tty1");
    let mut first = connect(&setting, "rpmsg-tty1.sock");
    let mode = std::fs::metadata(setting.path("rpmsg-tty1.sock")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    first.write_all(b"side").expect("room");
    received(&mut first, b"side");
    // The next client takes the place of the first.
    let mut second = connect(&setting, "rpmsg-tty1.sock");
    second.write_all(b"by").expect("room");
    received(&mut second, b"by");
    assert_eq!(first.read(&mut [0; 8]).expect("the end"), 0);
    setting.type_in(b"withdraw rpmsg-tty1");
    assert_eq!(second.read(&mut [0; 8]).expect("the end"), 0);
    setting.type_in(b"still here");
    read_until(&mut console, b"still here");
    assert!(!setting.path("rpmsg-tty1.sock").exists());
    container.kill(9).expect("killed");
    end_of(&container);
}

#[test]
fn bulk_data_goes_through_the_window_in_both_directions() {
    let setting = Setting::new();
    let (container, mut console) = setting.at_prompt();
    setting.type_in(b"announce rpmsg-umt");
    // The descriptor of the text that comes first, at the start of the window of the last core.
    read_until(&mut console, b"umt [0, 0, 208, 112, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0]\n");
    let mut client = connect(&setting, "rpmsg-umt.sock");
    for len in [1, 496, 4097, 1 << 20] {
        let data: Vec<u8> = (0..len).map(|index: u32| (index.wrapping_mul(index) >> 7) as u8).collect();
        client.write_all(&framed(&data)).expect("taken");
        received(&mut client, &framed(&data));
    }
    // Many at once: each waits for the one before, none is lost.
    let many: Vec<u8> = (0..100_u32).flat_map(|number| framed(&number.to_le_bytes())).collect();
    client.write_all(&many).expect("taken");
    received(&mut client, &many);
    container.kill(9).expect("killed");
    end_of(&container);
}

#[test]
fn a_bulk_client_is_held_to_the_rules_and_the_next_one_begins_anew() {
    let setting = Setting::new();
    let (container, mut console) = setting.at_prompt();
    setting.type_in(b"announce rpmsg-umt");
    for wrong in [0, (1 << 20) + 1, u32::MAX] {
        let mut client = connect(&setting, "rpmsg-umt.sock");
        client.write_all(&wrong.to_le_bytes()).expect("room");
        assert_eq!(client.read(&mut [0; 8]).expect("the end"), 0, "{wrong}");
    }
    // Half a message is forgotten with its sender.
    let mut client = connect(&setting, "rpmsg-umt.sock");
    client.write_all(&framed(b"whole")).expect("room");
    received(&mut client, &framed(b"whole"));
    client.write_all(&framed(b"never whole")[..8]).expect("room");
    let mut next = connect(&setting, "rpmsg-umt.sock");
    // A reset, if its last bytes were not read yet.
    assert_eq!(client.read(&mut [0; 8]).unwrap_or(0), 0);
    next.write_all(&framed(b"another")).expect("room");
    received(&mut next, &framed(b"another"));
    // The socket stays when the firmware withdraws and announces.
    setting.type_in(b"withdraw rpmsg-umt");
    taken(&File::options().write(true).open(setting.path("stdin")).expect("a writer"));
    setting.type_in(b"announce rpmsg-umt");
    read_until(&mut console, b"umt [0, 0, 208, 112, 0, 0, 0, 0, 32");
    next.write_all(&framed(b"again")).expect("room");
    received(&mut next, &framed(b"again"));
    container.kill(9).expect("killed");
    end_of(&container);
    setting.sandbox.delete("c").expect("deleted");
    assert!(!setting.path("rpmsg-umt.sock").exists());
}

#[test]
fn a_debugger_talks_to_the_stub() {
    let setting = Setting::new();
    let firmware = TestElf::new().resource_table(&table_with_vendor_entries()).build();
    std::fs::write(setting.path("rootfs/firmware.elf"), firmware).expect("written");
    let container = setting.running();
    let mut gdb = connect(&setting, "gdb.sock");
    // The stub is waiting for bytes, as it has stopped: no interrupt tells it of any, so this alone stops it.
    gdb.write_all(b"\x03").expect("room");
    received(&mut gdb, b"$T02#b6");
    // The fake stub looks when it is kicked, as it is with each message to the console.
    gdb.write_all(b"$?#3f").expect("room");
    gdb.set_nonblocking(true).expect("set");
    let (begun, mut echo) = (Instant::now(), Vec::new());
    while echo != b"$?#3f" {
        assert!(begun.elapsed() < DEADLINE, "{echo:?}");
        setting.type_in(b"x");
        let mut bytes = [0; 16];
        if let Ok(len) = gdb.read(&mut bytes) {
            echo.extend_from_slice(&bytes[..len]);
        }
    }
    drop(gdb);
    container.kill(9).expect("killed");
    end_of(&container);
}

#[test]
fn firmware_without_debug_rings_has_no_socket() {
    let setting = Setting::new();
    let container = setting.running();
    read_until(&mut setting.reader(), b"# ");
    assert!(!setting.path("gdb.sock").exists());
    container.kill(9).expect("killed");
    end_of(&container);
}
