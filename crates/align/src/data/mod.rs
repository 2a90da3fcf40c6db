//! Conversations, completions and preferences, from files of every usual format.
