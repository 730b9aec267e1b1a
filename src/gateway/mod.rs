//! Object operations in plaintext terms: the one place where put, get, copy, multipart and list are defined.
//!
//! A dialect calls the methods of [`Gateway`] with what a request meant and turns the answer back into its wire form.
//! This room must not know HTTP headers, XML or file paths.

mod body;
mod error;
mod model;

pub use body::{BodyError, PlainBody, PlainStream, TrailerSlot};
pub use error::Error;
pub use model::*;
