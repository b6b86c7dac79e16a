"""What does an adapter learn? Base models, plan, examples, LoRA fit, the adapter bundle."""
