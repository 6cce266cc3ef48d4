use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{AttributeValue, TimeToLiveStatus};
use officepro_local::dynamodb::DynamoDb;
use officepro_local::template::{Index, KeyAttribute, Table};

fn key(name: &str, kind: &str) -> KeyAttribute {
    KeyAttribute { name: name.to_owned(), kind: kind.to_owned() }
}

fn table() -> Table {
    Table {
        id: "DeliveriesTable".to_owned(),
        keys: vec![key("pk", "S")],
        indexes: vec![Index {
            name: "bySubscription".to_owned(),
            keys: vec![key("subscriptionId", "N"), key("createdAt", "S")],
            attributes: None,
        }],
        expiry_attribute: Some("expiresAt".to_owned()),
    }
}

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    Client::from_conf(config)
}

#[tokio::test]
async fn tables_are_created_from_the_template_and_keep_their_items() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dynamodb.sqlite");
    let first = DynamoDb::start(&file, &[table()]).await.unwrap();
    let dynamodb = client(&first.endpoint);
    let put = dynamodb.put_item().table_name("DeliveriesTable");
    let put = put
        .item("pk", AttributeValue::S("a".to_owned()))
        .item("subscriptionId", AttributeValue::N("7".to_owned()));
    put.item("createdAt", AttributeValue::S("2026".to_owned())).send().await.unwrap();
    let expiry = dynamodb.describe_time_to_live().table_name("DeliveriesTable").send().await.unwrap();
    let expiry = expiry.time_to_live_description.unwrap();
    assert_eq!(expiry.time_to_live_status, Some(TimeToLiveStatus::Enabled));
    assert_eq!(expiry.attribute_name.as_deref(), Some("expiresAt"));
    drop(dynamodb);
    first.stop().await;

    let second = DynamoDb::start(&file, &[table()]).await.unwrap();
    let dynamodb = client(&second.endpoint);
    let query = dynamodb.query().table_name("DeliveriesTable").index_name("bySubscription");
    let query = query.key_condition_expression("subscriptionId = :s");
    let found =
        query.expression_attribute_values(":s", AttributeValue::N("7".to_owned())).send().await.unwrap();
    assert_eq!(found.items()[0]["pk"], AttributeValue::S("a".to_owned()));
    second.stop().await;
}

#[tokio::test]
async fn a_table_that_differs_from_the_template_is_rejected_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dynamodb.sqlite");
    DynamoDb::start(&file, &[table()]).await.unwrap().stop().await;
    let mut changed = table();
    changed.indexes[0].keys.pop();
    let error = DynamoDb::start(&file, &[changed]).await.err().unwrap().to_string();
    assert!(error.contains("DeliveriesTable") && error.contains("--fresh"), "{error}");
}

#[tokio::test]
async fn an_index_projects_the_attributes_in_the_template() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dynamodb.sqlite");
    let mut table = table();
    table.indexes[0].attributes = Some(vec!["status".to_owned()]);
    let server = DynamoDb::start(&file, std::slice::from_ref(&table)).await.unwrap();
    let dynamodb = client(&server.endpoint);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = dynamodb.put_item().table_name("DeliveriesTable").item("pk", text("a"));
    let put = put.item("subscriptionId", AttributeValue::N("1".into())).item("createdAt", text("then"));
    put.item("status", text("delivered")).item("answer", text("secret")).send().await.unwrap();
    let query = dynamodb.query().table_name("DeliveriesTable").index_name("bySubscription");
    let query = query.key_condition_expression("subscriptionId = :s");
    let found = query.expression_attribute_values(":s", AttributeValue::N("1".into())).send().await.unwrap();
    let mut names: Vec<&str> = found.items()[0].keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["createdAt", "pk", "status", "subscriptionId"]);
    server.stop().await;
    table.indexes[0].attributes = None;
    let refused = DynamoDb::start(&file, &[table]).await.err().unwrap().to_string();
    assert!(refused.contains("--fresh"), "{refused}");
}
