//! The API in process: every function's routes behind the real edge, on both databases.

mod access;
mod admin;
mod architecture;
mod availability;
mod availability_agreement;
mod availability_oracle;
mod availability_speed;
mod booking;
mod booking_race;
mod catalog_race;
mod conventions;
mod kb;
mod me;
mod office;
mod openapi;
mod pipeline;
mod products_list;
mod products_upsert;
mod prospects_change;
mod prospects_create;
mod prospects_list;
mod prospects_search_plan;
mod tags;
mod token;
mod webhooks;
