//! micad or the shim goes away in the middle of a life.

use super::*;

/// A new micad knows nothing of the instance. Where nobody can tell whether the core still runs, its container ends: to
/// start the firmware anew is not what anybody asked for.
fn restart(kind: &Kind) -> Result<()> {
    let mut ground = Ground::new(kind)?;
    ground.running(kind, "app")?;
    let before = ground.restart()?;
    let task = ground.bed.task("app");
    task.ended()?;
    assert_eq!(task.delete()?, 255);
    task.remove_container()?;
    assert!(
        ground.bed.containerd.log().contains("micad was restarted and does not know micrun--app any more")
    );
    ground.golden(&format!("{}-restart", kind.pedestal), &[before, ground.micad()?.log()].concat())?;
    if kind.pedestal == "xen" {
        assert!(ground.ground.node.running().is_empty(), "its domain is destroyed");
    }
    ground.bed.clean()
}

#[test]
fn a_restart_of_micad_ends_what_it_cannot_go_on_with() -> Result<()> {
    [&BAREMETAL, &JAILHOUSE, &HETERO, &XEN].into_iter().try_for_each(restart)
}

#[test]
fn a_micad_that_is_gone_does_not_keep_a_container() -> Result<()> {
    let mut ground = Ground::new(&XEN)?;
    ground.running(&XEN, "app")?;
    ground.micad.take().context("no micad runs")?.exit();
    let task = ground.bed.task("app");
    assert_eq!(task.status()?.as_deref(), Some("RUNNING"));
    assert_eq!(task.end_by("SIGKILL")?, 137);
    assert!(ground.ground.node.running().is_empty(), "its domain is destroyed");
    ground.bed.clean()
}

#[test]
fn a_killed_shim_s_instance_is_removed_from_the_record_alone() -> Result<()> {
    for kind in [&BAREMETAL, &JAILHOUSE, &HETERO, &XEN] {
        let ground = Ground::new(kind)?;
        let task = ground.running(kind, "app")?;
        kill_9(task.pid()?)?;
        task.gone()?;
        wait_for("the instance's removal", DEADLINE, || {
            (!ground.path("mica/micrun--app.socket").exists()).then_some(())
        })?;
        task.remove_container()?;
        ground.golden(&format!("{}-orphan", kind.pedestal), &ground.micad()?.log())?;
        ground.clean()?;
    }
    Ok(())
}
