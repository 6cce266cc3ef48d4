//! Calls to the stores of the project's template with the identity of one of its functions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use officepro_local::data_dir::DataDir;
use officepro_local::stack::Stores;
use serde_json::Value;

/// The clients of a function.
struct Code {
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
    secrets: aws_sdk_secretsmanager::Client,
    sqs_endpoint: String,
}

macro_rules! client {
    ($sdk:ident, $variables:ident, $endpoint:literal) => {{
        let credentials = Credentials::new(&$variables["AWS_ACCESS_KEY_ID"], "local", None, None, "test");
        let config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .endpoint_url(&$variables[$endpoint])
            .build();
        $sdk::Client::from_conf(config)
    }};
}

impl Code {
    fn of(stores: &Stores, function: &str) -> Self {
        Self::with(&stores.sdk_environment(function))
    }

    fn with(variables: &BTreeMap<String, String>) -> Self {
        Self {
            dynamodb: client!(aws_sdk_dynamodb, variables, "AWS_ENDPOINT_URL_DYNAMODB"),
            sqs: client!(aws_sdk_sqs, variables, "AWS_ENDPOINT_URL_SQS"),
            secrets: client!(aws_sdk_secretsmanager, variables, "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
            sqs_endpoint: variables["AWS_ENDPOINT_URL_SQS"].clone(),
        }
    }

    async fn read(&self, key: &str) -> String {
        let get = self.dynamodb.get_item().table_name("ControlTable").key("pk", text(key));
        outcome(get.key("sk", text("x")).send().await)
    }

    async fn store_response(&self, key: &str) -> String {
        let put = self.dynamodb.put_item().table_name("EphemeralTable").item("pk", text(key));
        outcome(put.send().await)
    }

    async fn send(&self, queue: &str) -> String {
        let url = format!("{}/000000000000/{queue}", self.sqs_endpoint);
        outcome(self.sqs.send_message().queue_url(url).message_body("x").send().await)
    }

    async fn secret(&self, name: &str) -> String {
        outcome(self.secrets.get_secret_value().secret_id(name).send().await)
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Returns `done`, or the error's code and message.
fn outcome<T>(result: Result<T, impl ProvideErrorMetadata>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(error) => format!("{} {}", error.code().unwrap_or_default(), error.message().unwrap_or_default()),
    }
}

/// Writes a copy of the template with one change.
fn template(folder: &Path, from: &str, to: &str) -> PathBuf {
    let own =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml")).unwrap();
    assert!(own.contains(from), "{from}");
    let file = folder.join("template.yaml");
    std::fs::write(&file, own.replace(from, to)).unwrap();
    file
}

async fn stores(folder: &Path, from: &str, to: &str) -> Result<Stores, String> {
    let data_dir = DataDir::open(&folder.join("data")).unwrap();
    Stores::start(&template(folder, from, to), data_dir).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_function_can_do_only_what_its_role_allows() {
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path(), "", "").await.unwrap();
    let (auth, fanout) = (Code::of(&stores, "AuthFunction"), Code::of(&stores, "WebhookFanoutFunction"));

    assert_eq!(auth.read("KEY#1").await, "done");
    assert_eq!(
        auth.read("AUDIT").await,
        "AccessDeniedException User: arn:aws:sts::000000000000:assumed-role/AuthRole/AuthFunction is not \
            authorized to \
         perform: dynamodb:GetItem on resource: arn:aws:dynamodb:us-east-1:000000000000:table/ControlTable \
         because no \
         identity-based policy allows the dynamodb:GetItem action"
    );
    assert_eq!(fanout.read("PRACTICE#Demo").await, "done");
    assert!(fanout.read("AUDIT").await.starts_with("AccessDeniedException "), "the audit log");
    assert!(auth.dynamodb.scan().table_name("ControlTable").send().await.is_err());

    assert_eq!(fanout.send("SlowEventsQueue").await, "done");
    let refused = fanout.send("EventsDeadLetterQueue").await;
    assert!(refused.starts_with("AccessDenied User: ") && refused.contains("sqs:sendmessage"), "{refused}");
    assert_eq!(auth.secret("TokenKeysSecret").await, "done");
    let refused = auth.secret("AdminSecretsSecret").await;
    assert!(refused.contains("secretsmanager:GetSecretValue"), "{refused}");
    let refused = auth.secret("local/practices/DemoOffice").await;
    assert!(refused.starts_with("AccessDeniedException "), "{refused}");

    let data = folder.path().join("data");
    stores.stop().await;
    let report: Value =
        serde_json::from_slice(&std::fs::read(data.join("permissions.json")).unwrap()).unwrap();
    let used = |function: &str, statement: &str, action: &str| {
        let grants = report[function].as_array().unwrap().iter();
        let mut grants = grants.filter(|it| it["statement"] == statement && it["action"] == action);
        grants.any(|it| it["used"] == true)
    };
    assert!(used("AuthFunction", "CallerPolicy/TokenKeys", "secretsmanager:GetSecretValue"));
    assert!(!used("AuthFunction", "CallerPolicy/LastUseOfKeys", "dynamodb:UpdateItem"));
    assert!(used("WebhookFanoutFunction", "WebhookFanout/Consume", "sqs:DeleteMessage"), "by Lambda itself");
}

#[tokio::test]
async fn every_item_of_a_transaction_is_authorized() {
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path(), "", "").await.unwrap();
    let portal = Code::of(&stores, "PortalFunction");
    let put = Put::builder().table_name("ControlTable").item("pk", text("a")).item("sk", text("a"));
    let put = TransactWriteItem::builder().put(put.build().unwrap()).build();
    let check =
        ConditionCheck::builder().table_name("ControlTable").key("pk", text("b")).key("sk", text("b"));
    let check = check.condition_expression("attribute_not_exists(pk)").build().unwrap();
    let check = TransactWriteItem::builder().condition_check(check).build();
    let write = |items| portal.dynamodb.transact_write_items().set_transact_items(Some(items)).send();
    let refused = outcome(write(vec![put.clone(), check]).await);
    assert!(refused.contains("dynamodb:ConditionCheckItem"), "{refused}");
    assert_eq!(outcome(write(vec![put]).await), "done");
    stores.stop().await;
}

#[tokio::test]
async fn an_action_missing_from_the_template_is_denied_locally_too() {
    let (from, to) = ("Action: [dynamodb:PutItem, dynamodb:DeleteItem]", "Action: dynamodb:DeleteItem");
    for (from, to, expected) in [("", "", "done"), (from, to, "AccessDeniedException")] {
        let folder = tempfile::tempdir().unwrap();
        let stores = stores(folder.path(), from, to).await.unwrap();
        let webhooks = Code::of(&stores, "WebhooksFunction");
        let kept = webhooks.store_response("ANSWER#1").await;
        assert!(kept.starts_with(expected), "{kept}");
        assert!(
            webhooks.store_response("SESSION#1").await.starts_with("AccessDeniedException"),
            "another's keys"
        );
        stores.stop().await;
    }
}

#[tokio::test]
async fn a_stack_does_not_start_if_a_role_lacks_what_lambda_needs() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) =
        ("[sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes]", "sqs:ReceiveMessage");
    let error = stores(folder.path(), from, to).await.err().unwrap();
    assert!(error.contains("Lambda itself needs sqs:DeleteMessage"), "{error}");
}

#[tokio::test]
async fn unknown_callers_reach_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path(), "", "").await.unwrap();
    let mut variables = stores.sdk_environment("AuthFunction");
    variables.insert("AWS_ACCESS_KEY_ID".to_owned(), "local".to_owned());
    let stranger = Code::with(&variables);
    assert!(stranger.read("KEY#1").await.starts_with("UnrecognizedClientException "));
    assert!(stranger.send("EventsQueue").await.starts_with("InvalidClientTokenId "));
    assert!(stranger.secret("TokenKeysSecret").await.starts_with("UnrecognizedClientException "));
    stores.stop().await;
}
