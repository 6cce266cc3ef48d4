//! The stored form of a secret with its previous value, as operators write and functions read it.

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use jiff::Timestamp;
use officepro_local::permissions::Permissions;
use officepro_local::secrets::{Secrets as Vault, SecretsServer};
use officepro_operator::{SecretValues, secret_pair};
use shared::auth::secret_ref::SecretRef;
use shared::control::Secrets;

#[tokio::test]
async fn an_unfinished_rotation_is_visible_without_the_secret_value() {
    let files = tempfile::tempdir().unwrap();
    let vault = Vault::open(&files.path().join("secrets.json"), &[]).unwrap();
    vault.set("pair", "{}").unwrap();
    let server = SecretsServer::start(vault, Permissions::of_operator("tests").into()).await.unwrap();
    let client = || {
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&server.endpoint)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("tests", "tests", None, None, "tests"));
        aws_sdk_secretsmanager::Client::from_conf(config.build())
    };
    let (operator, function) = (SecretValues::with_client(client()), Secrets::with_client(client()));
    let began = Timestamp::now().as_second();
    let secret = |name: &str| name.repeat(32);
    for (current, previous) in
        [("a", None), ("b", Some("a")), ("b", None), ("c", Some("b")), ("d", Some("c")), ("d", None)]
    {
        let stored = secret_pair::Stored { current: secret(current), previous: previous.map(secret) };
        secret_pair::write(&operator, "pair", &stored).await.unwrap();
        let version = function.current_version(&SecretRef::from("pair".to_owned())).await.unwrap().unwrap();
        assert_eq!(version.rotating, previous.is_some(), "{current}");
        assert!(version.created_at.unwrap().as_second() >= began);
    }
    server.stop().await;
}
