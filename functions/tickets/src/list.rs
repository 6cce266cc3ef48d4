//! Handles `GET /v1/{PPass}/tickets`.

use shared::{
    api::{
        ApiResult, Limit, Page, PageNumber, Paging, PracticePath, Problem, Query, SearchWords, Tenant, scope,
    },
    domain::{ids::IntegerId, ticket::TicketStatus},
    params,
    sql::{audit, search_texts},
    tenant::tickets::{self, Filter},
};

use crate::reply::TicketBody;

params! {
    pub(crate) struct ListTickets {
        /// Lists only tickets with this status.
        "status" => status: Option<TicketStatus>,
        /// Every word must occur in the subject, the description or a comment. Case and accents are
        /// ignored.
        "search" => search: Option<SearchWords>,
        "page" => page: Option<PageNumber>,
        "limit" => limit: Option<Limit>,
    }
}

/// List all tickets for the practice.
///
/// Ordered from newest to oldest. Every page is recorded in the practice's audit log.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/tickets",
    tag = "Tickets",
    params(PracticePath, ListTickets),
    responses((status = 200, body = Page<TicketBody>), (status = 400, body = Problem,
        description = "`INVALID_QUERY`")),
)]
pub(crate) async fn list_tickets(
    tenant: Tenant<scope::Tickets>,
    Query(query): Query<ListTickets>,
) -> ApiResult<Page<TicketBody>> {
    let paging = Paging::new(query.page, query.limit);
    let filter = Filter { status: query.status, words: query.search.map_or_else(Vec::new, |it| it.0) };
    if !filter.words.is_empty() {
        search_texts::index_before_search(&tenant.db, &tickets::SEARCHED).await;
    }
    let mut conn = tenant.db.connection().await?;
    let page = tickets::page(&mut conn, &filter, paging.limit, paging.offset()).await?;
    let length = match page.length() {
        Some(length) => length,
        None => page.counted(tickets::count(&mut conn, &filter).await?),
    };
    let pagination = paging.of(length, page.has_more);
    let ids: Vec<i64> = page.rows.iter().map(|ticket| ticket.id.get()).collect();
    audit::record(&mut conn, &tenant.audit("tickets.list", "ticket", &ids)).await?;
    let data: Vec<TicketBody> = page.rows.into_iter().map(Into::into).collect();
    Ok(Page { count: data.len(), data, pagination })
}
