//! The catalog: products and knowledge base, in one database of either engine for all practices.
//!
//! Outside this module there are functions, not pools: only a [`crate::auth::CatalogGrant`] opens a
//! [`CatalogDb`].

pub mod articles;
mod database;
pub mod migrate;
pub mod products;

pub use database::{CatalogDb, Catalogs};
