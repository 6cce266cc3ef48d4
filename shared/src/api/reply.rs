//! The reference's envelopes.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::Pagination;

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

json_replies! { Data List Page Message }
