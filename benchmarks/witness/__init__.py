"""What witness, guard and ladder catch of what a model gets wrong, and what they cost."""
