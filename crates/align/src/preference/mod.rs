//! Losses on pairs of answers: DPO and its family.
