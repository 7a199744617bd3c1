//! Fuzzing without a compiler's help, so that it runs wherever the tests run: every target makes its input from a
//! random source, starting from something valid, and checks more than that nothing panics.
//!
//! An execution is one input. Its random source depends on the seed and the execution's number alone, so that a crash
//! is found again with `--seed S --at N`, whatever ran before.

mod client_conf;
mod elf;
mod memory;
mod mutate;
mod name_service;
mod resource_table;
mod ring;
#[cfg(not(loom))]
mod rpc;
mod source;

pub use source::Source;

/// Something that reads bytes from outside.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Makes a runner; what it keeps between executions must not change what an execution does.
    pub runner: fn() -> Runner,
}

/// Runs one execution, and panics if something is wrong.
pub type Runner = Box<dyn FnMut(&mut Source)>;

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "resource-table", runner: resource_table::runner },
    Target { name: "name-service", runner: name_service::runner },
    Target { name: "rx", runner: ring::rx },
    Target { name: "mutating-remote", runner: ring::mutating_remote },
    Target { name: "elf", runner: elf::runner },
    Target { name: "client-conf", runner: client_conf::runner },
    #[cfg(not(loom))]
    Target { name: "rpc", runner: rpc::runner },
];
