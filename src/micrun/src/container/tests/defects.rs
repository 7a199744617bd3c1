//! Known defects of the C implementation that concern a container's services; see `docs/reference/defects.md`.

use super::*;

/// A terminal that nobody reads is no reason to hold up the console.
#[test]
fn a_terminal_that_nobody_reads_holds_up_nothing() {
    let setting = Setting::new();
    let (container, mut console) = setting.at_prompt();
    setting.type_in(b"announce rpmsg-tty1");
    let mut side = connect(&setting, "rpmsg-tty1.sock");
    side.set_write_timeout(Some(DEADLINE)).expect("a timeout");
    // The firmware sends all of it back. It stays in the socket, and what is more than that is lost.
    for _ in 0..2000 {
        side.write_all(&[b'x'; 496]).expect("taken in time");
    }
    setting.type_in(b"still here");
    read_until(&mut console, b"still here");
    container.kill(9).expect("killed");
    assert_eq!(end_of(&container).status, 137);
}

/// The service for bulk data says that it has no window, and the container goes on.
#[test]
fn bulk_data_without_a_window_costs_nothing_but_itself() {
    let setting = Setting::new();
    let board = r#""annotations":{"org.openeuler.micrun.board":"qemu-raspi4b","#;
    let config = CONFIG.replace(r#""annotations":{"#, board);
    std::fs::write(setting.path("config.json"), config).expect("written");
    let (container, mut console) = setting.at_prompt();
    setting.type_in(b"announce rpmsg-umt");
    read_until(&mut console, b"umt [0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0]\n");
    assert!(!setting.path("rpmsg-umt.sock").exists());
    setting.type_in(b"still here");
    read_until(&mut console, b"still here");
    container.kill(9).expect("killed");
    end_of(&container);
}

/// Each core's service for bulk data has a window of its own, and lives on when another one's ends.
#[test]
fn bulk_data_of_one_core_outlives_anothers() {
    let (last, first) = (Setting::new(), Setting::new());
    std::fs::create_dir_all(first.path("rootfs/etc/mica")).expect("made");
    let conf = "[Mica]\nName=a\nClientPath=/firmware.elf\nCPU=1\n";
    std::fs::write(first.path("rootfs/etc/mica/client.conf"), conf).expect("written");
    let containers = [&last, &first].map(Setting::running);
    for (setting, window) in [(&last, "umt [0, 0, 208, 112,"), (&first, "umt [0, 0, 16, 113,")] {
        let mut console = setting.reader();
        read_until(&mut console, b"# ");
        setting.type_in(b"announce rpmsg-umt");
        read_until(&mut console, window.as_bytes());
    }
    let mut client = connect(&first, "rpmsg-umt.sock");
    client.write_all(&framed(b"before")).expect("taken");
    received(&mut client, &framed(b"before"));
    containers[0].kill(9).expect("killed");
    end_of(&containers[0]);
    client.write_all(&framed(b"after")).expect("taken");
    received(&mut client, &framed(b"after"));
    containers[1].kill(9).expect("killed");
    end_of(&containers[1]);
}

/// The debugger's connection and socket end with the container, once; only the shim's user could connect.
#[test]
fn a_connected_debugger_ends_with_its_container() {
    let setting = Setting::new();
    let firmware = TestElf::new().resource_table(&table_with_vendor_entries()).build();
    std::fs::write(setting.path("rootfs/firmware.elf"), firmware).expect("written");
    let container = setting.running();
    let mut gdb = connect(&setting, "gdb.sock");
    let mode = std::fs::metadata(setting.path("gdb.sock")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    container.kill(9).expect("killed");
    assert_eq!(end_of(&container).status, 137);
    assert!(container.kill(9).is_err(), "it has ended");
    assert_eq!(gdb.read(&mut [0; 8]).expect("the end"), 0);
    setting.sandbox.delete("c").expect("deleted");
    assert!(!setting.path("gdb.sock").exists());
}

/// What lies where a service's socket would be is left as it is, and the service is missing.
#[test]
fn a_file_in_the_way_of_a_socket_stays() {
    let setting = Setting::new();
    std::fs::write(setting.path("rpmsg-tty1.sock"), "precious").expect("written");
    let (container, mut console) = setting.at_prompt();
    setting.type_in(b"announce rpmsg-tty1");
    taken(&File::options().write(true).open(setting.path("stdin")).expect("a writer"));
    setting.type_in(b"still here");
    read_until(&mut console, b"still here");
    container.kill(9).expect("killed");
    end_of(&container);
    setting.sandbox.delete("c").expect("deleted");
    assert_eq!(std::fs::read(setting.path("rpmsg-tty1.sock")).expect("there"), b"precious");
}
