//! The commands that only look, as a user runs them.

mod diff;
mod images;
mod inspect;
mod verify;
