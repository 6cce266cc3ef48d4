//! Paging of lists.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{FieldProblem, FieldValue, Source, input::values::integer_between};
use crate::{control::Cursor, sql::page::Length};

/// The page number; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = i64, minimum = 1, maximum = 1_000_000, default = 1)]
pub struct PageNumber(pub i64);

/// The maximum number of items on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = i64, minimum = 1, maximum = 100, default = 25)]
pub struct Limit(pub i64);

impl Limit {
    /// Returns the requested limit, or 25.
    pub fn or_default(limit: Option<Self>) -> Self {
        limit.unwrap_or(Self(25))
    }

    pub fn items(self) -> usize {
        usize::try_from(self.0).unwrap_or_default()
    }
}

impl FieldValue for PageNumber {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        integer_between(source, 1, 1_000_000).map(Self)
    }
}

impl FieldValue for Limit {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        integer_between(source, 1, 100).map(Self)
    }
}

/// The page that a caller requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    pub page: i64,
    pub limit: i64,
}

impl Paging {
    pub fn new(page: Option<PageNumber>, limit: Option<Limit>) -> Self {
        Self { page: page.map_or(1, |it| it.0), limit: Limit::or_default(limit).0 }
    }

    /// Returns the number of rows before the page.
    pub fn offset(self) -> i64 {
        (self.page - 1) * self.limit
    }

    /// Describes the page of a list of this length.
    pub fn of(self, Length { rows: total, is_at_least }: Length, has_more: bool) -> Pagination {
        Pagination { page: self.page, limit: self.limit, total, total_is_at_least: is_at_least, has_more }
    }
}

/// The position of a page in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pagination {
    pub page: i64,
    pub limit: i64,
    /// The number of items on all pages. More than 10,000 are not counted.
    pub total: i64,
    /// True if there can be more items than `total`. Omitted otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub total_is_at_least: bool,
    /// Whether more items follow this page.
    pub has_more: bool,
}

/// The `nextCursor` of the previous page.
#[derive(Clone, Debug, ToSchema)]
#[schema(value_type = String, max_length = 2000, pattern = "^[A-Za-z0-9_-]+$")]
pub struct CursorParam(pub Cursor);

impl FieldValue for CursorParam {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        let cursor = Cursor::parse(source.text()?);
        cursor.map(Self).ok_or_else(|| FieldProblem::invalid("must be a 'nextCursor' of this list"))
    }
}

/// The position of a page in a list that grows while it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CursorPagination {
    pub limit: i64,
    pub has_more: bool,
    /// The `cursor` of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// The number of items to skip.
#[derive(Clone, Copy, Debug, Default, ToSchema)]
#[schema(value_type = i64, minimum = 0, maximum = 10_000, default = 0)]
pub struct Offset(pub i64);

impl FieldValue for Offset {
    fn read(source: Source<'_>) -> Result<Self, FieldProblem> {
        integer_between(source, 0, 10_000).map(Self)
    }
}

/// The position of a part of a list that skips the first `offset` items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OffsetPagination {
    pub limit: i64,
    pub offset: i64,
    pub has_more: bool,
}
