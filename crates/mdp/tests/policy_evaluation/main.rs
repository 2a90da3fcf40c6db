//! Policy evaluation: the book's tables, SciPy's solutions, the definition of the return, and random models.

mod book;
mod common;
mod exact;
mod monte_carlo;
mod problems;
mod properties;
mod requests;
mod scipy;
mod stress;
