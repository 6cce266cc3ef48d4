//! Makes a function end with the local stack, even if the stack ends by `kill -9`.
//!
//! The kernel can send a process a signal when its parent dies, but the process must request that
//! itself. So the local stack starts itself with the hidden command `guard`, which makes the
//! request and then becomes the function's binary.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Becomes `program`, which is killed when the process `parent` dies. Returns only on failure.
pub fn become_program(parent: u32, program: &Path) -> io::Error {
    // On other systems, a function ends when its next call to the Runtime API fails.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};

        if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
            return error.into();
        }
        // The parent may have died before the request.
        let parent_now = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
        if parent_now != Some(parent) {
            return io::Error::other("the local stack has ended");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = parent;
    Command::new(program).exec()
}
