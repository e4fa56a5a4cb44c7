"""From an approved intent to a settled order: ids, states, rate budgets, reconciliation."""
