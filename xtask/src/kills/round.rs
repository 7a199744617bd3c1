//! One round: a container is brought to a step, something is killed within it, and the truth is demanded.

use anyhow::{Context, Result, ensure};
use qemu_tests::{Task, wait_for};

use super::aim::Aim;
use super::gate::Call;
use super::ground::{Ground, PATIENCE, Wish};
use super::plan::{Round, Step, Victim};
use super::truth::{self, State};
use super::victims::Known;

/// What a round has shown.
pub(super) struct Shown {
    /// Something was killed: it had not ended by itself before.
    pub(super) hit: bool,
    /// What had become of the task.
    pub(super) state: State,
    /// What `ctr` said to the user whose request was under way.
    pub(super) complaint: String,
}

/// The names of one round's containers.
pub(super) struct Names {
    pub(super) id: String,
    /// The other container in the same shim, which also gives the group its name.
    pub(super) other: Option<String>,
}

impl Names {
    fn wish<'a>(&'a self, id: &'a str, round: &Round) -> Wish<'a> {
        Wish { id, core: round.core, group: self.other.as_deref() }
    }
}

/// Plays one round.
///
/// # Errors
/// What is not as it must be.
pub(super) fn play(ground: &mut Ground, round: &mut Round) -> Result<Shown> {
    let tells = told_by_events(round);
    if tells {
        ground.listen()?;
    }
    let before = ground.bed.containerd.leaks();
    let id = format!("k{}", round.number);
    let names = Names { other: round.pod.then(|| format!("{id}-other")), id };
    if let Some(other) = &names.other {
        ground.run(&names.wish(other, round))?;
    }
    let known = Known::now();
    let call = approach(ground, round, &names)?;
    let aim = Aim::take(ground, round, &names, known)?;
    let hit = aim.strike(ground, round, call.as_ref())?;
    let complaint = call.map_or(Ok(String::new()), Call::end)?;
    if matches!(round.victim, Victim::Containerd | Victim::Both) {
        ground.restart()?;
    }
    let state = settle(ground, round, &names).with_context(|| format!("ctr said {complaint:?}"))?;
    if tells && hit {
        let (exit, exits) = (ground.hear_end(&names.id)?, truth::exits(round));
        ensure!(exits.contains(&exit), "the exit status told is {exit}, must be one of {exits:?}");
    }
    if round.step == Step::Create && round.victim != Victim::Containerd {
        use_again(ground, round, &names)?;
    }
    ground.nothing_left(&before)?;
    ground.bystander.check(&ground.bed, &names.id)?;
    Ok(Shown { hit, state, complaint })
}

/// Brings the container to the step; the step's request stands before the gate.
fn approach(ground: &Ground, round: &Round, names: &Names) -> Result<Option<Call>> {
    let (id, task) = (names.id.as_str(), ground.bed.task(&names.id));
    let wish = names.wish(id, round);
    match round.step {
        Step::Create => return ground.begin_run(&wish).map(Some),
        Step::Start => {
            let mut call = ground.begin_run(&wish)?;
            call.go_on()?;
            call.stopped()?;
            return Ok(Some(call));
        }
        Step::Run | Step::Kill | Step::Delete => ground.run(&wish)?,
    }
    match round.step {
        Step::Kill => ground.begin_kill(id, round.signal()).map(Some),
        Step::Delete => {
            task.kill("SIGKILL")?;
            task.ended()?;
            ground.begin_delete(id).map(Some)
        }
        _ => Ok(None),
    }
}

/// Demands the true state of all of the round's containers, and brings them to their end.
fn settle(ground: &Ground, round: &Round, names: &Names) -> Result<State> {
    let exits = truth::exits(round);
    let state = finish(&ground.bed.task(&names.id), truth::states(round), exits)?;
    if let Some(other) = &names.other {
        let (task, state) = (ground.bed.task(other), truth::of_the_pod(round.victim));
        finish(&task, &[state], &[137]).context("the other container of the pod")?;
    }
    Ok(state)
}

fn finish(task: &Task<'_>, states: &[State], exits: &[u32]) -> Result<State> {
    let mut seen = None;
    let state = wait_for("the true state", PATIENCE, || {
        seen = Some(task.status().and_then(|status| State::parse(status.as_deref())));
        seen.as_ref()?.as_ref().ok().filter(|state| states.contains(state)).copied()
    });
    let state = state.with_context(|| format!("the state is {seen:?}, must be one of {states:?}"))?;
    if matches!(state, State::Created | State::Running) {
        // Refused if the end that was on its way has come.
        let refused = task.kill("SIGKILL");
        task.ended().with_context(|| format!("after {refused:?}"))?;
    }
    if state != State::Gone {
        let exit = task.delete()?;
        ensure!(exits.contains(&exit), "the exit status is {exit}, must be one of {exits:?}");
    }
    task.remove_container()?;
    Ok(state)
}

/// Whether the end of the container is told by an event: after the shim's death nobody can ask any more. Who listens to
/// a containerd that dies hears nothing.
fn told_by_events(round: &Round) -> bool {
    round.victim == Victim::Shim && round.step != Step::Create
}

/// containerd does not call `delete` for what it has not connected to. A socket without a server is removed, and a
/// server without a container used, by the next container of that name; without one such a server ends after a minute.
fn use_again(ground: &Ground, round: &Round, names: &Names) -> Result<()> {
    ground.run(&Wish { group: None, ..names.wish(&names.id, round) })?;
    let state = finish(&ground.bed.task(&names.id), &[State::Running], &[137]);
    state.map(drop).context("the next container of that name")
}
