//! Many instances at once.

use super::*;

/// As many at once, one of which ends by itself; micad serves them one after the other.
fn crowd(kind: &Kind, images: &[String]) -> Result<()> {
    // There are ten terminals that only have numbers.
    let ground = &Ground::with(kind, true)?;
    let made: Vec<String> = images.iter().map(|cpu| ground.image(kind, cpu)).collect::<Result<_>>()?;
    thread::scope(|scope| {
        let one = |number: usize| {
            let id = format!("app-{number:02}");
            let task = ground.run(kind, &made[number % made.len()], &id)?;
            let mut console = console(&task)?;
            ask(&mut console, &id)?;
            if number == 7 && kind.pedestal == "micad" {
                console.send(b"exit 0\r")?;
                assert_eq!(end_of(&task, &mut console)?, 0);
                return Ok(());
            }
            task.kill("SIGTERM")?;
            assert_eq!(end_of(&task, &mut console)?, 143);
            Ok(())
        };
        let all: Vec<_> = (0..20).map(|number| scope.spawn(move || one(number))).collect();
        all.into_iter()
            .try_for_each(|one: thread::ScopedJoinHandle<'_, Result<()>>| one.join().expect("no panic"))
    })?;
    // Each by itself, in order.
    let log = ground.micad()?.log();
    let mut by_name: Vec<Exchange> =
        log.into_iter().filter(|exchange| exchange.request != b"status").collect();
    by_name.sort_by_key(name);
    ground.golden(&format!("{}-crowd", kind.pedestal), &by_name)?;
    ground.clean()
}

/// Whose exchange it is.
fn name(exchange: &Exchange) -> String {
    let create = exchange.socket == "mica-create.socket";
    if create {
        fake_micad::Create::decode(&exchange.request).name + ".socket"
    } else {
        exchange.socket.clone()
    }
}

#[test]
fn twenty_domains_at_once() -> Result<()> {
    crowd(&XEN, &["0-1".to_owned()])
}

#[test]
fn twenty_cores_at_once() -> Result<()> {
    let cpus: Vec<String> = (20..40).map(|cpu| cpu.to_string()).collect();
    crowd(&BAREMETAL, &cpus)
}
