//! What all rounds share: a containerd with both builds of the shim, the bystander, and how long each step takes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use firmware::annotation;
use qemu_tests::{Artifacts, Leaks, Options, Pty, RUNTIME, Testbed, wait_for};

use super::bystander::Bystander;
use super::gate::{Call, Gate};
use super::plan::{Core, Step};
use super::truth;

/// The build with the fake core goes by a name of its own.
pub(super) const FAKE_SHIM: &str = "containerd-shim-fake-v2";
const FAKE_RUNTIME: &str = "io.containerd.fake.v2";
/// Containers with the same value of this annotation share one shim.
const GROUP: &str = "io.containerd.runc.v2.group";
/// How long containerd may take to know the truth: it gives a dead shim's clean-up five seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// How long a container runs until a kill at the step Run at the latest.
const RUN: Duration = Duration::from_millis(20);
/// Lives that are measured of each core. The longest of each step counts.
const LIVES: usize = 2;

/// A containerd and all that is around it.
pub(super) struct Ground {
    pub(super) bed: Testbed,
    pub(super) gate: Gate,
    pub(super) bystander: Bystander,
    /// What was there before the bystander.
    before: Leaks,
    /// `ctr events`, as long as containerd lives.
    events: Option<Pty>,
    requests: Requests,
    lengths: Lengths,
}

/// How many requests `ctr` makes for a command; the last one is what the command is about. The one before the last of
/// `run` is Create.
#[derive(Default)]
struct Requests {
    run: usize,
    kill: usize,
    delete: usize,
}

/// How long a step's request takes, by core and step.
#[derive(Default)]
struct Lengths([[Duration; 5]; 2]);

impl Lengths {
    fn of(&mut self, core: Core, step: Step) -> &mut Duration {
        &mut self.0[core as usize][step as usize]
    }
}

/// A container that is to be made.
pub(super) struct Wish<'a> {
    pub(super) id: &'a str,
    pub(super) core: Core,
    pub(super) group: Option<&'a str>,
}

impl Ground {
    /// Prepares everything; `fake` is the directory of the shim with the fake core.
    ///
    /// # Errors
    /// Something does not start, or `ctr` is not the one that is known.
    pub(super) fn prepare(artifacts: &Artifacts, fake: &Path) -> Result<Self> {
        let mut options = Options::with(artifacts);
        options.path.push(fake.to_path_buf());
        let bed = Testbed::with(&options)?;
        let gate = Gate::new(&bed.containerd.address());
        let before = bed.containerd.leaks();
        let bystander = Bystander::start(&bed)?;
        let (requests, lengths) = (Requests::default(), Lengths::default());
        let mut ground = Self { bed, gate, bystander, before, events: None, requests, lengths };
        ground.count().context("counting the requests of ctr")?;
        for core in [Core::Fake, Core::Qemu] {
            (0..LIVES).try_for_each(|_| ground.measure(core)).context("measuring the steps")?;
        }
        Ok(ground)
    }

    /// How long `step` takes.
    pub(super) fn length(&self, core: Core, step: Step) -> Duration {
        if step == Step::Run { RUN } else { self.lengths.0[core as usize][step as usize] }
    }

    /// Starts `ctr run`, which stops before Create and before Start.
    ///
    /// # Errors
    /// `ctr` does not come that far.
    pub(super) fn begin_run(&self, wish: &Wish<'_>) -> Result<Call> {
        self.begin(&borrowed(&wish.words()), self.requests.run.saturating_sub(1))
    }

    /// Starts `ctr task kill`, which stops before Kill.
    ///
    /// # Errors
    /// As [`Ground::begin_run`].
    pub(super) fn begin_kill(&self, id: &str, signal: &str) -> Result<Call> {
        self.begin(&["task", "kill", "-s", signal, id], self.requests.kill)
    }

    /// Starts `ctr task delete`, which stops before Delete.
    ///
    /// # Errors
    /// As [`Ground::begin_run`].
    pub(super) fn begin_delete(&self, id: &str) -> Result<Call> {
        self.begin(&["task", "delete", id], self.requests.delete)
    }

    /// Makes a container and starts it.
    ///
    /// # Errors
    /// It is refused.
    pub(super) fn run(&self, wish: &Wish<'_>) -> Result<()> {
        self.bed.ctr.ok(&borrowed(&wish.words())).map(drop)
    }

    /// Starts the killed containerd again.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.events = None;
        self.bed.containerd.restart()
    }

    /// Listens to containerd's events until the next restart.
    ///
    /// # Errors
    /// It hears nothing.
    pub(super) fn listen(&mut self) -> Result<()> {
        if self.events.is_none() {
            self.events = Some(self.bed.events()?);
        }
        Ok(())
    }

    /// The exit status that the next end of `id` is told with.
    ///
    /// # Errors
    /// No end is told.
    pub(super) fn hear_end(&mut self, id: &str) -> Result<u32> {
        let events = self.events.as_mut().context("nobody listens")?;
        events.expect(&format!("/tasks/exit {{\"container_id\":\"{id}\""), PATIENCE)?;
        events.expect("\"exit_status\":", PATIENCE)?;
        let status = events.expect(",", PATIENCE)?;
        status.trim_end_matches(',').parse().with_context(|| status.clone())
    }

    /// Waits until nothing is left that was not there `before`, but for what containerd has left when it was killed.
    ///
    /// # Errors
    /// What is left.
    pub(super) fn nothing_left(&self, before: &Leaks) -> Result<()> {
        let mut left = Vec::new();
        wait_for("nothing left", PATIENCE, || {
            left = self.bed.containerd.leaks().since(before);
            left.retain(|line| !truth::is_containerds(line));
            left.is_empty().then_some(())
        })
        .with_context(|| format!("left behind:\n  {}", left.join("\n  ")))
    }

    /// Ends everything.
    ///
    /// # Errors
    /// The bystander does not end, or something is left.
    pub(super) fn end(mut self) -> Result<()> {
        self.events = None;
        self.bystander.end(&self.bed)?;
        self.nothing_left(&self.before)
    }

    fn begin(&self, words: &[&str], stop: usize) -> Result<Call> {
        let mut call = self.gate.call(&self.bed.ctr, words, stop)?;
        call.stopped()?;
        Ok(call)
    }

    /// One life whose requests are counted.
    fn count(&mut self) -> Result<()> {
        let id = "count";
        let count = |words: &[&str]| self.gate.call(&self.bed.ctr, words, 1)?.count();
        let run = count(&borrowed(&Wish { id, core: Core::Fake, group: None }.words()))?;
        let kill = count(&["task", "kill", "-s", "SIGKILL", id])?;
        self.bed.task(id).ended()?;
        let delete = count(&["task", "delete", id])?;
        self.bed.task(id).remove_container()?;
        self.requests = Requests { run, kill, delete };
        Ok(())
    }

    /// One life whose steps are measured.
    fn measure(&mut self, core: Core) -> Result<()> {
        let id = "measure";
        let mut run = self.begin_run(&Wish { id, core, group: None })?;
        ensure!(!self.has_bundle(id)?, "Create is not where it was counted");
        self.time(core, Step::Create, &run)?;
        ensure!(self.has_bundle(id)?, "Create is not where it was counted");
        run.stopped()?;
        self.time(core, Step::Start, &run)?;
        run.end()?;
        let kill = self.begin_kill(id, "SIGKILL")?;
        self.time(core, Step::Kill, &kill)?;
        kill.end()?;
        self.bed.task(id).ended()?;
        let delete = self.begin_delete(id)?;
        self.time(core, Step::Delete, &delete)?;
        delete.end()?;
        self.bed.task(id).remove_container()
    }

    fn time(&mut self, core: Core, step: Step, call: &Call) -> Result<()> {
        let begun = Instant::now();
        call.go_on()?;
        let longest = self.lengths.of(core, step);
        *longest = call.answered()?.duration_since(begun).max(*longest);
        Ok(())
    }

    fn has_bundle(&self, id: &str) -> Result<bool> {
        let bundles = self.bed.containerd.directory().join("state/io.containerd.runtime.v2.task");
        let namespaces = fs::read_dir(bundles)?.flatten();
        Ok(namespaces.into_iter().any(|namespace| namespace.path().join(id).exists()))
    }
}

impl Wish<'_> {
    /// Calls `ctr run` with the words that make it. The streams lead nowhere: a killed client leaves its FIFOs behind,
    /// whatever the runtime.
    fn words(&self) -> Vec<String> {
        let runtime = match self.core {
            Core::Fake => FAKE_RUNTIME,
            Core::Qemu => RUNTIME,
        };
        let fake = (self.core == Core::Fake).then(|| format!("{}=fake", annotation::PEDESTAL));
        let group = self.group.map(|group| format!("{GROUP}={group}"));
        let mut words = ["run", "-d", "--null-io", "--runtime", runtime].map(str::to_owned).to_vec();
        for annotation in fake.into_iter().chain(group) {
            words.extend(["--annotation".to_owned(), annotation]);
        }
        words.extend([Artifacts::HELLO, self.id].map(str::to_owned));
        words
    }
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}
