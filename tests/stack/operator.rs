//! Runs operator commands on a running stack.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::running::{Stack, program};

/// The output of a command, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) good: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Stack {
    /// Runs a command on this stack's data, with `input` on its standard input.
    pub(crate) async fn operate_with(&self, arguments: &[&str], input: &str) -> Done {
        let mut command = Command::new(program());
        command.args(arguments).arg("--data-dir").arg(self.folder.join("data"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = input.to_owned();
        let output = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        });
        let output = output.await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Done { good: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) async fn operate(&self, arguments: &[&str]) -> Done {
        self.operate_with(arguments, "").await
    }
}

impl Done {
    /// Returns standard output; the command must have succeeded.
    pub(crate) fn expect(self) -> String {
        assert!(self.good, "{self:?}");
        self.out
    }

    /// Returns standard error; the command must have failed.
    pub(crate) fn expect_failure(self) -> String {
        assert!(!self.good, "{self:?}");
        self.err
    }
}
