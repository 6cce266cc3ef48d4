//! Invariants of the code's structure.

mod modules;

use std::{
    fs,
    path::{Path, PathBuf},
};

use modules::Modules;

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/src");
const FUNCTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions");

#[test]
fn shared_modules_use_only_the_modules_below_them() {
    let lib = fs::read_to_string(format!("{SHARED}/lib.rs")).unwrap();
    let layers: Vec<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(layers.len() >= 7, "the layers of lib.rs were not found");
    for (height, layer) in layers.iter().enumerate() {
        for (file, source) in sources(layer) {
            for higher in &layers[height + 1..] {
                let uses = [format!("crate::{higher}"), format!("    {higher}::"), format!("{{{higher}::")];
                let found = uses.iter().find(|it| source.contains(it.as_str()));
                assert!(found.is_none(), "{} uses `{higher}`, a layer above it", file.display());
            }
        }
    }
}

/// Circles that stay, by the uses that close them, and why.
const CIRCLES: &[(&[&str], &str)] = &[(
    &["pool -> worker", "worker -> pool"],
    "the local stack's pool of environments starts workers, and a worker asks its pool for invocations",
)];

#[test]
fn modules_beside_each_other_do_not_need_each_other() {
    let project = Path::new(FUNCTIONS).parent().unwrap();
    let functions = fs::read_dir(FUNCTIONS).unwrap().map(|entry| entry.unwrap().path().join("src"));
    let others = [PathBuf::from(SHARED), project.join("infra/operator/src"), project.join("infra/local/src")];
    let (mut uses, mut known) = (0, 0);
    for folder in functions.chain(others) {
        let modules = Modules::read(&folder);
        uses += modules.uses();
        let mut circles = modules.circles();
        let all = circles.len();
        circles.retain(|circle| {
            let is = |steps: &[&str]| {
                let mut pairs = circle.iter().zip(steps);
                circle.len() == steps.len() && pairs.all(|(found, step)| found.starts_with(step))
            };
            !CIRCLES.iter().any(|(steps, _)| is(steps))
        });
        known += all - circles.len();
        assert!(
            circles.is_empty(),
            "in {}: {circles:#?}\nMove what both need into a third module or a lower layer; list an \
                exception in CIRCLES.",
            folder.display()
        );
    }
    assert_eq!(known, CIRCLES.len(), "a listed circle is gone");
    assert!(uses > 500, "only {uses} uses were found");
}

#[test]
fn a_circle_of_modules_is_found_through_a_re_export() {
    let sources = [
        ("", "pub mod a; pub mod b; mod c;"),
        ("a", "pub use inner::One;\nuse crate::b::{Two, three::Four};"),
        ("a::inner", "pub struct One; // crate::c::Five"),
        ("b", "pub use super::c::Two;"),
        ("b::three", "pub struct Four;"),
        ("c", "pub struct Two;\nfn two() { crate::a::One }\n#[cfg(test)]\nmod tests { use crate::d; }"),
    ];
    let of = |sources: &[(&str, &str)]| {
        Modules::of(sources.iter().map(|(module, text)| ((*module).to_owned(), (*text).to_owned()))).circles()
    };
    let [circle] = &of(&sources)[..] else { panic!("{:?}", of(&sources)) };
    for step in ["a -> c", "c -> a"] {
        assert!(circle.iter().any(|it| it.starts_with(step)), "{circle:?}");
    }
    assert!(of(&sources[..5]).is_empty(), "{:?}", of(&sources[..5]));
}

#[test]
fn functions_that_only_build_writes_of_the_control_plane_end_in_write() {
    let mut builders = 0;
    for file in rust_files(&Path::new(SHARED).join("control")) {
        let source = fs::read_to_string(&file).unwrap();
        for signature in source.split("fn ").skip(1).filter_map(|it| it.split('{').next()) {
            let name = signature.split(['(', '<']).next().unwrap_or_default();
            let result = signature.rsplit("->").next().unwrap_or_default();
            if signature.contains("->") && result.contains("TransactWriteItem") {
                let says_so = ["write", "writes"].contains(&name.rsplit('_').next().unwrap_or_default());
                assert!(says_so, "{}: {name} only builds a write", file.display());
                builders += 1;
            }
        }
    }
    assert!(builders > 15, "only {builders} were found");
}

#[test]
fn only_the_database_modules_contain_sql() {
    for file in rust_files(Path::new(FUNCTIONS)).into_iter().chain(rust_files(Path::new(SHARED))) {
        let of_database = |layer: &str| sources(layer).iter().any(|(path, _)| *path == file);
        if ["sql", "tenant", "catalog"].into_iter().any(of_database) {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap();
        assert!(!source.contains("sqlx::query"), "{}", file.display());
    }
}

#[test]
fn functions_never_read_the_clock_or_the_environment_directly() {
    for file in rust_files(Path::new(FUNCTIONS)) {
        let source = fs::read_to_string(&file).unwrap();
        for forbidden in ["Timestamp::now", "SystemTime::now", "Zoned::now", "env::var"] {
            assert!(!source.contains(forbidden), "{} has {forbidden}", file.display());
        }
    }
}

#[test]
fn only_the_local_stack_and_tests_depend_on_the_stand_ins_for_aws() {
    let project = Path::new(FUNCTIONS).parent().unwrap();
    let functions = fs::read_dir(FUNCTIONS).unwrap().map(|entry| entry.unwrap().path());
    let crates = functions.chain([project.join("shared"), project.join("infra/operator")]);
    let manifests: Vec<_> = crates.map(|it| it.join("Cargo.toml")).filter(|it| it.exists()).collect();
    assert!(manifests.len() > 15, "only {} crates were found", manifests.len());
    for manifest in manifests {
        let dependencies = fs::read_to_string(&manifest).unwrap();
        for stand_in in ["officepro-local", "dynoxide"] {
            assert!(!dependencies.contains(stand_in), "{} depends on {stand_in}", manifest.display());
        }
    }
}

#[test]
fn crates_whose_unit_tests_are_not_built_have_none() {
    let mut without = 0;
    for folder in fs::read_dir(FUNCTIONS).unwrap().map(|entry| entry.unwrap().path()) {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let untested = manifest.split("\n[").filter(|section| section.contains("test = false"));
        for section in untested {
            let is_library = section.starts_with("lib]");
            let sources = if is_library { folder.join("src") } else { folder.join("src/main.rs") };
            for file in rust_files(&sources).into_iter().chain(sources.is_file().then(|| sources.clone())) {
                let source = fs::read_to_string(&file).unwrap();
                let has_tests = source.contains("#[test]") || source.contains("::test]");
                assert!(!has_tests, "{}: remove `test = false` from its Cargo.toml", file.display());
            }
            without += 1;
        }
    }
    assert!(without > 16, "only {without} were found");
}

#[test]
fn links_in_documents_point_to_existing_files() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut links = 0;
    for folder in ["", "infra", "infra/bridges"] {
        let entries = fs::read_dir(project.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        for document in entries.filter(|path| path.extension().is_some_and(|it| it == "md")) {
            let text = fs::read_to_string(&document).unwrap();
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
            for target in targets.filter(|it| !it.is_empty() && !it.starts_with("https://")) {
                let file = document.parent().unwrap().join(target);
                assert!(file.exists(), "{} links to {target}", document.display());
                links += 1;
            }
        }
    }
    assert!(links > 50, "only {links} links were found");
}

fn sources(layer: &str) -> Vec<(PathBuf, String)> {
    let mut files = rust_files(&Path::new(SHARED).join(layer));
    files.push(Path::new(SHARED).join(format!("{layer}.rs")));
    files.into_iter().map(|file| (file.clone(), fs::read_to_string(file).unwrap())).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
        .collect()
}
