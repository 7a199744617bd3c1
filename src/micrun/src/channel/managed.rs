//! The console of a core that somebody else drives: bytes between the standard streams and a device, which comes when the
//! firmware announces it and may go away and come back.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::device::{BUFFER_LEN, Device, Written};
use super::{Pumped, Remote, TURN, blocked, print};
use crate::console::{Console, Read};
use crate::pedestal::Death;
use crate::pedestal::managed::{Managed, News};
use openamp::Violation;
use openamp::rpmsg::PAYLOAD_LEN;
use shmem::Fault;

/// A full device is tried again after this, then after twice as long each time.
const FIRST_TRY: Duration = Duration::from_millis(2);
const LAST_TRY: Duration = Duration::from_millis(256);

/// A running core of somebody else's, and its console.
pub struct DeviceChannel {
    core: Managed,
    /// Has the device, which comes and goes.
    epoll: Epoll,
    device: Option<Device>,
    buffer: Vec<u8>,
    /// Input that the device has not taken yet.
    held: Vec<u8>,
    /// When to offer it again, and the pause before that.
    retry: Option<(Instant, Duration)>,
}

impl DeviceChannel {
    /// A channel whose console is still to come.
    pub fn new(core: Managed) -> nix::Result<DeviceChannel> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let buffer = vec![0; BUFFER_LEN];
        Ok(DeviceChannel { core, epoll, device: None, buffer, held: Vec::new(), retry: None })
    }

    /// The console has come. What it has to say wakes us by the device itself.
    fn adopt(&mut self, device: Device) {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        match self.epoll.add(device.descriptor(), EpollEvent::new(flags, 0)) {
            Ok(()) => self.device = Some(device),
            Err(errno) => log::error!("epoll: {errno}; there is no console"),
        }
    }

    /// The device is of no use any more; another one may come.
    fn lose_device(&mut self) {
        log::info!("the console's device is gone");
        self.device = None;
        self.core.want_console();
    }

    /// Moves what the device has to standard output; true if there may be more.
    fn pump_output(&mut self, console: &mut Console, moved: &mut bool) -> bool {
        for _ in 0..TURN {
            if blocked(console) {
                return false;
            }
            let Some(device) = &mut self.device else { return false };
            match device.read(&mut self.buffer) {
                Read::Bytes(len) => {
                    *moved = true;
                    print(console, &self.buffer[..len]);
                }
                Read::Later => return false,
                Read::End => self.lose_device(),
            }
        }
        true
    }

    /// Moves standard input to the device; true if there may be more. Without a device it stays where it is.
    fn pump_input(&mut self, console: &mut Console, moved: &mut bool) -> bool {
        if let Some(input) = &mut console.input {
            input.resume();
        }
        for _ in 0..TURN {
            let Some(device) = &mut self.device else { return false };
            if self.held.is_empty() {
                let Some(input) = &mut console.input else { return false };
                let mut chunk = [0; PAYLOAD_LEN];
                match input.read(&mut chunk) {
                    Read::Bytes(len) => self.held.extend_from_slice(&chunk[..len]),
                    Read::Later => return false,
                    Read::End => {
                        console.input = None;
                        return false;
                    }
                }
            }
            match device.write(&self.held) {
                Written::Bytes(len) => {
                    *moved = true;
                    self.held.drain(..len);
                    self.retry = None;
                }
                Written::Later => {
                    let pause = self.retry.map_or(FIRST_TRY, |(_, pause)| (pause * 2).min(LAST_TRY));
                    self.retry = Some((Instant::now() + pause, pause));
                    return false;
                }
                Written::Gone => self.lose_device(),
            }
        }
        true
    }
}

impl Remote for DeviceChannel {
    fn doorbell(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    fn silence(&mut self) {
        // Only that something was to be told counts.
        let _ = self.epoll.wait(&mut [EpollEvent::empty(); 4], EpollTimeout::ZERO);
    }

    fn end(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn news(&self) -> Option<BorrowedFd<'_>> {
        Some(self.core.bell())
    }

    fn deadline(&self) -> Option<Instant> {
        self.retry.filter(|_| self.device.is_some()).map(|(next, _)| next)
    }

    fn pump(&mut self, console: &mut Console) -> Result<Pumped, Violation> {
        let mut moved = false;
        let output = self.pump_output(console, &mut moved);
        let input = self.pump_input(console, &mut moved);
        Ok(Pumped { again: output || input, moved, owed: false })
    }

    fn request_power_off(&mut self) -> Result<(), Fault> {
        self.core.stop();
        Ok(())
    }

    fn death(&mut self) -> Option<Death> {
        while let Some(news) = self.core.news() {
            match news {
                News::Ended(death) => return Some(death),
                News::Console(device) => self.adopt(device),
            }
        }
        None
    }

    fn cut_power(&mut self) {
        self.core.stop_at_once();
    }
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;
    use crate::pedestal::fake_manager;

    /// How long anything may take.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn is_told(channel: &DeviceChannel, patience: Duration) -> bool {
        let news = channel.news().expect("a managed core has news");
        let timeout = PollTimeout::try_from(patience).expect("a short time");
        poll(&mut [PollFd::new(news, PollFlags::POLLIN)], timeout) == Ok(1)
    }

    /// A turn that comes for another reason, such as input, must not take what tells of the end.
    #[test]
    fn a_turn_for_another_reason_leaves_the_news_where_it_is() {
        let (core, file) = fake_manager::running();
        let mut channel = DeviceChannel::new(core).expect("a channel");
        for console in [true, false] {
            if !console {
                fake_manager::end(&file).expect("ended");
            }
            assert!(is_told(&channel, PATIENCE), "no news, console {console}");
            channel.silence();
            channel.pump(&mut Console::default()).expect("nothing to lie with");
            assert!(is_told(&channel, Duration::ZERO), "the news was taken, console {console}");
            assert_eq!(channel.death(), (!console).then_some(Death::PoweredOff));
            assert!(!is_told(&channel, Duration::ZERO), "old news, console {console}");
        }
    }
}
