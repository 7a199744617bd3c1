//! One round: a container is brought to a step, something is killed within it, and the truth is demanded.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use qemu_tests::{Task, kill_9, wait_for};

use super::gate::Call;
use super::ground::{Ground, Wish};
use super::plan::{Round, Step, Victim};
use super::truth::{self, State};
use super::victims::{Known, is_child_of, is_shim_of};

/// How long containerd may take to know the truth: it gives a dead shim's clean-up five seconds.
const DEADLINE: Duration = Duration::from_secs(15);
/// How often one looks for a process that is about to come.
const LOOK: Duration = Duration::from_micros(100);

/// What a round has shown.
pub(super) struct Shown {
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
pub(super) fn play(ground: &mut Ground, mut round: Round) -> Result<Shown> {
    let before = ground.bed.containerd.leaks();
    let id = format!("k{}", round.number);
    let names = Names { other: round.pod.then(|| format!("{id}-other")), id };
    if let Some(other) = &names.other {
        ground.run(&names.wish(other, &round))?;
    }
    let known = Known::now();
    let call = approach(ground, &round, &names)?;
    let aim = aim(ground, &round, &names, known)?;
    strike(ground, &mut round, &names, &aim, call.as_ref())?;
    let complaint = call.map_or(Ok(String::new()), Call::end)?;
    if matches!(round.victim, Victim::Containerd | Victim::Both) {
        ground.bed.containerd.restart()?;
    }
    let state = settle(ground, &round, &names).with_context(|| format!("ctr said {complaint:?}"))?;
    ground.bed.containerd.none_left(&before)?;
    ground.bystander.check(&ground.bed, &names.id)?;
    Ok(Shown { state, complaint })
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

/// Lets the request go on, and kills at a moment within the step.
fn strike(ground: &Ground, round: &mut Round, names: &Names, aim: &Aim, call: Option<&Call>) -> Result<()> {
    let moment = round.dice.time(ground.length(round.core, round.step));
    call.map_or(Ok(()), Call::go_on)?;
    let mut doomed = match (round.victim, round.step) {
        (Victim::Containerd, _) => {
            thread::sleep(moment);
            vec![aim.containerd]
        }
        (Victim::Emulator, Step::Start) => {
            let shim = aim.shim.context("no shim")?;
            vec![appear(round, moment, || aim.known.newcomers(|pid| is_child_of(pid, shim)))?]
        }
        (Victim::Emulator, _) => {
            thread::sleep(moment);
            aim.emulator.into_iter().collect()
        }
        (Victim::Shim | Victim::Both, Step::Create) => {
            let shims = || {
                let mut shims = aim.known.newcomers(|pid| is_shim_of(pid, &names.id));
                shims.extend(aim.shim);
                shims
            };
            vec![appear(round, moment, shims)?]
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
    for pid in doomed {
        // Gone already is a moment too: the last of the step.
        let _ = kill_9(pid);
    }
    Ok(())
}

/// Waits until there is a process, then for `moment`, and picks one of those that are there.
fn appear(round: &mut Round, moment: Duration, mut look: impl FnMut() -> Vec<u32>) -> Result<u32> {
    let begun = Instant::now();
    while look().is_empty() {
        ensure!(begun.elapsed() < DEADLINE, "the process to kill did not appear");
        thread::sleep(LOOK);
    }
    thread::sleep(moment);
    let there = look();
    let count = u64::try_from(there.len())?;
    ensure!(count > 0, "the process to kill has ended by itself");
    Ok(there[usize::try_from(round.dice.below(count))?])
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
