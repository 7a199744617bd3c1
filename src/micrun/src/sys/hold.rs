//! A process that does nothing but be in namespaces, for others to join them by its pid.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, clone};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::unistd::{Pid, pipe2};

use super::check;

/// What the new process is to have. Prepared by the parent: the child must not allocate.
#[derive(Debug)]
pub(crate) struct Hold {
    /// Namespaces to make.
    pub(crate) make: CloneFlags,
    /// Namespaces to join.
    pub(crate) join: Vec<File>,
    /// Host name in its UTS namespace; none to keep the host's.
    pub(crate) hostname: Option<String>,
    /// Kernel parameters of its namespaces: file below `/proc/sys`, and value.
    pub(crate) sysctls: Vec<(CString, String)>,
}

/// The step at which the new process failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It could not be made at all, or died.
    Fork,
    /// Joining the namespace of that index.
    Join(usize),
    /// Setting the host name.
    Hostname,
    /// Setting the kernel parameter of that index.
    Sysctl(usize),
}

/// Far more than the child's few calls use.
const STACK: usize = 64 << 10;
const NAME: &std::ffi::CStr = c"micrun-pause";
/// What the child reports: a kind of step, its index, an errno; all zero if everything was done.
const REPORT: usize = 3;
const JOIN: u8 = 1;
const HOSTNAME: u8 = 2;
const SYSCTL: u8 = 3;

/// Makes the process; its pid. It is killed with the calling thread, keeps no descriptor and no directory.
pub(crate) fn hold(wanted: &Hold) -> Result<u32, (Step, io::Error)> {
    let failed = |error: io::Error| (Step::Fork, error);
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| failed(errno.into()))?;
    let pid = fork(wanted, reader.as_raw_fd(), &writer).map_err(failed)?;
    drop(writer);
    let mut report = [0; REPORT];
    let step = match File::from(reader).read_exact(&mut report) {
        Ok(()) if report == [0; REPORT] => return Ok(pid.as_raw() as u32),
        Ok(()) => (step(report), io::Error::from_raw_os_error(report[2].into())),
        // It was killed before it could say anything.
        Err(error) => (Step::Fork, error),
    };
    // A child that reports a failure ends by itself.
    let _ = nix::sys::wait::waitpid(pid, None);
    Err(step)
}

fn step([kind, index, _]: [u8; REPORT]) -> Step {
    match kind {
        JOIN => Step::Join(index.into()),
        HOSTNAME => Step::Hostname,
        _ => Step::Sysctl(index.into()),
    }
}

fn fork(wanted: &Hold, reader: RawFd, writer: &OwnedFd) -> io::Result<Pid> {
    let mut stack = vec![0; STACK];
    let child = Box::new(|| be_child(wanted, reader, writer.as_raw_fd()));
    // SAFETY: without CLONE_VM the child has memory of its own, so nothing it does is seen here; being a copy of one
    // thread of many, it makes system calls only, no allocation and no locks, and never returns into other code.
    Ok(unsafe { clone(child, &mut stack, wanted.make, Some(Signal::SIGCHLD as i32)) }?)
}

fn be_child(wanted: &Hold, reader: RawFd, writer: RawFd) -> isize {
    // With it a parent that has died is noticed by the report below.
    close(reader);
    let report = prepare(wanted).err().unwrap_or([0; REPORT]);
    // SAFETY: the buffer is live for the whole call, and its length is given.
    let told = unsafe { libc::write(writer, report.as_ptr().cast(), REPORT) };
    if told != REPORT as isize || report != [0; REPORT] {
        return 1;
    }
    // SAFETY: a system call without pointers: this process shares no descriptor table with anybody.
    unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) };
    loop {
        // SAFETY: a system call without pointers. Returns on signals only, and none is handled here.
        unsafe { libc::pause() };
    }
}

/// Everything but standing still; on a failure what is to be reported.
fn prepare(wanted: &Hold) -> Result<(), [u8; REPORT]> {
    // SAFETY: a system call without pointers; SIGKILL is a valid signal.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    // SAFETY: the name is a C string that lives for ever; the kernel copies it.
    unsafe { libc::prctl(libc::PR_SET_NAME, NAME.as_ptr(), 0, 0, 0) };
    // As process 1 of a process namespace it inherits its orphans: the kernel reaps for who ignores the signal.
    // SAFETY: ignoring runs no handler.
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
    let _ = SigSet::empty().thread_set_mask();
    let _ = nix::unistd::chdir(c"/");
    for (index, namespace) in wanted.join.iter().enumerate() {
        nix::sched::setns(namespace, CloneFlags::empty()).map_err(|errno| report(JOIN, index, errno))?;
    }
    if let Some(hostname) = &wanted.hostname {
        // SAFETY: the pointer and the length are those of one live string.
        check(unsafe { libc::sethostname(hostname.as_ptr().cast(), hostname.len()) }.into())
            .map_err(|_| report(HOSTNAME, 0, nix::Error::last()))?;
    }
    for (index, (path, value)) in wanted.sysctls.iter().enumerate() {
        write(path, value).map_err(|errno| report(SYSCTL, index, errno))?;
    }
    Ok(())
}

fn report(kind: u8, index: usize, errno: nix::Error) -> [u8; REPORT] {
    // Linux's error numbers end at 133, and nobody has 256 namespaces.
    [kind, u8::try_from(index).unwrap_or(u8::MAX), u8::try_from(errno as i32).unwrap_or(u8::MAX)]
}

fn write(path: &CString, value: &str) -> nix::Result<()> {
    let file = nix::fcntl::open(path.as_c_str(), OFlag::O_WRONLY, nix::sys::stat::Mode::empty())?;
    nix::unistd::write(&file, value.as_bytes())?;
    Ok(())
}

fn close(descriptor: RawFd) {
    // SAFETY: called in the child only, on a descriptor of its own copied table that nothing uses any more.
    unsafe { libc::close(descriptor) };
}
