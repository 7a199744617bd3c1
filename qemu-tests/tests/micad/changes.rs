//! Pause and Update: everything for a Xen domain, nothing for the others.

use super::*;

#[test]
fn a_domain_is_paused_and_changed() -> Result<()> {
    let ground = Ground::new(&XEN)?;
    let task = ground.running(&XEN, "app")?;
    let mut console = console(&task)?;
    ground.bed.ctr.ok(&["task", "pause", "app"])?;
    assert_eq!(task.status()?.as_deref(), Some("PAUSED"));
    console.send(b"echo later\r")?;
    assert!(console.take(1, Duration::from_millis(300)).is_err(), "a domain that stands still answers");
    ground.bed.ctr.ok(&["task", "resume", "app"])?;
    console.expect(&format!("\nlater\r\r\n{PROMPT}"), DEADLINE)?;
    // 300 % of two CPUs, four times the ordinary weight, more memory and then less.
    ground.update("app", r#"{"cpu":{"cpus":"0","shares":4096},"memory":{"limit":134217728}}"#)?;
    ground.update("app", r#"{"cpu":{"quota":50000,"period":100000},"memory":{"limit":33554432}}"#)?;
    task.kill("SIGKILL")?;
    assert_eq!(end_of(&task, &mut console)?, 137);
    let xl = ground.ground.xl_log();
    let called: Vec<&str> = xl.lines().filter(|line| !line.starts_with("xl domid")).collect();
    assert_eq!(called, ["xl pause micrun--app", "xl unpause micrun--app"]);
    let log = ground.micad()?.log();
    ground.golden(
        "xen-update",
        &log.into_iter().filter(|exchange| exchange.request != b"status").collect::<Vec<_>>(),
    )?;
    ground.clean()
}

#[test]
fn what_is_no_domain_is_not_paused() -> Result<()> {
    for kind in [&BAREMETAL, &JAILHOUSE, &HETERO] {
        let ground = Ground::new(kind)?;
        let task = ground.running(kind, "app")?;
        let refused = ground.bed.ctr.run(&["task", "pause", "app"])?;
        let sentence = "of micad's cores only a xen domain can be paused";
        assert!(refused.complaint().contains(sentence), "{}", refused.complaint());
        assert_eq!(task.end_by("SIGKILL")?, 137);
        ground.clean()?;
    }
    Ok(())
}

#[test]
fn what_is_no_domain_is_not_changed() -> Result<()> {
    for kind in [&BAREMETAL, &JAILHOUSE, &HETERO] {
        let ground = Ground::new(kind)?;
        let task = ground.running(kind, "app")?;
        let sent = ground.micad()?.log().len();
        let wanted = r#"{"cpu":{"cpus":"0","shares":512},"memory":{"limit":134217728}}"#;
        let refused = ground.update("app", wanted).err().context("it was changed")?.to_string();
        let sentence = "cpu.cpus, cpu.shares, memory.limit cannot be changed for a core of the board";
        assert!(refused.contains(sentence), "{refused}");
        ground.update("app", "{}")?;
        let others = ground.micad()?.log().split_off(sent);
        assert!(others.iter().all(|exchange| exchange.request == b"status"), "micad has heard of it");
        assert_eq!(task.end_by("SIGKILL")?, 137);
        ground.clean()?;
    }
    Ok(())
}

#[test]
fn what_xen_refuses_changes_nothing() -> Result<()> {
    let ground = Ground::new(&XEN)?;
    let task = ground.running(&XEN, "app")?;
    ground.micad()?.fail("set CPUWeight 128");
    let sets = || -> Result<Vec<String>> {
        let log = ground.micad()?.log();
        let sent = log.into_iter().map(|exchange| String::from_utf8_lossy(&exchange.request).into_owned());
        Ok(sent.filter(|sent| sent.starts_with("set ")).collect())
    };
    let refused = ground.update("app", r#"{"cpu":{"shares":512},"memory":{"limit":134217728}}"#);
    let refused = refused.err().context("it was changed")?.to_string();
    assert!(refused.contains("set CPUWeight 128"), "{refused}");
    let there = ["set MaxMemory 128", "set Memory 128", "set CPUWeight 128"];
    let back = ["set Memory 64", "set MaxMemory 64", "set CPUWeight 256"];
    assert_eq!(sets()?, [there, back].concat());
    // What was refused is not remembered either.
    ground.update("app", r#"{"cpu":{"shares":2048}}"#)?;
    assert_eq!(sets()?[6..], ["set CPUWeight 512"]);
    assert_eq!(task.end_by("SIGKILL")?, 137);
    ground.clean()
}

#[test]
fn the_domains_of_a_pod_share_their_cpus_if_the_node_wants_that() -> Result<()> {
    let ground = Ground::configured(&XEN, false, "resources.shared_cpu_pool = true\n")?;
    let image = ground.image(&XEN, XEN.cpu)?;
    let of_pod = ["--annotation", "io.kubernetes.cri.sandbox-id=pod"];
    let first = ground.run_with(&XEN, &image, "first", &of_pod)?;
    let second = ground.run_with(&XEN, &image, "second", &of_pod)?;
    assert_eq!(first.pid()?, second.pid()?, "two shims");
    let sets = |id: &str| -> Result<Vec<String>> {
        let socket = format!("micrun--{id}.socket");
        let log = ground.micad()?.log().into_iter().filter(|exchange| exchange.socket == socket);
        let sent = log.map(|exchange| String::from_utf8_lossy(&exchange.request).into_owned());
        Ok(sent.filter(|sent| sent.starts_with("set ")).collect())
    };
    ground.update("first", r#"{"cpu":{"cpus":"0"}}"#)?;
    assert_eq!(sets("first")?, ["set CPUCapacity 100", "set VCPU 1", "set CPU 0"]);
    assert_eq!(sets("second")?, ["set CPU 0"], "as many virtual ones as before");
    assert_eq!(first.end_by("SIGKILL")?, 137);
    assert_eq!(sets("second")?, ["set CPU 0", "set CPU 0-1"], "those of its image again");
    assert_eq!(second.end_by("SIGKILL")?, 137);
    ground.clean()
}
