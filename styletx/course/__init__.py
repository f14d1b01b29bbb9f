"""What the lectures, the demo and the doctor are made of, beside the methods themselves."""
