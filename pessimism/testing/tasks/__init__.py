"""Source tasks: relevances, allocations, and strategies for heads, tasks and samples."""
