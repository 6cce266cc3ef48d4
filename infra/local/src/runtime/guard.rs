//! Ties a function's life to the local stack's: a function must not outlive it, not even after `kill -9`.
//!
//! The kernel can send a process a signal when its parent dies, but the process has to ask for that itself. So the
//! local stack starts itself with the hidden command `guard`, which asks and then becomes the function's binary.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Becomes `program`, to be killed when the process `parent` dies. Returns only when that isn't possible.
pub fn become_program(parent: u32, program: &Path) -> io::Error {
    // Elsewhere a function ends by itself when its next call of the Runtime API finds nobody.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};

        if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
            return error.into();
        }
        // The parent may have died before we asked.
        let parent_now = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
        if parent_now != Some(parent) {
            return io::Error::other("the local stack is gone");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = parent;
    Command::new(program).exec()
}
