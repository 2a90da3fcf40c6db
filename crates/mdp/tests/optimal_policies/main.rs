//! Optimal policies: the book's tables, independent solutions, published values, random models, and the same bytes on
//! any number of threads.

mod book;
mod common;
mod gymnasium;
mod properties;
mod published;
mod requests;
mod threads;
