//! The HTTP layer: what handlers receive and return, and the middleware around them.

mod admin;
mod body;
mod call;
mod contact;
mod caller;
mod catalog;
mod edge;
mod error;
mod field_errors;
mod fields;
pub mod fit;
mod idempotency;
mod openapi;
mod conflict;
mod paging;
mod path;
mod portal;
mod precondition;
mod reading;
mod reply;
mod sealed;
mod session;
mod text;
mod update;
mod usage;
mod values;
mod viewer;
mod webhooks;

pub use admin::{Admin, Change, audit_change, credential_of, recognise_admin};
pub use body::{Body, FromBody, MayBeEmpty, NoBody, Query, raw_object, repeated};
pub use call::Call;
pub use caller::{Partner, RequiredScope, Tenant, scope};
pub use catalog::{Catalog, CatalogScope};
pub use conflict::{MAX_CONFLICT_RETRIES, backoff};
pub use contact::{Email, Phone, Website};
pub use edge::edge;
pub use error::{ApiError, Code, Problem};
pub use field_errors::{FieldError, FieldErrors};
pub use fields::{
    FieldProblem, FieldValue, Fields, FromField, FromFields, Patch, RawObject, Replace, Source,
};
pub use idempotency::{Done, IDEMPOTENCY_TTL, IdempotencyKey, JsonAnswer, Once, once};
pub use openapi::describe;
pub use paging::{
    CursorPagination, CursorParam, Limit, Offset, OffsetPagination, PageNumber, Pagination, Paging,
};
pub use path::{PathId, PathPair, PathText, PracticePath};
pub use portal::PortalUser;
pub use precondition::{IfMatch, etag};
pub use reading::Reading;
pub use reply::{CursorPage, Data, List, MOST_LISTED, Message, Page};
pub use sealed::SealedAnswer;
pub use session::{SessionId, give_cookie, offered_session, portal_origin, take_cookie};
pub use text::{SearchWords, check_listed, check_name, check_text, check_text_lines};
pub use update::{Update, UpdateOf, read_only, says_the_same};
pub use usage::{DayUsage, Days, UsageSummary};
pub use values::{LocalTime, integer_between};
pub use webhooks::{
    DeliveryBody, DeliveryDetail, Retried, drain_in_flight, permit, permit_any, require_active, resend,
    subscription_of,
};

pub type ApiResult<T> = Result<T, ApiError>;
