//! Lives from run to SIGTERM, to the firmware's own end, and by force.

use super::*;

/// A life from run to SIGTERM, its console attached to twice.
fn life(kind: &Kind) -> Result<()> {
    let ground = Ground::new(kind)?;
    let task = ground.running(kind, "app")?;
    let mut first = console(&task)?;
    ask(&mut first, "hello")?;
    drop(first);
    let mut second = task.attach()?;
    ask(&mut second, "again")?;
    task.kill("SIGTERM")?;
    assert_eq!(end_of(&task, &mut second)?, 143);
    ground.golden(kind.pedestal, &ground.micad()?.log())?;
    ground.clean()
}

#[test]
fn a_life_on_bare_metal() -> Result<()> {
    life(&BAREMETAL)
}

#[test]
fn a_life_in_a_cell() -> Result<()> {
    life(&JAILHOUSE)
}

#[test]
fn a_life_on_another_architecture() -> Result<()> {
    life(&HETERO)
}

#[test]
fn a_life_in_a_domain() -> Result<()> {
    life(&XEN)
}

/// The container ends when its firmware does.
fn end(kind: &Kind, typed: &str, status: i32) -> Result<()> {
    let ground = Ground::new(kind)?;
    let task = ground.running(kind, "app")?;
    let mut console = console(&task)?;
    console.send(format!("{typed}\r").as_bytes())?;
    assert_eq!(end_of(&task, &mut console)?, status);
    let word = typed.split(' ').next().unwrap_or_default();
    ground.golden(&format!("{}-{word}", kind.pedestal), &ground.micad()?.log())?;
    ground.clean()
}

#[test]
fn firmware_that_ends_on_bare_metal_ends_its_container() -> Result<()> {
    end(&BAREMETAL, "exit 0", 0)
}

#[test]
fn firmware_that_ends_in_a_cell_ends_its_container() -> Result<()> {
    end(&JAILHOUSE, "exit 0", 0)
}

#[test]
fn firmware_that_ends_on_another_architecture_ends_its_container() -> Result<()> {
    end(&HETERO, "exit 0", 0)
}

#[test]
fn firmware_that_ends_in_a_domain_ends_its_container() -> Result<()> {
    end(&XEN, "exit 0", 0)
}

#[test]
fn a_domain_that_crashes_ends_its_container() -> Result<()> {
    end(&XEN, "crash", 139)
}

#[test]
fn firmware_that_hangs_is_killed() -> Result<()> {
    for kind in [&BAREMETAL, &JAILHOUSE, &HETERO, &XEN] {
        let ground = Ground::new(kind)?;
        let task = ground.running(kind, "app")?;
        let mut console = console(&task)?;
        console.send(b"hang\r")?;
        console.expect("hang\r\r\n", DEADLINE)?;
        task.kill("SIGKILL")?;
        assert_eq!(end_of(&task, &mut console)?, 137);
        ground.clean()?;
    }
    Ok(())
}

/// The older runtime starts a dead guest anew when it is asked for its state; even a question alone can stop one.
#[test]
fn asking_for_a_container_asks_micad_nothing() -> Result<()> {
    let ground = Ground::new(&XEN)?;
    let task = ground.running(&XEN, "app")?;
    let mut console = console(&task)?;
    let sent = ground.micad()?.log();
    for _ in 0..3 {
        assert_eq!(task.status()?.as_deref(), Some("RUNNING"));
        for words in [["task", "metrics", "app"], ["task", "ps", "app"]] {
            ground.bed.ctr.ok(&words)?;
        }
    }
    assert_eq!(ground.micad()?.log(), sent);
    task.kill("SIGKILL")?;
    assert_eq!(end_of(&task, &mut console)?, 137);
    ground.clean()
}
