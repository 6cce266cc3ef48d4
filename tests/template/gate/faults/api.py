"""Faults for the rules in api.py: what is broken, and what the finding must name."""

from .plant import event, properties, rewrite_event

FAULTS = {
    "one_default_stage": [(lambda t: properties(t, "Api").update(StageName="prod"), "Api")],
    "throttled_and_whole": [
        (lambda t: properties(t, "Api").pop("DefaultRouteSettings"), "no throttling"),
        (lambda t: properties(t, "Api").update(FailOnWarnings=False), "warns"),
    ],
    "access_log_without_patients": [
        (lambda t: properties(t, "Api").pop("AccessLogSettings"), "no access log"),
        (lambda t: properties(t, "Api")["AccessLogSettings"].update(Format='{"path":"$context.path"}'), "$context.path"),
        (lambda t: properties(t, "Api")["AccessLogSettings"].update(Format='{"agent":"$context.identity.userAgent"}'), "$context.identity.userAgent"),
        (lambda t: properties(t, "Api")["AccessLogSettings"].update(Format='{"query":"$request.querystring.search"}'), "$request.querystring"),
        (lambda t: properties(t, "Api")["AccessLogSettings"].update(Format='{}'), "which answer"),
        (lambda t: properties(t, "Api")["AccessLogSettings"].update(DestinationArn="arn:aws:logs:us-east-1:1:log-group:others"), "no access log of ours"),
        (lambda t: properties(t, "Api")["AccessLogSettings"].update(Format="$context.status"), "not JSON"),
    ],
    "each_route_once": [
        (lambda t: event(t, "TagsFunction", "List").update(Path="/v1/{PPass}/prospects"), "GET /v1/{PPass}/prospects"),
        (lambda t: event(t, "TagsFunction", "List").update(Path="/{PPass}/tags"), "GET /{PPass}/tags"),
        (lambda t: properties(t, "MetaFunction")["Events"].pop("Default"), "nothing answers"),
    ],
    "each_noun_has_one_function": [
        (lambda t: properties(t, "MetaFunction")["Events"].update(Keys=properties(t, "AdminFunction")["Events"].pop("Keys")), "GET /v1/admin/keys"),
    ],
    "route_names_its_api": [(lambda t: event(t, "MeFunction", "Get").pop("ApiId"), "MeFunction Get")],
    "every_function_has_an_event_file": [
        (lambda t: (t.project / "events/me-get.json").unlink(), "me.json"),
        (lambda t: (t.project / "events/stray.json").write_text("{}"), "stray.json"),
    ],
    "event_files_take_routes_of_their_function": [
        (lambda t: event(t, "MeFunction", "Get").update(Path="/v1/my"), "me-get.json"),
        (lambda t: rewrite_event(t, "tags-assign", rawPath="/v1/DemoOffice/tags/prospects/7"), "tags-assign.json"),
        (lambda t: rewrite_event(t, "tags-assign", pathParameters={"PPass": "DemoOffice"}), "tags-assign.json"),
    ],
}
