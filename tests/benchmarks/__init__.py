"""Speed and memory beside what people would use instead: python -m tests.benchmarks (see __main__)."""
