//! What proves `openamp` and `shmem` from the outside: two processes over one shared mapping, the C library as either
//! of them, fuzz targets. Nothing here ships.
//!
//! A [`board`] is a file that two processes map. On it a [`line`](mod@line) carries messages, with a [`bell`] or by
//! polling; one process [`drives`](drive), its [`peer`] [`echoes`](echo); [`raw`] is what limits both. The peer is this crate's own program or
//! [the C library](c_library).
#![forbid(unsafe_code)]

pub mod bell;
pub mod board;
pub mod c_library;
pub mod core;
pub mod drive;
pub mod echo;
pub mod fuzz;
pub mod line;
pub mod peer;
pub mod raw;
