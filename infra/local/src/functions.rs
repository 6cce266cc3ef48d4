//! The functions in this program: a process that is started under a function's name is that
//! function.
//!
//! In AWS each function is a program of its own, which calls the same `main`. Here they are one
//! program, because linking takes longer than compiling what they do not share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shared::function::Error;

type Main = fn() -> Result<(), Error>;

const FUNCTIONS: [(&str, Main); 16] = [
    ("admin", admin::main),
    ("auth", auth::main),
    ("availability", availability::main),
    ("kb", kb::main),
    ("log-poller", log_poller::main),
    ("me", me::main),
    ("meta", meta::main),
    ("migrate", migrate::main),
    ("portal", portal::main),
    ("products", products::main),
    ("prospects", prospects::main),
    ("tags", tags::main),
    ("tickets", tickets::main),
    ("visits", visits::main),
    ("webhook-fanout", webhook_fanout::main),
    ("webhooks", webhooks::main),
];

/// Returns the function under whose name this process was started.
pub(crate) fn started() -> Option<Main> {
    let program = std::env::args_os().next()?;
    let name = Path::new(&program).file_name()?;
    FUNCTIONS.iter().find(|(function, _)| name == *function).map(|(_, main)| *main)
}

/// Returns `program` as the executable of each function.
pub(crate) fn executables(program: &Path) -> BTreeMap<String, PathBuf> {
    FUNCTIONS.iter().map(|(name, _)| ((*name).to_owned(), program.to_owned())).collect()
}
