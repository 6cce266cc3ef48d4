//! Handles `GET /v1/{PPass}/prospects`.

use shared::{
    api::{
        ApiResult, FieldProblem, FieldValue, Limit, Page, PageNumber, Paging, PracticePath, Problem, Query,
        Source, Tenant, check_text, scope,
    },
    domain::{
        ids::IntegerId,
        search::{Term, terms_of},
    },
    params,
    sql::audit,
    tenant::{
        patients::{self, Filter},
        tags, unindexed_patients,
    },
};
use utoipa::ToSchema;

use crate::record::Prospect;

/// Maximum number of words in one search, which bounds the cost of a query.
const MAX_TERMS: usize = 8;

/// The search text: 1 to 8 words. A blank text returns everything.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
pub(crate) struct Search(Option<Vec<Term>>);

impl FieldValue for Search {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let text = check_text(source.text()?, 0, 200)?;
        let terms = (!text.is_empty()).then(|| terms_of(&text));
        match &terms {
            Some(terms) if terms.len() > MAX_TERMS => {
                Err(FieldProblem::new("TOO_LONG", "must have at most 8 words"))
            }
            _ => Ok(Self(terms)),
        }
    }
}

params! {
    pub(crate) struct ListProspects {
        /// The words to search for. Case and accents are ignored.
        ///
        /// Every word must match the start of a part of the name, of the e-mail address, or of the
        /// digits of a phone number. Phone numbers match with and without country code and area
        /// code, and by their last four digits.
        "search" => search: Option<Search>,
        "page" => page: Option<PageNumber>,
        "limit" => limit: Option<Limit>,
        /// `true` lists only prospects, `false` only patients. Lists both by default.
        "prospect" => prospect: Option<bool>,
    }
}

/// List and search prospects.
///
/// Ordered by `PatientID`. Every page is recorded in the practice's audit log.
#[utoipa::path(
    get,
    path = "/v1/{PPass}/prospects",
    tag = "Prospects",
    params(PracticePath, ListProspects),
    responses((status = 200, body = Page<Prospect>), (status = 400, body = Problem,
        description = "`INVALID_QUERY`")),
)]
pub(crate) async fn list_prospects(
    tenant: Tenant<scope::Prospects>,
    Query(query): Query<ListProspects>,
) -> ApiResult<Page<Prospect>> {
    let paging = Paging::new(query.page, query.limit);
    let filter = Filter { prospect: query.prospect, terms: query.search.and_then(|search| search.0) };
    if filter.terms.is_some() {
        unindexed_patients::index_before_search(&tenant.db).await;
    }
    let mut conn = tenant.db.connection().await?;
    let page = patients::page(&mut conn, &filter, paging.limit, paging.offset()).await?;
    let length = match page.length() {
        Some(length) => length,
        None => page.counted(patients::count(&mut conn, &filter).await?),
    };
    let pagination = paging.of(length, page.has_more);
    let ids: Vec<_> = page.rows.iter().map(|patient| patient.patient_id).collect();
    let mut tags = tags::of_patients(&mut conn, &ids).await?.into_iter().peekable();
    let data: Vec<Prospect> = page
        .rows
        .into_iter()
        .map(|patient| {
            let id = patient.patient_id;
            let own: Vec<_> =
                std::iter::from_fn(|| tags.next_if(|it| it.patient_id == id)).map(|it| it.tag).collect();
            Prospect::new(patient, own)
        })
        .collect();
    let ids: Vec<i64> = ids.into_iter().map(IntegerId::get).collect();
    audit::record(&mut conn, &tenant.audit("prospects.list", "patient", &ids)).await?;
    Ok(Page { count: data.len(), data, pagination })
}
