//! The place of an unwinder in what ships, without one.
//!
//! To print the backtrace of a panic, the standard library brings an unwinder, and a reader of debug information: a quarter
//! of the shim. What ships has neither unwind tables nor debug information, so that it would print nothing; and a
//! panic aborts. Here the walk over the stack ends before it begins, and the linker leaves out all that would follow.

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK` of the Itanium C++ ABI.
const END_OF_STACK: c_int = 5;

// SAFETY: the name and the signature are those of the unwinder, which is not linked where we have all it would be linked
// for. A walk that meets no frame calls nothing back.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_: *const c_void, _: *mut c_void) -> c_int {
    END_OF_STACK
}

/// What the standard library calls only while it unwinds, which it never does where a panic aborts.
macro_rules! never {
    ($($name:ident),*) => {
        // SAFETY: see above; nothing is done with the arguments, whatever they are.
        $(#[unsafe(no_mangle)]
        extern "C" fn $name() -> ! {
            std::process::abort()
        })*
    };
}

never!(
    _Unwind_GetDataRelBase,
    _Unwind_GetIPInfo,
    _Unwind_GetLanguageSpecificData,
    _Unwind_GetRegionStart,
    _Unwind_GetTextRelBase,
    _Unwind_Resume,
    _Unwind_SetGR,
    _Unwind_SetIP
);
