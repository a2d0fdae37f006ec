"""Source tasks: relevances, allocations, and strategies for heads, worlds and samples."""
