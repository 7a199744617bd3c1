//! Firmware as a client of a server on the host: in the network that its container has, if that was asked for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use anyhow::{Result, ensure};
use qemu_tests::{Artifacts, DEADLINE, PROMPT, Pty, Testbed, ask};

const ALLOWED: &str = "org.openeuler.micrun.rpc.network=true";
/// Errors of calls, by the numbers that the RTOS prints.
const NOT_PERMITTED: &str = "connect: error 1\r\n";
const UNREACHABLE: &str = "connect: error 101\r\n";

/// A server that answers each of `clients` with what it says, backwards.
fn server(clients: usize) -> Result<(SocketAddr, JoinHandle<Result<()>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let serve = move || {
        for _ in 0..clients {
            let (mut client, _) = listener.accept()?;
            let mut said = [0; 64];
            let len = client.read(&mut said)?;
            said[..len].reverse();
            client.write_all(&said[..len])?;
        }
        Ok(())
    };
    Ok((address, thread::spawn(serve)))
}

fn console(bed: &Testbed, id: &str, options: &[&str]) -> Result<Pty> {
    let words = bed.run_words(&[&["--rm", "-t"], options].concat(), Artifacts::HELLO, id);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut console = bed.ctr.pty(&words)?;
    console.expect(PROMPT, DEADLINE)?;
    Ok(console)
}

fn connect(console: &mut Pty, to: SocketAddr) -> Result<String> {
    ask(console, &format!("connect {} {} hello", to.ip(), to.port()))
}

fn exit(mut console: Pty) -> Result<()> {
    console.send(b"exit 0\r")?;
    ensure!(console.wait(DEADLINE)?.success());
    Ok(())
}

#[test]
fn the_rtos_talks_to_a_server_where_it_may_and_nowhere_else() -> Result<()> {
    let bed = Testbed::new()?;
    let (address, serving) = server(1)?;
    let mut allowed = console(&bed, "allowed", &["--net-host", "--annotation", ALLOWED])?;
    ensure!(connect(&mut allowed, address)? == "olleh");
    serving.join().expect("no panic")?;
    exit(allowed)?;
    // Nobody asked for the network.
    let mut silent = console(&bed, "silent", &["--net-host"])?;
    ensure!(connect(&mut silent, address)? == NOT_PERMITTED);
    exit(silent)?;
    // A container with a network of its own does not see the host's.
    let mut alone = console(&bed, "alone", &["--annotation", ALLOWED])?;
    ensure!(connect(&mut alone, address)? == UNREACHABLE);
    exit(alone)?;
    bed.clean()
}
