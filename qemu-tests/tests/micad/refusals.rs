//! What cannot be is refused, and leaves nothing.

use super::*;

/// Demands that a Create by hand, of container `id` with this `client.conf`, is refused; gives code and sentence.
fn refused(sockets: &Path, id: &str, conf: &str) -> (Code, String) {
    let pedestal = r#"{"annotations":{"org.openeuler.micrun.ped.pedestal":"micad"}}"#;
    let bundle = by_hand::bundle_with(pedestal);
    let rootfs = bundle.path().join("rootfs");
    fs::create_dir_all(rootfs.join("etc/mica")).expect("made");
    fs::write(rootfs.join("firmware.elf"), TestElf::new().build()).expect("written");
    fs::write(rootfs.join("pedestal.bin"), CELL).expect("written");
    let conf = format!("[Mica]\nName=app\nClientPath=/firmware.elf\n{conf}");
    fs::write(rootfs.join("etc/mica/client.conf"), conf).expect("written");
    let mut start = by_hand::call(bundle.path(), &["start"]);
    let server = Server { address: by_hand::address(&by_hand::output(start.env("MICRUN_MICAD", sockets))) };
    let client = TaskClient::new(server.connect());
    let path = bundle.path().display().to_string();
    let request = CreateTaskRequest { id: id.to_owned(), bundle: path, ..Default::default() };
    match client.create(context::with_duration(DEADLINE), &request) {
        Err(Error::RpcStatus(status)) => (status.code(), status.message),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn what_micad_would_misunderstand_is_refused_in_one_sentence() -> Result<()> {
    let ground = fake_micad::Ground::new()?;
    let sockets = ground.path("mica");
    let wrong = |reason: &str| (Code::INVALID_ARGUMENT, format!("firmware \"/firmware.elf\": {reason}"));
    let refused = |id: &str, conf: &str| refused(&sockets, id, conf);
    let absent = format!(
        "firmware \"/firmware.elf\": micad does not answer at {}/mica-create.socket: \
         No such file or directory (os error 2)",
        sockets.display()
    );
    assert_eq!(refused("app", "CPU=43\n"), (Code::UNAVAILABLE, absent));
    let micad = start(&ground, false)?;
    let core = "micad's bare metal needs a core of its own: set CPU in the image's client.conf, from 1 on";
    assert_eq!(refused("app", ""), wrong(core));
    assert_eq!(refused("app", "CPU=0\n"), wrong(core));
    let long = format!("calls--{}", "x".repeat(60));
    let name =
        format!("micad's names have at most 65 bytes, and {long:?} has 67: choose a shorter container id");
    assert_eq!(refused(&long[7..], "CPU=43\n"), wrong(&name));
    let hetero = "Pedestal=hetero\nPedestalConf=/firmware.elf\nCPU=riscv\n";
    let cell = "Pedestal=jailhouse\nPedestalConf=/firmware.elf\n";
    assert_eq!(refused("app", cell), wrong("PedestalConf is no cell of jailhouse's"));
    let iomem = format!("{hetero}IOMem={}\n", "x".repeat(512));
    let (code, said) = refused("app", &iomem);
    assert_eq!(code, Code::INVALID_ARGUMENT, "{said}");
    assert!(said.contains("IOMem"), "{said}");
    assert!(micad.log().is_empty(), "micad has heard of nothing");
    Ok(())
}

#[test]
fn what_micad_refuses_leaves_nothing() -> Result<()> {
    for kind in [&BAREMETAL, &JAILHOUSE, &HETERO, &XEN] {
        let ground = Ground::new(kind)?;
        ground.micad()?.fail("start");
        let refused = ground.running(kind, "app").err().context("it runs")?.to_string();
        let sentence = "firmware does not start: micad refuses \"start\", its reason is in the system's log";
        assert!(refused.contains(sentence), "{refused}");
        ground.bed.task("app").remove_container()?;
        ground.golden(&format!("{}-refused", kind.pedestal), &ground.micad()?.log())?;
        ground.clean()?;
    }
    Ok(())
}

#[test]
fn a_core_that_another_container_has_is_refused_and_the_error_names_who_has_it() -> Result<()> {
    for (kind, core) in [(&BAREMETAL, "mcs-41"), (&JAILHOUSE, "uio0"), (&HETERO, "riscv")] {
        let ground = Ground::new(kind)?;
        let task = ground.running(kind, "app")?;
        let image = ground.image(kind, kind.cpu)?;
        let sent = ground.micad()?.log().len();
        // In a shim of its own.
        let refused = ground.run(kind, &image, "second").err().context("it runs")?.to_string();
        assert!(refused.contains(&format!("{core} is taken by micrun/app")), "{refused}");
        let others = ground.micad()?.log().split_off(sent);
        assert!(others.iter().all(|exchange| exchange.request == b"status"), "micad has heard of it");
        ground.bed.task("second").remove_container()?;
        // It is free as soon as that one has gone.
        assert_eq!(task.end_by("SIGKILL")?, 137);
        let second = ground.run(kind, &image, "second")?;
        assert_eq!(second.end_by("SIGKILL")?, 137);
        ground.clean()?;
    }
    Ok(())
}

#[test]
fn a_domain_s_cpus_can_be_another_s_as_well() -> Result<()> {
    let ground = Ground::new(&XEN)?;
    let first = ground.running(&XEN, "first")?;
    let second = ground.running(&XEN, "second")?;
    assert_eq!((first.end_by("SIGKILL")?, second.end_by("SIGKILL")?), (137, 137));
    ground.clean()
}
