"""What is a report? Values, readers, quality funnel, split, prompt, synthetic corpus."""
