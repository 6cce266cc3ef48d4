use std::time::Duration;

use serde_json::json;

use super::*;

const TEMPLATE: &str = r#"
Parameters:
  Issuer: {Type: String, Default: partner-api}
  Subnets: {Type: CommaDelimitedList, Default: ''}
Conditions:
  InVpc: !Not [!Equals [!Join ['', !Ref Subnets], '']]
  Never: !And [!Condition InVpc, !Equals [a, a]]
Globals:
  Function:
    Timeout: 10
    MemorySize: 512
    Environment: {Variables: {RUST_LOG: info, BOTH: global}}
Resources:
  VisitsFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/visits/
      VpcConfig: !If [InVpc, {SubnetIds: !Ref Subnets}, !Ref AWS::NoValue]
      KmsKeyArn: !GetAtt UnknownToTheLocalStack.Arn
      Role: !GetAtt VisitsRole.Arn
      Environment:
        Variables:
          BOTH: own
          TABLE: !Ref Control
          QUEUE: !Ref Events
          KEYS: !Ref Keys
          ISSUER: !Sub '${Issuer}/${AWS::Region}/${!Literal}/${Events.QueueName}'
          JOINED: !Join ['-', [a, !Ref Issuer, !Select [1, !Split [',', 'x,y']]]]
          NUMBER: 7
          ABSENT: !If [InVpc, x, !Ref AWS::NoValue]
          LONG: {'Fn::Sub': ['${A}b', {A: !Ref Issuer}]}
      Events:
        Book: {Type: HttpApi, Properties: {ApiId: x, Method: post, Path: '/v1/{PPass}/visits/book'}}
        Any: {Type: HttpApi, Properties: {Path: /v1/any, Method: x-amazon-apigateway-any-method}}
        Rest: {Type: HttpApi, Properties: {ApiId: x}}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/worker
      Timeout: 60
      Events:
        Queue:
          Type: SQS
          Properties:
            Queue: !GetAtt Events.Arn
            BatchSize: 5
            MaximumBatchingWindowInSeconds: 2
            FunctionResponseTypes: [ReportBatchItemFailures]
            ScalingConfig: {MaximumConcurrency: 3}
        Often: {Type: Schedule, Properties: {Schedule: rate(5 minutes), Input: '{"shard":0}'}}
        Daily: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
  VisitsRole:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns: [!Ref Shared, !If [InVpc, !Ref Never, !Ref AWS::NoValue]]
      Policies:
        - PolicyName: Own
          PolicyDocument:
            Statement: {Effect: Allow, Action: dynamodb:Query, Resource: !Sub '${Control.Arn}/index/byTime'}
  Shared:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Statement: [{Effect: Allow, Action: sqs:SendMessage, Resource: [!GetAtt Events.Arn, !Ref Keys]}]
  Api:
    Type: AWS::Serverless::HttpApi
    Properties: {DefaultRouteSettings: {ThrottlingRateLimit: 100, ThrottlingBurstLimit: 200}}
  NotCreated:
    Type: AWS::Serverless::Function
    Condition: Never
    Properties: {CodeUri: functions/never}
  Control:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions:
        - {AttributeName: pk, AttributeType: S}
        - {AttributeName: at, AttributeType: N}
      KeySchema:
        - {AttributeName: at, KeyType: RANGE}
        - {AttributeName: pk, KeyType: HASH}
      GlobalSecondaryIndexes:
        - IndexName: byTime
          KeySchema: [{AttributeName: at, KeyType: HASH}]
          Projection: {ProjectionType: ALL}
      TimeToLiveSpecification: {AttributeName: expiresAt, Enabled: true}
  Events:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 360
      DelaySeconds: 1
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 5}
  Dead:
    Type: AWS::SQS::Queue
  Keys:
    Type: AWS::SecretsManager::Secret
    Properties:
      GenerateSecretString:
        {SecretStringTemplate: '{"active":"k1"}', GenerateStringKey: k1, PasswordLength: 64}
"#;

fn parse(text: &str) -> Result<Template> {
    let local = LocalResources { sqs_endpoint: "http://127.0.0.1:1".to_owned(), parameters: BTreeMap::new() };
    Template::parse(text, &local)
}

fn function(id: &str) -> Function {
    parse(TEMPLATE).unwrap().functions.into_iter().find(|function| function.id == id).unwrap()
}

#[test]
fn the_environment_of_a_function_is_resolved_for_this_machine() {
    let visits = function("VisitsFunction");
    assert_eq!(
        (visits.binary.as_str(), visits.timeout, visits.memory),
        ("visits", Duration::from_secs(10), 512)
    );
    let expected = BTreeMap::from(
        [
            ("RUST_LOG", "info"),
            ("BOTH", "own"),
            ("TABLE", "Control"),
            ("QUEUE", "http://127.0.0.1:1/000000000000/Events"),
            ("KEYS", "arn:aws:secretsmanager:us-east-1:000000000000:secret:Keys"),
            ("ISSUER", "partner-api/us-east-1/${Literal}/Events"),
            ("JOINED", "a-partner-api-y"),
            ("NUMBER", "7"),
            ("LONG", "partner-apib"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    assert_eq!(visits.environment, expected);
}

#[test]
fn routes_keep_their_method_and_path() {
    let path = |method: &str, path: &str| RouteKey::Path { method: method.to_owned(), path: path.to_owned() };
    let routes = function("VisitsFunction").routes;
    for expected in [path("POST", "/v1/{PPass}/visits/book"), path("ANY", "/v1/any"), RouteKey::Default] {
        assert!(routes.contains(&expected), "{expected:?} in {routes:?}");
    }
}

#[test]
fn triggers_are_parsed_with_their_limits() {
    let worker = function("Worker");
    assert_eq!(worker.timeout, Duration::from_mins(1));
    let trigger = QueueTrigger {
        queue: "Events".to_owned(),
        batch_size: 5,
        window: Duration::from_secs(2),
        reports_failures: true,
        maximum_concurrency: Some(3),
    };
    assert_eq!(worker.queues, [trigger]);
    let often = Schedule {
        name: "Often".to_owned(),
        every: Duration::from_mins(5),
        input: Some(json!({ "shard": 0 })),
    };
    let daily = Schedule { name: "Daily".to_owned(), every: Duration::from_hours(24), input: None };
    assert!(worker.schedules.contains(&often) && worker.schedules.contains(&daily));
}

#[test]
fn a_resource_with_a_false_condition_is_omitted() {
    let template = parse(TEMPLATE).unwrap();
    assert!(template.functions.iter().all(|function| function.id != "NotCreated"));
}

#[test]
fn tables_queues_and_secrets_are_parsed() {
    let template = parse(TEMPLATE).unwrap();
    let table = &template.tables[0];
    let keys: Vec<_> = table.keys.iter().map(|key| (key.name.as_str(), key.kind.as_str())).collect();
    assert_eq!(keys, [("pk", "S"), ("at", "N")]);
    assert_eq!(
        (table.indexes[0].name.as_str(), table.expiry_attribute.as_deref()),
        ("byTime", Some("expiresAt"))
    );

    let events = template.queues.iter().find(|queue| queue.id == "Events").unwrap();
    assert_eq!((events.visibility_timeout, events.delay), (Duration::from_mins(6), Duration::from_secs(1)));
    assert_eq!(events.redrive, Some(Redrive { queue: "Dead".to_owned(), maximum_receives: 5 }));
    let dead = template.queues.iter().find(|queue| queue.id == "Dead").unwrap();
    assert_eq!((dead.visibility_timeout, &dead.redrive), (Duration::from_secs(30), &None));

    let SecretValue::RandomKey { object, key, length } = &template.secrets[0].value else { panic!("no key") };
    assert_eq!((&object["active"], key.as_str(), *length), (&json!("k1"), "k1", 64));
}

#[test]
fn functions_have_their_roles_and_the_calls_of_lambda() {
    let identities = parse(TEMPLATE).unwrap().identities;
    let of = |function: &str| identities.iter().find(|it| it.function == function).unwrap();
    let role = of("VisitsFunction").role.as_ref().unwrap();
    let policies: Vec<_> =
        role.policies.iter().map(|it| (it.name.as_str(), &it.statements[0]["Resource"])).collect();
    let queue = json!([
        "arn:aws:sqs:us-east-1:000000000000:Events",
        "arn:aws:secretsmanager:us-east-1:000000000000:secret:Keys"
    ]);
    let index = json!("arn:aws:dynamodb:us-east-1:000000000000:table/Control/index/byTime");
    assert_eq!((role.id.as_str(), policies), ("VisitsRole", vec![("Shared", &queue), ("Own", &index)]));

    let worker = of("Worker");
    assert!(worker.role.is_none());
    for (action, resource) in [
        (
            "logs:PutLogEvents",
            "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/Worker:log-stream:any",
        ),
        ("sqs:DeleteMessage", "arn:aws:sqs:us-east-1:000000000000:Events"),
    ] {
        assert!(
            worker.services.contains(&(action, resource.to_owned())),
            "{action} in {:?}",
            worker.services
        );
    }
    assert!(
        worker.services.iter().all(|(action, _)| !action.starts_with("ec2:") && !action.starts_with("xray:"))
    );
}

#[test]
fn an_unsupported_resource_is_rejected_with_its_location() {
    for (from, to, complaint) in [
        ("rate(1 day)", "cron(0 12 * * ? *)", "rate(…) only"),
        ("TABLE: !Ref Control", "TABLE: !Ref Nowhere", "VisitsFunction.Environment: there is no"),
        ("MaximumConcurrency: 3", "MaximumConcurrency: many", "not a whole number"),
        (
            "Type: Schedule, Properties: {Schedule: rate(1",
            "Type: SNS, Properties: {Schedule: rate(1",
            "type SNS",
        ),
        ("Role: !GetAtt VisitsRole.Arn", "Policies: [SQSSendMessagePolicy: {}]", "policies of roles only"),
        (
            "Role: !GetAtt VisitsRole.Arn",
            "Role: arn:aws:iam::1:role/Elsewhere",
            "the template has no role Elsewhere",
        ),
        (
            "[!Ref Shared,",
            "[arn:aws:iam::aws:policy/Admin,",
            "no managed policy arn:aws:iam::aws:policy/Admin",
        ),
        ("Policies:\n", "PermissionsBoundary: x\n      Policies:\n", "no permissions boundaries"),
        ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "does not support AWS::IAM::Policy"),
        ("ProjectionType: ALL", "ProjectionType: SOME", "ALL, KEYS_ONLY or INCLUDE"),
    ] {
        assert!(TEMPLATE.contains(from), "{from}");
        let error = parse(&TEMPLATE.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn the_api_throttling_comes_from_its_settings() {
    assert_eq!(parse(TEMPLATE).unwrap().throttling, Some(Throttling { rate: 100, burst: 200 }));
}
