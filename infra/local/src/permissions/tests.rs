use serde_json::json;

use super::dynamodb::Keys;
use super::*;
use crate::template::{Index, KeyAttribute, LocalResources, Policy, Role, Table, Template};

const TABLE: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/Control";

fn identity(statements: &Value) -> Identity {
    let statements = statements.as_array().unwrap().clone();
    let policy = Policy { name: "Tested".to_owned(), statements };
    let role = Role { id: "TestedRole".to_owned(), policies: vec![policy] };
    Identity { function: "Tested".to_owned(), role: Some(role), services: vec![] }
}

fn principal(statements: &Value) -> Principal {
    Principal::new(&identity(statements)).unwrap()
}

fn call(action: &str, resource: &str) -> Call {
    Call::of(action.to_owned(), resource.to_owned())
}

fn with_keys(keys: &[&str]) -> Call {
    let leading_keys = keys.iter().map(|key| (*key).to_owned()).collect();
    Call { leading_keys, ..call("dynamodb:GetItem", TABLE) }
}

fn with_attributes(attributes: &[&str]) -> Call {
    let attributes = attributes.iter().map(|key| (*key).to_owned()).collect();
    Call { attributes, ..call("dynamodb:GetItem", TABLE) }
}

fn refusal(principal: &Principal, call: Call) -> Option<String> {
    match principal.may(call) {
        Ok(()) => None,
        Err(AccessError::Denied(message)) => Some(message),
        Err(AccessError::UnknownKey) => panic!("its key is known"),
    }
}

#[test]
fn a_call_needs_an_action_and_resource_in_one_statement() {
    let principal = principal(&json!([
        { "Effect": "Allow", "Action": ["dynamodb:Get*", "dynamodb:putitem"], "Resource": TABLE },
        { "Effect": "Allow", "Action": "dynamodb:Query", "Resource": [format!("{TABLE}/index/*")] },
        { "Effect": "Allow", "Action": "sqs:*", "Resource": "*" },
    ]));
    let index = format!("{TABLE}/index/due");
    for (action, resource, allowed) in [
        ("dynamodb:GetItem", TABLE, true),
        ("dynamodb:PutItem", TABLE, true),
        ("dynamodb:UpdateItem", TABLE, false),
        ("dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:000000000000:table/Control2", false),
        ("dynamodb:GetItem", &index, false),
        ("dynamodb:Query", &index, true),
        ("dynamodb:Query", TABLE, false),
        ("sqs:sendmessage", "arn:aws:sqs:us-east-1:000000000000:Any", true),
        ("sqsx:Send", "*", false),
    ] {
        assert_eq!(refusal(&principal, call(action, resource)).is_none(), allowed, "{action} {resource}");
    }
}

#[test]
fn a_deny_wins_in_any_position() {
    let allow = json!({ "Effect": "Allow", "Action": "dynamodb:*", "Resource": "*" });
    let deny = json!({ "Sid": "No", "Effect": "Deny", "Action": "dynamodb:Delete*", "Resource": TABLE });
    for statements in [json!([allow, deny]), json!([deny, allow])] {
        let principal = principal(&statements);
        assert_eq!(refusal(&principal, call("dynamodb:GetItem", TABLE)), None);
        let message = refusal(&principal, call("dynamodb:DeleteItem", TABLE)).unwrap();
        assert!(message.ends_with("with an explicit deny in an identity-based policy"), "{message}");
    }
}

#[test]
fn a_denial_uses_the_wording_of_aws() {
    let message = refusal(&principal(&json!([])), call("dynamodb:PutItem", TABLE)).unwrap();
    assert_eq!(
        message,
        "User: arn:aws:sts::000000000000:assumed-role/TestedRole/Tested is not authorized to perform: \
         dynamodb:PutItem on resource: arn:aws:dynamodb:us-east-1:000000000000:table/Control \
         because no identity-based policy allows the dynamodb:PutItem action"
    );
}

#[test]
fn all_leading_keys_must_match_and_an_empty_list_matches() {
    let allow = |operator: &str, values: Value| {
        let condition = json!({ operator: { "dynamodb:LeadingKeys": values } });
        principal(&json!([{ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition }]))
    };
    let like = allow("ForAllValues:StringLike", json!(["KEY#*", "PRACTICE#*"]));
    let equal = allow("ForAllValues:StringEquals", json!("ALL"));
    let any = allow("ForAnyValue:StringLike", json!("KEY#*"));
    for (principal, keys, allowed) in [
        (&like, &["KEY#1"][..], true),
        (&like, &["KEY#1", "PRACTICE#x"], true),
        (&like, &["KEY#1", "PARTNER#1"], false),
        (&like, &[""], false),
        // A Scan, as in AWS: the condition alone does not prevent reading everything.
        (&like, &[], true),
        (&equal, &["ALL"], true),
        (&equal, &["ALL#1"], false),
        (&any, &["PARTNER#1", "KEY#1"], true),
        (&any, &["PARTNER#1"], false),
        (&any, &[], false),
    ] {
        assert_eq!(refusal(principal, with_keys(keys)).is_none(), allowed, "{keys:?}");
    }
}

#[test]
fn attributes_outside_the_allowed_list_are_denied() {
    let condition = json!({
        "ForAllValues:StringEquals": { "dynamodb:Attributes": ["pk", "lastUsedAt"] },
        "Null": { "dynamodb:Attributes": false },
    });
    let principal =
        principal(&json!([{ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition }]));
    assert_eq!(refusal(&principal, with_attributes(&["pk", "lastUsedAt"])), None);
    assert!(refusal(&principal, with_attributes(&["pk", "lastUsedAt", "scopes"])).is_some());
    assert!(refusal(&principal, with_attributes(&[])).is_some(), "Null");
}

#[test]
fn a_deny_by_source_function_arn_affects_only_the_functions_code() {
    let mut lambdas = identity(&json!([
        { "Effect": "Allow", "Action": "ec2:*", "Resource": "*" },
        { "Effect": "Deny", "Action": "ec2:*", "Resource": "*",
          "Condition": { "Null": { "lambda:SourceFunctionArn": "false" } } },
    ]));
    lambdas.services = vec![("ec2:CreateNetworkInterface", "*".to_owned())];
    let principal = Principal::new(&lambdas).unwrap();
    assert!(refusal(&principal, call("ec2:CreateNetworkInterface", "*")).is_some());
}

#[test]
fn an_unsupported_policy_is_an_error_at_startup() {
    let condition = |condition: Value| json!({ "Condition": condition });
    for (part, complaint) in [
        (json!({ "NotAction": "s3:*" }), "NotAction"),
        (json!({ "Effect": "Maybe" }), "Effect"),
        (json!({ "Action": { "Ref": "X" } }), "is not text"),
        (json!({ "Resource": "arn:aws:s3:::${aws:username}" }), "policy variables"),
        (condition(json!({ "StringNotLike": { "dynamodb:LeadingKeys": "x" } })), "StringNotLike"),
        (condition(json!({ "ForAllValues:ArnLike": { "dynamodb:LeadingKeys": "x" } })), "ArnLike"),
        (condition(json!({ "StringEqualsIfExists": { "dynamodb:Attributes": "x" } })), "IfExists"),
        (condition(json!({ "StringLike": { "dynamodb:LeadingKeys": "x" } })), "ForAllValues"),
        (condition(json!({ "StringEquals": { "aws:SourceIp": "x" } })), "aws:SourceIp"),
        (condition(json!({ "Null": { "dynamodb:LeadingKeys": "maybe" } })), "must be true or false"),
    ] {
        let mut statement = json!({ "Sid": "It", "Effect": "Allow", "Action": "*", "Resource": "*" });
        statement.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        let error = Principal::new(&identity(&json!([statement]))).unwrap_err().to_string();
        assert!(error.contains("Tested/It") && error.contains(complaint), "{error}");
    }
}

#[test]
fn a_role_must_allow_the_calls_of_lambda_itself() {
    let mut consumer =
        identity(&json!([{ "Effect": "Allow", "Action": "sqs:ReceiveMessage", "Resource": "*" }]));
    consumer.services = vec![("sqs:ReceiveMessage", "q".to_owned())];
    Principal::new(&consumer).unwrap();
    consumer.services.push(("sqs:DeleteMessage", "q".to_owned()));
    let error = Principal::new(&consumer).unwrap_err().to_string();
    assert!(error.contains("Lambda itself needs sqs:DeleteMessage on q for Tested"), "{error}");
}

#[test]
fn callers_are_identified_by_their_access_keys() {
    let tested = identity(&json!([{ "Effect": "Allow", "Action": "a:Used", "Resource": "*" }]));
    let permissions = Permissions::new("operator", &[tested]).unwrap();
    let ask = |key: &str, action: &str| {
        let mut headers = HeaderMap::new();
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/x/aws4_request, SignedHeaders=host"
        );
        headers.insert("authorization", scope.parse().unwrap());
        permissions.caller(&headers)?.may(|| vec![call(action, "*")])
    };
    let function = permissions.access_key("Tested").unwrap();
    assert_eq!(ask("operator", "a:Anything"), Ok(()));
    assert!(permissions.report()["Tested"][0]["used"] == false, "the operator uses no role");
    assert_eq!(ask(function, "a:Used"), Ok(()));
    assert!(matches!(ask(function, "a:Anything"), Err(AccessError::Denied(_))));
    for stranger in ["", "Tested", "operator2", "local"] {
        assert_eq!(ask(stranger, "a:Used"), Err(AccessError::UnknownKey), "{stranger}");
    }
    assert_eq!(permissions.caller(&HeaderMap::new()).err(), Some(AccessError::UnknownKey));
    assert!(permissions.report()["Tested"][0]["used"] == true);
    assert!(!permissions.report().to_string().contains(function), "keys are secret");
}

fn keys() -> Keys {
    let key = |name: &str| KeyAttribute { name: name.to_owned(), kind: "S".to_owned() };
    let index = Index { name: "byOwner".to_owned(), keys: vec![key("owner")], attributes: None };
    Keys::new(&[Table {
        id: "Control".to_owned(),
        keys: vec![key("pk"), key("sk")],
        indexes: vec![index],
        expiry_attribute: None,
    }])
}

#[test]
fn dynamodb_requests_map_to_the_actions_that_iam_checks() {
    let item = |pk: &str| json!({ "pk": { "S": pk }, "sk": { "S": "s" } });
    let put = |pk: &str| json!({ "TableName": "Control", "Item": item(pk) });
    let of_key = |pk: &str| json!({ "TableName": TABLE, "Key": item(pk) });
    let index = format!("{TABLE}/index/byOwner");
    let equal = json!({
        "TableName": "Control", "KeyConditionExpression": "#o = :o",
        "ExpressionAttributeNames": { "#o": "owner" },
        "ExpressionAttributeValues": { ":o": { "N": "7" } }, "IndexName": "byOwner",
    });
    let mut of_table = equal.clone();
    of_table.as_object_mut().unwrap().remove("IndexName");
    let transaction = json!({ "TransactItems": [
        { "Put": put("a") }, { "Update": of_key("b") }, { "Delete": of_key("c") },
        { "ConditionCheck": of_key("d") },
        { "Get": of_key("e") },
    ] });
    let writes = json!({ "RequestItems": { "Control": [
        { "PutRequest": { "Item": item("a") } }, { "DeleteRequest": { "Key": item("b") } },
    ] } });
    let reads = json!({ "RequestItems": { "Control": { "Keys": [item("a"), item("b")] } } });
    let each = [
        ("PutItem", "a"),
        ("UpdateItem", "b"),
        ("DeleteItem", "c"),
        ("ConditionCheckItem", "d"),
        ("GetItem", "e"),
    ];
    let each: Vec<(&str, &str, Vec<&str>)> = each.map(|(action, key)| (action, TABLE, vec![key])).to_vec();
    for (operation, body, expected) in [
        ("GetItem", of_key("a"), vec![("GetItem", TABLE, vec!["a"])]),
        ("PutItem", put("a"), vec![("PutItem", TABLE, vec!["a"])]),
        ("PutItem", json!({ "TableName": "Control", "Item": {} }), vec![("PutItem", TABLE, vec![""])]),
        ("Scan", json!({ "TableName": "Control" }), vec![("Scan", TABLE, vec![])]),
        ("Query", equal, vec![("Query", &index, vec!["7"])]),
        ("Query", of_table, vec![("Query", TABLE, vec![""])]),
        ("TransactWriteItems", transaction, each),
        ("BatchWriteItem", writes, vec![("BatchWriteItem", TABLE, vec!["a", "b"])]),
        ("BatchGetItem", reads, vec![("BatchGetItem", TABLE, vec!["a", "b"])]),
        ("DescribeTable", json!({ "TableName": "Control" }), vec![("DescribeTable", TABLE, vec![])]),
        ("ListTables", json!({}), vec![("ListTables", "*", vec![])]),
    ] {
        let calls = keys().calls(operation, &body);
        let results: Vec<_> = calls
            .iter()
            .map(|it| (it.action.as_str(), it.resource.as_str(), it.leading_keys.clone()))
            .collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(action, resource, keys)| (format!("dynamodb:{action}"), resource, keys))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(action, resource, keys)| {
                (action.as_str(), *resource, keys.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(results, expected, "{operation}");
    }
}

#[test]
fn the_attributes_of_an_update_are_its_keys_and_named_attributes() {
    let body = json!({
        "TableName": "Control", "Key": { "pk": { "S": "a" }, "sk": { "S": "s" } },
        "UpdateExpression": "SET lastUsedAt = :at", "ConditionExpression": "attribute_exists(pk) AND \
            revision = :r",
    });
    assert_eq!(keys().calls("UpdateItem", &body)[0].attributes, ["lastUsedAt", "pk", "revision", "sk"]);
}

#[test]
fn the_log_shows_only_the_kind_of_a_key() {
    let secret = with_keys(&["PRACTICE#Lakeside", "Lakeside"]).kinds_of_keys();
    assert_eq!(secret, "PRACTICE#…, …");
}

/// Every function of the project's template allows what Lambda itself needs, also in a VPC.
#[test]
fn the_roles_of_the_project_can_be_evaluated() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    for subnets in ["", "subnet-1"] {
        let parameters =
            ["VpcSubnetIds", "VpcSecurityGroupIds"].map(|name| (name.to_owned(), subnets.to_owned()));
        let local = LocalResources { sqs_endpoint: String::new(), parameters: parameters.into() };
        let template = Template::read(&file, &local).unwrap();
        assert!(template.identities.iter().all(|it| it.role.is_some()), "SAM's own roles allow too much");
        let in_vpc =
            |identity: &Identity| identity.services.iter().any(|(action, _)| action.starts_with("ec2:"));
        assert_eq!(template.identities.iter().any(in_vpc), !subnets.is_empty());
        let permissions = Permissions::new("operator", &template.identities).unwrap();
        for principal in permissions.functions.values() {
            let refuses = |action, resource: &str| principal.may(call(action, resource)).is_err();
            assert!(refuses("ec2:CreateNetworkInterface", "*"), "{}", principal.function);
            // A condition on leading keys does not prevent a Scan.
            for table in &template.tables {
                let table = format!("arn:aws:dynamodb:us-east-1:000000000000:table/{}", table.id);
                assert!(refuses("dynamodb:Scan", &table), "{} may scan {table}", principal.function);
            }
        }
    }
}
