//! The reference's envelopes.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{CursorPagination, Limit, ListPagination, Pagination};
use crate::control::{Part, Slice};

/// `{"data": …}`
#[derive(Debug, Serialize, ToSchema)]
pub struct Data<T> {
    pub data: T,
}

/// `{"data": […], "count": n}`
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    pub data: Vec<T>,
    pub count: usize,
}

/// `{"data": […], "count": n, "pagination": {…}}`; `count` is the page's.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    pub count: usize,
    pub pagination: Pagination,
}

/// `{"data": […], "count": n, "pagination": {…}}` of a list that grows while it is read; `count` is the page's.
#[derive(Debug, Serialize, ToSchema)]
pub struct CursorPage<T> {
    pub data: Vec<T>,
    pub count: usize,
    pub pagination: CursorPagination,
}

impl<T> CursorPage<T> {
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

/// `{"data": […], "count": n, "pagination": {…}}` of a list that is asked for by page or by cursor; `count` is the page's.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListPage<T> {
    pub data: Vec<T>,
    pub count: usize,
    pub pagination: ListPagination,
}

impl<T> ListPage<T> {
    /// The part of a list, each item as it is shown.
    pub fn new<U: Into<T>>(part: Part<U>, limit: Limit) -> Self {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            count: part.items.len(),
            data: part.items.into_iter().map(U::into).collect(),
            pagination: ListPagination {
                page: number(part.before) / limit.0 + 1,
                limit: limit.0,
                total: number(part.total),
                has_more: part.next.is_some(),
                next_cursor: part.next.map(|cursor| cursor.to_text()),
            },
        }
    }
}

/// `{"message": "…", "data": {…}}`
#[derive(Debug, Serialize, ToSchema)]
pub struct Message<T> {
    #[schema(value_type = String)]
    pub message: &'static str,
    pub data: T,
}

impl<T> From<Vec<T>> for List<T> {
    fn from(data: Vec<T>) -> Self {
        Self { count: data.len(), data }
    }
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

json_replies! { Data List Page CursorPage ListPage Message }
