"""What methods that compare outputs with labels share."""
