//! Tickets of the practice and their comments. Requires the `Tickets` scope.

mod comment;
mod create;
mod list;
mod read;
mod reply;
mod update;

use shared::{app::App, function, text_field};
use utoipa_axum::{router::OpenApiRouter, routes};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list_tickets, create::create_ticket))
        .routes(routes!(read::get_ticket, update::update_ticket))
        .routes(routes!(comment::comment_on_ticket))
}

/// The program of the function.
pub fn main() -> Result<(), function::Error> {
    function::serve(env!("CARGO_PKG_NAME"), routes())
}

text_field! { TicketSubject, 1, 200 }
text_field! { lines TicketDescription, 1, 10_000 }
text_field! { TicketAssignee, 1, 100 }
