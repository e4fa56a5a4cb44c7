"""The vocabulary: instruments, market events, fees, errors. Imports nothing of ours."""
