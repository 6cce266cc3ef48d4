"""A partner's main job, with the client that openapi-python-client generates."""

import datetime
import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from office_pro_partner_api_client import AuthenticatedClient, Client
from office_pro_partner_api_client.api.authentication import exchange_key
from office_pro_partner_api_client.api.knowledge_base import get_article, list_articles
from office_pro_partner_api_client.api.my_information import get_me
from office_pro_partner_api_client.api.products import list_products, upsert_products
from office_pro_partner_api_client.api.prospects import create_prospect, list_prospects, update_prospect
from office_pro_partner_api_client.api.providers import list_slots
from office_pro_partner_api_client.api.tags import assign_tag, list_tags
from office_pro_partner_api_client.api.tickets import comment_on_ticket, create_ticket, get_ticket, update_ticket
from office_pro_partner_api_client.api.visit_scheduling import book_visit, list_visit_types
from office_pro_partner_api_client.api.webhooks import delete_subscription, sign_up
from office_pro_partner_api_client.models import (
    AccessToken, AddComment, AssignTag, BookVisit, CreatedProspect, CreateProspect, CreateTicket, DataArticle, DataMe, DataSlotsBody,
    EventScope, ExchangeKey, ListTagBody, ListVisitType, MessageBookedVisit, MessageBulkResult, MessageDeleted, MessageProspect,
    MessageSignedUp, MessageTagsOfProspect, MessageTicket, MessageTicketComment, PageArticle, PageProduct, PageProspect, Problem,
    ProductItem, SignUp, TicketPriority, TicketStatus, TicketWithComments, UpdateProspect, UpdateTicket, UpsertProducts,
)
from office_pro_partner_api_client.types import Response, Unset
from standardwebhooks import Webhook, WebhookVerificationError

BASE, PRACTICE = os.environ["API_URL"], os.environ["PRACTICE"]
T = TypeVar("T")


def succeeded(response: Response[Any], status: int, kind: type[T]) -> T:
    """The body of a success with this status."""
    assert response.status_code == status, response.content
    assert isinstance(response.parsed, kind), response.parsed
    return response.parsed


def failed(response: Response[Any], status: int, code: str) -> Problem:
    """The problem of a failure with this status and code."""
    problem = succeeded(response, status, Problem)
    assert problem.code == code, problem
    return problem


def once() -> str:
    return str(uuid.uuid4())


def signed_in(key: str) -> AuthenticatedClient:
    token = succeeded(exchange_key.sync_detailed(PRACTICE, client=Client(BASE), body=ExchangeKey(api_key=key)), 200, AccessToken)
    left = token.expires_at - datetime.datetime.now(datetime.UTC)
    assert token.expires_in == "24h" and datetime.timedelta(hours=23) < left <= datetime.timedelta(hours=24), left
    return AuthenticatedClient(BASE, token=token.access_token, timeout=None)


def prospect_with_tag(client: AuthenticatedClient) -> int:
    name = f"Client{time.time_ns()}"
    person = CreateProspect(first_name="Pia", last_name=name, e_mail="pia@example.com", phone="212-555-0171")
    key = once()
    created = [create_prospect.sync_detailed(PRACTICE, client=client, body=person, idempotency_key=key) for _ in range(2)]
    ids = [succeeded(it, 201, CreatedProspect).data.patient_id for it in created]
    assert ids[0] == ids[1] and created[1].headers["Idempotent-Replayed"] == "true", ids

    found = succeeded(list_prospects.sync_detailed(PRACTICE, client=client, search=name), 200, PageProspect)
    assert [it.patient_id for it in found.data] == ids[:1] and found.pagination.total == 1

    wrong = CreateProspect(first_name="Pia", last_name=name, e_mail="nonsense", zip_="!")
    problem = failed(create_prospect.sync_detailed(PRACTICE, client=client, body=wrong), 422, "INVALID_FIELDS")
    assert not isinstance(problem.errors, Unset)
    assert {"body.EMail", "body.Zip"} <= {it.location for it in problem.errors}, problem

    tag = succeeded(list_tags.sync_detailed(PRACTICE, client=client), 200, ListTagBody).data[0]
    tagged = assign_tag.sync_detailed(PRACTICE, ids[0], client=client, body=AssignTag(tag_id=tag.id))
    assert [it.name for it in succeeded(tagged, 201, MessageTagsOfProspect).data.tags] == [tag.name]
    return ids[0]


def booking(client: AuthenticatedClient, patient: int) -> None:
    types = succeeded(list_visit_types.sync_detailed(PRACTICE, client=client), 200, ListVisitType).data
    visit_type = next(it for it in types if it.bookable and it.providers)
    provider = visit_type.providers[0]
    free = []
    for day in range(1, 8):
        date = datetime.date.today() + datetime.timedelta(day)
        found = list_slots.sync_detailed(PRACTICE, provider, client=client, date=date, duration=30, visit_type=visit_type.visit_type)
        slots = succeeded(found, 200, DataSlotsBody).data
        assert slots.count == len(slots.slots)
        free += [(slots.date, it) for it in slots.slots]
    date, start = free[-1]
    visit = BookVisit(patient_id=patient, provider_id=provider, visit_type=visit_type.visit_type, visit_date=date, visit_time=start, visit_duration=30)
    booked = book_visit.sync_detailed(PRACTICE, client=client, body=visit, idempotency_key=once())
    assert succeeded(booked, 201, MessageBookedVisit).data.visit_time == start

    taken = failed(book_visit.sync_detailed(PRACTICE, client=client, body=visit, idempotency_key=once()), 409, "PROVIDER_CONFLICT")
    assert not isinstance(taken.conflicts, Unset)
    assert {"PROVIDER_CONFLICT", "PATIENT_CONFLICT"} <= {it.code for it in taken.conflicts}, taken
    assert taken.conflicts[0].blocking


def verified_event(client: AuthenticatedClient, patient: int) -> None:
    received: list[tuple[Mapping[str, str], bytes]] = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hook = SignUp(hook_url=f"http://127.0.0.1:{server.server_port}/events", scopes=[EventScope.PATIENTS])
        secret = succeeded(sign_up.sync_detailed(client=client, body=hook), 201, MessageSignedUp).data.secret
        assert not isinstance(secret, Unset)
        change = UpdateProspect(notes="Prefers mornings")
        succeeded(update_prospect.sync_detailed(PRACTICE, patient, client=client, body=change), 200, MessageProspect)
        own: list[tuple[Mapping[str, str], bytes]] = []
        until = time.monotonic() + 120
        while not own and time.monotonic() < until:
            time.sleep(0.1)
            own = [it for it in received if json.loads(it[1])["recordId"] == patient]
        assert own, "no event arrived"
        headers, body = own[0]
        lower = {name.lower(): value for name, value in headers.items()}
        event = Webhook(secret).verify(body, lower)
        assert event["event"] == "Patients" and event["eventId"] == lower["webhook-id"], event
        try:
            Webhook(secret).verify(body.replace(b"Patients", b"patients"), lower)
        except WebhookVerificationError:
            pass
        else:
            raise AssertionError("a changed body is accepted")
        succeeded(delete_subscription.sync_detailed(client=client), 200, MessageDeleted)
        server.shutdown()


def ticket(client: AuthenticatedClient) -> None:
    opened = create_ticket.sync_detailed(PRACTICE, client=client, body=CreateTicket(subject="Fax is down", priority=TicketPriority.HIGH))
    id = succeeded(opened, 201, MessageTicket).data.ticket_id
    comment = AddComment(comment="It works again")
    succeeded(comment_on_ticket.sync_detailed(PRACTICE, id, client=client, body=comment, idempotency_key=once()), 201, MessageTicketComment)
    closed = update_ticket.sync_detailed(PRACTICE, id, client=client, body=UpdateTicket(status=TicketStatus.RESOLVED))
    assert succeeded(closed, 200, MessageTicket).data.status == TicketStatus.RESOLVED
    read = succeeded(get_ticket.sync_detailed(PRACTICE, id, client=client), 200, TicketWithComments)
    assert [it.comment for it in read.data.comments] == ["It works again"]


def products(client: AuthenticatedClient) -> None:
    vendor = f"PY{time.time_ns()}"
    items = [ProductItem(vendor_code=vendor, product_code=f"P{number}", product="Gauze", retail_price=price) for number, price in enumerate([9.95, 9.95, -1.0])]
    bulk = upsert_products.sync_detailed(client=client, body=UpsertProducts(products=items), idempotency_key=once())
    result = succeeded(bulk, 200, MessageBulkResult).data
    assert (result.created, result.failed) == (2, 1), result
    assert [str(it.status) for it in result.results] == ["created", "created", "failed"], result
    stored = succeeded(list_products.sync_detailed(client=client, vendor_code=vendor), 200, PageProduct).data
    assert [it.retail_price for it in stored] == [9.95, 9.95]


def article_and_me(client: AuthenticatedClient) -> None:
    first = succeeded(list_articles.sync_detailed(client=client, limit=1), 200, PageArticle).data[0]
    assert succeeded(get_article.sync_detailed(first.kbid, client=client), 200, DataArticle).data.title == first.title
    assert succeeded(get_me.sync_detailed(client=client), 200, DataMe).data.key.practicepass == PRACTICE


def refused_by_limit() -> None:
    """Calls with a key that permits one call a minute until it is refused."""
    client = signed_in(os.environ["LIMITED_KEY"])
    for _ in range(50):
        response = get_me.sync_detailed(client=client)
        if response.status_code != 200:
            failed(response, 429, "RATE_LIMITED")
            assert 1 <= int(response.headers["Retry-After"]) <= 60
            return
    raise AssertionError("the limit was never reached")


def main() -> None:
    client = signed_in(os.environ["API_KEY"])
    patient = prospect_with_tag(client)
    booking(client, patient)
    verified_event(client, patient)
    ticket(client)
    products(client)
    article_and_me(client)
    refused_by_limit()
    print("Python: token, prospect, tag, slots, booking, event, ticket, products, article, me; 409, 422 and 429")


main()
