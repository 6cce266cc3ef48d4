//! The catalog: products and knowledge base, one database for all practices, of either engine.
//!
//! Outside this module there are functions, not pools; a [`CatalogDb`] is had only for a [`crate::auth::CatalogGrant`].

pub mod articles;
mod database;
pub mod migrate;
pub mod products;

pub use database::{CatalogDb, Catalogs};
