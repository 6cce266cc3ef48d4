"""Faults for the rule in access.py: what is broken, and what the finding must name."""

from .plant import properties, statement


def keys(template, name, sid):
    return statement(template, name, sid)["Condition"]["ForAllValues:StringLike"]


FAULTS = {
    "access_is_as_listed": [
        (lambda t: statement(t, "CallerPolicy", "KeysPartnersAndPractices").pop("Condition"), "'may': ['dynamodb:GetItem'], 'who'"),
        (lambda t: keys(t, "MeRole", "Usage").update({"dynamodb:LeadingKeys": ["USAGE#*"]}), "LeadingKeys USAGE#*"),
        (lambda t: keys(t, "CallerPolicy", "KeysPartnersAndPractices")["dynamodb:LeadingKeys"].append("USAGE#*"), "USAGE#*"),
        (lambda t: statement(t, "CallerPolicy", "LastUseOfKeys")["Condition"].pop("ForAllValues:StringEquals"), "dynamodb:UpdateItem"),
        (lambda t: statement(t, "AdminRole", "CallsAndUsage").update(Action=["dynamodb:Query", "dynamodb:GetItem"]), "dynamodb:GetItem"),
        (lambda t: properties(t, "MeRole")["ManagedPolicyArns"].append({"Ref": "CatalogPolicy"}), "CatalogDsnSecret"),
        (lambda t: statement(t, "DataKey", "ThroughTheStores").update(Principal={"AWS": ["*", "arn:aws:iam::1:root"]}), "AWS arn:aws:iam::1:root"),
        (lambda t: statement(t, "DataKey", "ThroughTheStores")["Condition"]["StringEquals"].pop("kms:CallerAccount"), "kms:ViaService"),
        (lambda t: statement(t, "PortalBucketPolicy", "OurDistribution").update(NotAction="s3:DeleteObject"), "s3:GetObject"),
        (lambda t: statement(t, "NetworkPolicy", "NotByCode").update(Action="ec2:DeleteNetworkInterface"), "may_not"),
        (lambda t: properties(t, "MetaFunction").update(Role={"Fn::GetAtt": ["AdminRole", "Arn"]}), "'Meta'"),
    ],
}
