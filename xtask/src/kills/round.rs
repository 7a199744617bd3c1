//! One round: a container is brought to a step, something is killed within it, and the truth is demanded.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use qemu_tests::{Leaks, Task, kill_9, wait_for};

use super::gate::Call;
use super::ground::{Ground, Wish};
use super::plan::{Round, Step, Victim};
use super::truth::{self, State};
use super::victims::{Known, Role, hold_starters, is_child_of, role};

/// How long containerd may take to know the truth: it gives a dead shim's clean-up five seconds.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long a `start` goes on after it was held, about.
const STARTER: Duration = Duration::from_millis(3);
/// How long a process to kill may take to appear: longer than any step.
const APPEARANCE: Duration = Duration::from_secs(1);

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
struct Names {
    id: String,
    /// The other container in the same shim, which also gives the group its name.
    other: Option<String>,
}

impl Names {
    fn wish<'a>(&'a self, id: &'a str, round: &Round) -> Wish<'a> {
        Wish { id, core: round.core, group: self.other.as_deref() }
    }
}

/// What is known of the processes before the blow.
struct Aim {
    /// Those that are not the container's own.
    known: Known,
    containerd: u32,
    /// The shim's server, if it is there.
    shim: Option<u32>,
    /// The container's own emulator, if it runs.
    emulator: Option<u32>,
}

/// Plays one round.
///
/// # Errors
/// What is not as it must be.
pub(super) fn play(ground: &mut Ground, round: &mut Round) -> Result<Shown> {
    let before = ground.bed.containerd.leaks();
    let id = format!("k{}", round.number);
    let names = Names { other: round.pod.then(|| format!("{id}-other")), id };
    if let Some(other) = &names.other {
        ground.run(&names.wish(other, round))?;
    }
    let known = Known::now();
    let call = approach(ground, round, &names)?;
    let aim = aim(ground, round, &names, known)?;
    let hit = strike(ground, round, &names, &aim, call.as_ref())?;
    let complaint = call.map_or(Ok(String::new()), Call::end)?;
    if matches!(round.victim, Victim::Containerd | Victim::Both) {
        ground.bed.containerd.restart()?;
    }
    let state = settle(ground, round, &names).with_context(|| format!("ctr said {complaint:?}"))?;
    if round.step == Step::Create && round.victim != Victim::Containerd {
        use_again(ground, round, &names)?;
    }
    nothing_left(ground, round, &before)?;
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

fn aim(ground: &Ground, round: &Round, names: &Names, known: Known) -> Result<Aim> {
    let containerd = ground.bed.containerd.pid();
    let task = ground.bed.task(&names.id);
    let shim = match (round.step, &names.other) {
        (Step::Create, None) => None,
        (Step::Create, Some(other)) => Some(ground.bed.task(other).pid()?),
        _ => Some(task.pid()?),
    };
    let emulator = shim.and_then(|shim| known.newcomers(|pid| is_child_of(pid, shim)).pop());
    Ok(Aim { known, containerd, shim, emulator })
}

/// Lets the request go on, and kills at a moment within the step. False if that came too late for all of them.
fn strike(ground: &Ground, round: &mut Round, names: &Names, aim: &Aim, call: Option<&Call>) -> Result<bool> {
    let moment = round.dice.time(ground.length(round.core, round.step));
    let held = (round.victim == Victim::Starter).then(hold_starters).transpose()?;
    call.map_or(Ok(()), Call::go_on)?;
    let shims = |wanted: Role| aim.known.newcomers(|pid| role(pid, &names.id) == Some(wanted));
    let children = |shim: u32| aim.known.newcomers(|pid| is_child_of(pid, shim));
    let mut doomed: Vec<u32> = match (round.victim, round.step) {
        (Victim::Containerd, _) => {
            thread::sleep(moment);
            vec![aim.containerd]
        }
        (Victim::Emulator, Step::Start) => {
            let shim = aim.shim.context("no shim")?;
            appear(moment, || children(shim))
        }
        (Victim::Emulator, _) => {
            thread::sleep(moment);
            aim.emulator.into_iter().collect()
        }
        (Victim::Starter, _) => {
            let there = appear(Duration::ZERO, || shims(Role::Starter));
            drop(held);
            thread::sleep(round.dice.time(STARTER));
            there
        }
        (Victim::Shim | Victim::Both, Step::Create) if aim.shim.is_none() => {
            appear(moment, || shims(Role::Server))
        }
        (Victim::Shim | Victim::Both, _) => {
            thread::sleep(moment);
            aim.shim.into_iter().collect()
        }
    };
    if round.victim == Victim::Both {
        doomed.push(aim.containerd);
        if round.dice.below(2) == 0 {
            doomed.reverse();
        }
    }
    // All of them, whether or not the first has ended by itself.
    Ok(doomed.into_iter().filter(|pid| kill_9(*pid).is_ok()).count() > 0)
}

/// Waits until there is a process, then for `moment`. Some live for a millisecond, so there is no pause between two
/// looks, and one may be missed: then there is none.
fn appear(moment: Duration, look: impl Fn() -> Vec<u32>) -> Vec<u32> {
    let begun = Instant::now();
    while begun.elapsed() < APPEARANCE {
        let there = look();
        if !there.is_empty() {
            thread::sleep(moment);
            return there;
        }
    }
    Vec::new()
}

/// Demands the true state of all of the round's containers, and brings them to their end.
fn settle(ground: &Ground, round: &Round, names: &Names) -> Result<State> {
    let exits = truth::exits(round);
    let state = finish(&ground.bed.task(&names.id), truth::states(round.victim, round.step), exits)?;
    if let Some(other) = &names.other {
        let (task, state) = (ground.bed.task(other), truth::of_the_pod(round.victim));
        finish(&task, &[state], &[137]).context("the other container of the pod")?;
    }
    Ok(state)
}

fn finish(task: &Task<'_>, states: &[State], exits: &[u32]) -> Result<State> {
    let mut seen = None;
    let state = wait_for("the true state", DEADLINE, || {
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

/// containerd does not call `delete` for what it has not connected to. A socket without a server is removed, and a
/// server without a container used, by the next container of that name; without one such a server ends after a minute.
fn use_again(ground: &Ground, round: &Round, names: &Names) -> Result<()> {
    ground.run(&Wish { group: None, ..names.wish(&names.id, round) })?;
    let state = finish(&ground.bed.task(&names.id), &[State::Running], &[137]);
    state.map(drop).context("the next container of that name")
}

fn nothing_left(ground: &Ground, round: &Round, before: &Leaks) -> Result<()> {
    let mut left = Vec::new();
    wait_for("nothing left", DEADLINE, || {
        left = ground.bed.containerd.leaks().since(before);
        left.retain(|line| !truth::is_containerds(round.victim, line));
        left.is_empty().then_some(())
    })
    .with_context(|| format!("left behind:\n  {}", left.join("\n  ")))
}
