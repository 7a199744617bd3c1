//! What Create reads, checks and refuses.

use super::*;

#[test]
fn a_wrong_annotation_is_the_callers_fault() {
    let setting = Setting::new();
    let config = CONFIG.replace(
        "\"annotations\":{",
        "\"annotations\":{\"org.openeuler.micrun.container.stop_timeout\":\"-1\",",
    );
    std::fs::write(setting.path("config.json"), config).expect("written");
    assert_eq!(kind(setting.create("c")), Kind::InvalidArgument);
}

#[test]
fn a_failed_create_leaves_no_container_and_no_record() {
    let setting = Setting::new();
    std::fs::write(setting.path("rootfs/firmware.elf"), b"not firmware").expect("written");
    let error = setting.create("c").expect_err("refused");
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert!(error.to_string().starts_with("firmware \"/firmware.elf\": "), "{error}");
    assert!(setting.sandbox.close());
    assert_eq!(kind(setting.create("c")), Kind::Unavailable);
    assert_eq!(Record::read(setting.bundle.path()), None);
    setting.no_more_events();
}

#[test]
fn a_create_that_nobody_waits_for_leaves_no_container() {
    let setting = Setting::new();
    let late = setting.create_before("c", Some(Instant::now()));
    assert_eq!(kind(late), Kind::Unavailable);
    assert!(setting.sandbox.get("c").is_err());
    assert_eq!(Record::read(setting.bundle.path()), None);
    setting.no_more_events();
    setting.create_before("c", Some(Instant::now() + DEADLINE)).expect("in time");
}

#[test]
fn client_conf_decides_unless_an_annotation_does() {
    let setting = Setting::new();
    std::fs::create_dir_all(setting.path("rootfs/etc/mica")).expect("made");
    let conf =
        |text: &str| std::fs::write(setting.path("rootfs/etc/mica/client.conf"), text).expect("written");
    let refused = || setting.create("c").expect_err("refused").to_string();
    conf("[Mica]\nName=a\nClientPath=/elsewhere.elf\nCPU=2\n");
    assert_eq!(refused(), "the image's \"/elsewhere.elf\": No such file or directory (os error 2)");
    conf("[Mica]\nName=a\nClientPath=/firmware.elf\nCPU=4\n");
    assert!(refused().contains("cpu 4 is not for firmware on board qemu-arm64"), "{}", refused());
    conf("[Mica]\nName=a\nClientPath=/firmware.elf\nCPU=1\nPedestal=jailhouse\nPedestalConf=/x\n");
    // The annotation of the setting says "fake", so jailhouse is not asked for.
    setting.create("c").expect("created");
}

#[test]
fn firmware_is_the_one_that_was_packed() {
    let create = |conf: String, path: &str| {
        let setting = Setting::new();
        std::fs::create_dir_all(setting.path("rootfs/etc/mica")).expect("made");
        std::fs::write(setting.path("rootfs/etc/mica/client.conf"), conf).expect("written");
        let annotation =
            format!("\"annotations\":{{\"org.openeuler.micrun.container.firmware_path\":\"{path}\",");
        let config = CONFIG.replace("\"annotations\":{", &annotation);
        std::fs::write(setting.path("config.json"), config).expect("written");
        setting.create("c").map_err(|error| (error.kind(), error.to_string()))
    };
    let says =
        |path: &str, crc: &str| format!("[Mica]\nName=a\nClientPath={path}\n[Micrun]\nFirmwareCRC32={crc}\n");
    let crc = firmware::checksum::crc32(&TestElf::new().build());
    let torn = format!(
        "firmware \"/firmware.elf\": its crc-32 is {crc}, the image's client.conf says 00000000: \
         it is torn or was changed"
    );
    assert_eq!(create(says("/firmware.elf", "00000000"), ""), Err((Kind::InvalidArgument, torn)));
    create(says("/firmware.elf", &crc), "").expect("the same bytes");
    // What `client.conf` says is of its own firmware only.
    create(says("/other.elf", "00000000"), "/firmware.elf").expect("nothing is said of it");
}

#[test]
fn what_a_container_was_made_with_lies_in_its_bundle() {
    let setting = Setting::new();
    let config = CONFIG.replacen('{', r#"{"linux":{"resources":{"memory":{"limit":67108864}}},"#, 1);
    std::fs::write(setting.path("config.json"), config).expect("written");
    setting.create("c").expect("created");
    let listing = std::fs::read_to_string(setting.path(crate::config::FILE)).expect("a listing");
    let says = |line: [&str; 3]| listing.lines().any(|found| found.split_whitespace().take(3).eq(line));
    assert!(says(["pedestal", "fake", "annotation"]), "{listing}");
    assert!(says(["limits.memory", "64", "linux.resources"]), "{listing}");
}
