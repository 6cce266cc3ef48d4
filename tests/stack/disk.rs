//! A disk that syncs slowly because others write to it delays no call.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::running::{Stack, Start};

const CALLS: usize = 60;

/// Builds the library that counts syncs.
fn counter() -> PathBuf {
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("count_syncs.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/stack/count_syncs.c");
    let mut compiler = Command::new("cc");
    let built = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status().unwrap();
    assert!(built.success());
    library
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stores_reply_without_waiting_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (library, count) = (counter(), folder.path().join("syncs"));
    let syncs = || std::fs::metadata(&count).map_or(0, |file| file.len());
    let environment = [("LD_PRELOAD", library.as_path()), ("SYNC_COUNT", &count)];
    let start = Start { environment: &environment, ..Start::default() };
    let stack = Stack::start_as(folder.path(), &start).await;
    let before = syncs();
    assert!(before > 0, "syncs are not counted");

    let token = stack.token().await;
    for _ in 0..CALLS {
        let reply = stack.send(&token, "GET", "/v1/DemoOffice/tags", None).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        stack.note(&reply);
    }
    stack.all_recorded().await;
    let during = syncs() - before;
    assert!(during < CALLS as u64 / 4, "{during} syncs in {CALLS} calls, which others waited for");
}
