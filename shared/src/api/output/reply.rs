//! The envelopes of responses, as the reference defines them.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{CursorPagination, Limit, Offset, OffsetPagination, Pagination, fit};
use crate::control::ListPage;

/// A single item: `{"data": …}`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Data<T: Serialize> {
    #[serde(serialize_with = "fit::whole")]
    pub data: T,
}

/// A list that is usually complete: `{"data": […], "count": n}`.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T: Serialize> {
    #[serde(serialize_with = "fit::rows")]
    pub data: Vec<T>,
    pub count: usize,
    /// Omitted if the list is complete. A response has at most 1,000 items and 1 MB; the next
    /// `offset` is this one plus `count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    pub pagination: Option<OffsetPagination>,
}

/// The maximum number of items in a list.
pub const MOST_LISTED: i64 = 1_000;

impl<T: Serialize> List<T> {
    /// Creates a list of as many of the items after `offset` as fit.
    ///
    /// `items` may contain one more than [`MOST_LISTED`], to show that there are more.
    pub fn after(offset: Offset, mut items: Vec<T>) -> Self {
        let found = items.len();
        items.truncate(usize::try_from(MOST_LISTED).unwrap_or_default());
        items.truncate(fit::as_many_as_fit(&items));
        let has_more = items.len() < found;
        let place = OffsetPagination { limit: MOST_LISTED, offset: offset.0, has_more };
        let pagination = (has_more || offset.0 > 0).then_some(place);
        Self { count: items.len(), data: items, pagination }
    }
}

/// A page of a list: `{"data": […], "count": n, "pagination": {…}}`. `count` is that of the page.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T: Serialize> {
    /// Each item has at most 10,000 bytes: a larger one omits its longest texts. Read the single
    /// item to get them.
    #[serde(serialize_with = "fit::rows")]
    pub data: Vec<T>,
    pub count: usize,
    pub pagination: Pagination,
}

/// A page of a list that grows while it is read: `{"data": […], "count": n, "pagination": {…}}`.
///
/// `count` is that of the page.
#[derive(Debug, Serialize, ToSchema)]
pub struct CursorPage<T: Serialize> {
    #[serde(serialize_with = "fit::rows")]
    pub data: Vec<T>,
    pub count: usize,
    pub pagination: CursorPagination,
}

impl<T: Serialize> CursorPage<T> {
    /// Creates a page from a part of a list, with each item converted.
    pub fn new<U: Into<T>>(slice: ListPage<U>, limit: Limit) -> Self {
        Self {
            count: slice.items.len(),
            data: slice.items.into_iter().map(U::into).collect(),
            pagination: CursorPagination {
                limit: limit.0,
                has_more: slice.next.is_some(),
                next_cursor: slice.next.map(|cursor| cursor.to_text()),
            },
        }
    }
}

/// The result of a change: `{"message": "…", "data": {…}}`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message<T: Serialize> {
    #[schema(value_type = String)]
    pub message: &'static str,
    #[serde(serialize_with = "fit::whole")]
    pub data: T,
}

macro_rules! json_replies {
    ($($name:ident)+) => {$(
        impl<T: Serialize> IntoResponse for $name<T> {
            fn into_response(self) -> Response {
                Json(self).into_response()
            }
        }
    )+};
}

json_replies! { Data List Page CursorPage Message }
