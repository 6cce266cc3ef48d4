use std::fs;

use officepro_local::binaries;

#[tokio::test]
async fn cargo_builds_the_named_packages_and_returns_their_binaries() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    fs::write(root.join("Cargo.toml"), "[workspace]\nmembers = [\"good\", \"bad\"]\nresolver = \"3\"\n")
        .unwrap();
    for (name, code) in [("good", "fn main() {}"), ("bad", "fn main() { nonsense }")] {
        fs::create_dir_all(root.join(name).join("src")).unwrap();
        let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n");
        fs::write(root.join(name).join("Cargo.toml"), manifest).unwrap();
        fs::write(root.join(name).join("src/main.rs"), code).unwrap();
    }
    let built = binaries::build(root, &["good".to_owned()]).await.unwrap();
    assert!(built["good"].is_file(), "{built:?}");
    let again = binaries::build(root, &["good".to_owned()]).await.unwrap();
    assert_eq!(again, built, "cargo reports what is fresh too");
    let error = binaries::build(root, &["bad".to_owned()]).await.unwrap_err();
    assert_eq!(error.to_string(), "building the functions failed");
}
