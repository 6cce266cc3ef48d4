//! The HTTP layer: what handlers receive and return, and the middleware around them.

mod error;
mod field_errors;
mod auth;
mod input;
mod output;
mod idempotency;
mod call;
mod edge;
mod openapi;
mod conflict;

pub use crate::domain::idempotency::IDEMPOTENCY_TTL;
pub use auth::admin::Admin;
pub use auth::admin_secret::{credential_of, recognize_admin};
pub use auth::audit::{Change, audit_change};
pub use auth::caller::{Partner, RequiredScope, Tenant, scope};
pub use auth::catalog::{Catalog, CatalogScope};
pub use auth::portal::PortalUser;
pub use auth::session::{SessionId, give_cookie, offered_session, portal_origin, take_cookie};
pub use call::Call;
pub use conflict::{MAX_CONFLICT_RETRIES, backoff};
pub use edge::edge;
pub use error::{ApiError, Code, Problem};
pub use field_errors::{FieldError, FieldErrors};
pub use idempotency::once::{Done, IdempotencyKey, JsonAnswer, Once, once};
pub use idempotency::sealed::SealedAnswer;
pub use input::body::{Body, FromBody, MayBeEmpty, NoBody, Query, raw_object, repeated};
pub use input::contact::{Email, Phone, Website};
pub use input::fields::{FieldProblem, FieldValue, Fields, FromField, FromFields, RawObject, Source};
pub use input::paging::{
    CursorPagination, CursorParam, Limit, Offset, OffsetPagination, PageNumber, Pagination, Paging,
};
pub use input::patch::{PartialUpdate, Patch, Replace};
pub use input::path::{PathId, PathPair, PathText, PracticePath};
pub use input::precondition::{IfMatch, etag};
pub use input::reading::Reading;
pub use input::text::{SearchWords, check_listed, check_name, check_text, check_text_lines};
pub use input::update::{Update, UpdateOf, read_only, says_the_same};
pub use input::values::{LocalTime, integer_between};
pub use openapi::{Audience, GetDescription, Published, SpecVersion, describe};
pub use output::fit;
pub use output::reply::{CursorPage, Data, List, MOST_LISTED, Message, Page};
pub use output::visit_conflict::{BlockingTime, VisitConflict};

pub type ApiResult<T> = Result<T, ApiError>;
