//! Records: from files of every format to tokens, against TRL, on bad input, and in general.

mod bad_input;
mod files;
mod formats;
mod lint;
mod model;
mod packing;
mod trl;
