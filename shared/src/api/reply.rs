//! The reference's envelopes.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{CursorPagination, Limit, Offset, OffsetPagination, Pagination, fit};
use crate::control::Slice;

/// `{"data": …}`
#[derive(Debug, Serialize, ToSchema)]
pub struct Data<T: Serialize> {
    #[serde(serialize_with = "fit::whole")]
    pub data: T,
}

/// `{"data": […], "count": n}`: a whole list, as long as it is of an office's size.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T: Serialize> {
    #[serde(serialize_with = "fit::rows")]
    pub data: Vec<T>,
    pub count: usize,
    /// Absent when this is the whole list. An answer has at most 1,000 items and 1 MB; the next `offset` is this one and
    /// `count`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub pagination: Option<OffsetPagination>,
}

/// Items of the largest list.
pub const MOST_LISTED: i64 = 1_000;

impl<T: Serialize> List<T> {
    /// Of the items that come after `offset`, of which there may be one more than [`MOST_LISTED`], as many as fit.
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

/// `{"data": […], "count": n, "pagination": {…}}`; `count` is the page's.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T: Serialize> {
    /// Each of at most 10,000 bytes: of a larger one the longest texts are left out. Read the item itself for them.
    #[serde(serialize_with = "fit::rows")]
    pub data: Vec<T>,
    pub count: usize,
    pub pagination: Pagination,
}

/// `{"data": […], "count": n, "pagination": {…}}` of a list that grows while it is read; `count` is the page's.
#[derive(Debug, Serialize, ToSchema)]
pub struct CursorPage<T: Serialize> {
    #[serde(serialize_with = "fit::rows")]
    pub data: Vec<T>,
    pub count: usize,
    pub pagination: CursorPagination,
}

impl<T: Serialize> CursorPage<T> {
    /// The part of a list, each item as it is shown.
    pub fn new<U: Into<T>>(slice: Slice<U>, limit: Limit) -> Self {
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

/// `{"message": "…", "data": {…}}`
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
